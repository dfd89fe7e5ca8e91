"""UDP through a proxy: each client has a socket of its own towards a backend, until it has been silent for a while."""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress
from functools import partial

from labkit.linux.relayed import Relayed
from labkit.services.cloud.streams import Address, Leg

CHUNK = 65536
SILENCE = 30.0


class Datagrams:
    """Listens at an address. `backends` may be changed at any time: a client whose backend stays keeps it."""

    def __init__(self, address: str, port: int, relayed: Relayed[Leg]) -> None:
        self._place = address, port
        self._relayed = relayed
        self.backends: list[Address] = []
        self._turn = 0
        self._loop = asyncio.get_running_loop()
        self._family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self._flows: dict[Address, tuple[socket.socket, Address, asyncio.TimerHandle]] = {}
        self._socket = self._new()
        self._socket.bind((address, port))
        self._loop.add_reader(self._socket, self._from_clients)

    def close(self) -> None:
        """Stop listening, and forget all clients."""
        self._loop.remove_reader(self._socket)
        self._socket.close()
        for client in list(self._flows):
            self._forget(client)

    def _from_clients(self) -> None:
        with suppress(BlockingIOError):
            while True:
                data, sender = self._socket.recvfrom(CHUNK)
                if flow := self._flow(sender[:2]):
                    with suppress(OSError):  # refused earlier, or full: a datagram may be lost
                        flow.send(data)

    def _flow(self, client: Address) -> socket.socket | None:
        """The client's socket; a new one where it has none, or its backend has gone."""
        known = self._flows.get(client)
        if known is None or known[1] not in self.backends:
            self._forget(client)
            if not self.backends:
                return None
            backend = self.backends[self._turn % len(self.backends)]
            self._turn += 1
            sock = self._new()
            sock.connect(backend)
            self._relayed.note("udp", self._place, client, (sock.getsockname()[:2], backend))
            self._loop.add_reader(sock, partial(self._from_backend, client, sock))
        else:
            sock, backend, timer = known
            timer.cancel()
        self._flows[client] = sock, backend, self._loop.call_later(SILENCE, self._forget, client)
        return sock

    def _from_backend(self, client: Address, sock: socket.socket) -> None:
        try:
            while True:
                self._socket.sendto(sock.recv(CHUNK), client)
        except BlockingIOError:
            return
        except OSError:
            self._forget(client)  # nobody listens there any more

    def _forget(self, client: Address) -> None:
        if known := self._flows.pop(client, None):
            sock, _, timer = known
            timer.cancel()
            self._loop.remove_reader(sock)
            sock.close()

    def _new(self) -> socket.socket:
        return socket.socket(self._family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
