"""A Service port of UDP: one bound socket, for each client's address and port another one to an endpoint.

A client that is silent for 250 ms is forgotten: its next datagram goes to the next endpoint.
Source: Kubernetes v1.25, pkg/proxy/userspace/proxysocket.go (`udpProxySocket`), --udp-timeout.
"""

from __future__ import annotations

import asyncio
import socket
from typing import Any

from labkit.linux.relayed import Relayed
from labkit.net.packet import split_endpoint
from labkit.proxy.userspace.balancer import NoEndpoint, RoundRobin
from labkit.proxy.userspace.counters import Counters

IDLE_SECONDS = 0.25
_LARGEST = 4096  # what is longer is cut, as it was


class UdpSocket:
    """Serves the bound socket from now on, until `close`, which ends its clients too."""

    def __init__(self, bound: socket.socket, balancer: RoundRobin, counters: Counters, relayed: Relayed[str]) -> None:
        self._bound = bound
        self._balancer = balancer
        self._counters = counters
        self._relayed = relayed
        self._clients: dict[Any, _Client] = {}
        asyncio.get_running_loop().add_reader(bound, self._receive)

    @property
    def connections(self) -> int:
        """How many clients it remembers."""
        return len(self._clients)

    async def close(self) -> None:
        asyncio.get_running_loop().remove_reader(self._bound)
        for client in list(self._clients.values()):
            client.close()
        self._bound.close()

    def _receive(self) -> None:
        """One datagram, so that other ports get their turn."""
        try:
            data, address = self._bound.recvfrom(_LARGEST)
        except OSError:  # there was none, or an ICMP error came
            return
        client = self._clients.get(address)
        if client is None:
            self._counters.accepted += 1
            try:
                endpoint = self._balancer.next(address[0])
            except NoEndpoint:
                self._counters.failed += 1
                return
            self._counters.dialled += 1
            self._relayed.note("udp", self._bound.getsockname()[1], address, endpoint)
            client = self._clients[address] = _Client(self, address, endpoint)
        client.send(data)

    def reply(self, data: bytes, address: Any) -> bool:
        """Send an endpoint's answer on; whether it could be sent."""
        try:
            self._bound.sendto(data, address)
        except OSError:
            return False
        self._counters.copied += len(data)
        return True

    def heard(self, size: int) -> None:
        self._counters.copied += size

    def forget(self, address: Any) -> None:
        del self._clients[address]

    @property
    def family(self) -> int:
        return self._bound.family


class _Client:
    """One client's socket to its endpoint."""

    def __init__(self, port: UdpSocket, address: Any, endpoint: str) -> None:
        self._port = port
        self._address = address
        self._loop = asyncio.get_running_loop()
        self._server = socket.socket(port.family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self._server.connect(split_endpoint(endpoint))
        self._loop.add_reader(self._server, self._receive)
        self._until = self._loop.time() + IDLE_SECONDS
        self._timer = self._loop.call_at(self._until, self._look)

    def send(self, data: bytes) -> None:
        try:
            self._server.send(data)
        except OSError:  # an earlier datagram was refused, or the buffer is full: this one is lost
            return
        self._port.heard(len(data))
        self._active()

    def close(self) -> None:
        self._timer.cancel()
        self._loop.remove_reader(self._server)
        self._server.close()
        self._port.forget(self._address)

    def _receive(self) -> None:
        try:
            data = self._server.recv(_LARGEST)
        except BlockingIOError:
            return
        except OSError:  # nothing listens there
            self.close()
            return
        self._active()
        if not self._port.reply(data, self._address):
            self.close()

    def _active(self) -> None:
        self._until = self._loop.time() + IDLE_SECONDS

    def _look(self) -> None:
        """Close after the silence; a timer is not set anew for every datagram."""
        if self._loop.time() < self._until:
            self._timer = self._loop.call_at(self._until, self._look)
        else:
            self.close()
