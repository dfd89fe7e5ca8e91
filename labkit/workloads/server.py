"""The listening sockets of one container, made inside its network namespace and served from outside."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable

from labkit.linux import netns
from labkit.net.place import Place
from labkit.workloads.httpserver import Listener, address
from labkit.workloads.images import Serve
from labkit.workloads.netexec import Netexec

_BACKLOG = 4096


class Server:
    """Serves `netexec` on every port until `close`. Raises `OSError` where a port is taken."""

    def __init__(self, place: Place, serve: Serve, netexec: Netexec) -> None:
        self._listeners: list[Listener | Datagrams] = []
        try:
            with netns.entered(place.netns):
                for port in serve.tcp:
                    self._listeners.append(Listener(_bound(socket.SOCK_STREAM, port), netexec.request))
                for port in serve.udp:
                    self._listeners.append(Datagrams(_bound(socket.SOCK_DGRAM, port), netexec.datagram))
        except OSError:
            self.close()
            raise

    @property
    def cpu(self) -> int:
        """Nanoseconds of CPU time that serving has taken."""
        return sum(listener.cpu for listener in self._listeners)

    def retire(self) -> None:
        """Go on serving, but close each connection after its next answer: clients turn elsewhere."""
        for listener in self._listeners:
            if isinstance(listener, Listener):
                listener.retiring = True

    async def finish(self) -> None:
        """Answer what has been asked, and nothing more; returns when that is done."""
        await asyncio.gather(*(each.finish() for each in self._listeners if isinstance(each, Listener)))
        self.close()

    def close(self) -> None:
        for listener in self._listeners:
            listener.close()
        self._listeners = []


class Datagrams:
    """Answers datagrams one by one; the answer leaves from the address that the routing table picks."""

    def __init__(self, sock: socket.socket, handler: Callable[[bytes, str], bytes | None]) -> None:
        self._socket = sock
        self._handler = handler
        self.cpu = 0
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(sock.fileno(), self._read)

    def close(self) -> None:
        self._loop.remove_reader(self._socket.fileno())
        self._socket.close()

    def _read(self) -> None:
        began = time.thread_time_ns()
        self._answer()
        self.cpu += time.thread_time_ns() - began

    def _answer(self) -> None:
        for _ in range(64):  # then let others have the loop
            try:
                data, peer = self._socket.recvfrom(2048)
                answer = self._handler(data, address(peer))
                if answer is not None:
                    self._socket.sendto(answer, peer)
            except BlockingIOError:
                return
            except OSError:  # an ICMP error that an earlier answer caused
                continue


def _bound(kind: int, port: int) -> socket.socket:
    """A socket for both IP versions on a port, as Go's net package makes it; for IPv4 where the kernel has no IPv6."""
    try:
        sock = socket.socket(socket.AF_INET6, kind | socket.SOCK_NONBLOCK)
    except OSError:
        sock, host = socket.socket(socket.AF_INET, kind | socket.SOCK_NONBLOCK), ""
    else:
        host = "::"
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    try:
        if kind == socket.SOCK_STREAM:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((host, port))
        if kind == socket.SOCK_STREAM:
            sock.listen(_BACKLOG)
    except OSError:
        sock.close()
        raise
    return sock
