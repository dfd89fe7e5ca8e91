"""A CoreDNS pod's ears: DNS over UDP and TCP on port 53, and the small HTTP pages of health, ready and prometheus.

Clients are learners' pods, so nothing that they send is trusted: connections are counted, idle ones closed, requests
bounded. CoreDNS's own idle time-out is 10 s (core/dnsserver/server.go).
"""

from __future__ import annotations

import asyncio
import socket
from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import partial
from typing import cast

from labkit.linux import netns

MAX_CONNECTIONS = 256
IDLE_SECONDS = 10.0
MAX_HTTP_REQUEST = 8192
BURST = 64  # datagrams taken in one go before others get their turn
MAX_UDP_QUERY = 4096

Send = Callable[[bytes], None]
Client = tuple[str, int]  # address and port
Serve = Callable[[bytes, Client, bool, Send], None]  # (message, client, tcp, where the answer goes)
Page = Callable[[str], tuple[int, str]]  # path -> (status, body)


class Udp:
    """DNS over UDP. An answer that the socket cannot take at once is dropped, as the network might."""

    def __init__(self, sock: socket.socket, serve: Serve) -> None:
        self._sock = sock
        self._serve = serve
        asyncio.get_running_loop().add_reader(sock, self._readable)

    def close(self) -> None:
        asyncio.get_running_loop().remove_reader(self._sock)
        self._sock.close()

    def _readable(self) -> None:
        for _ in range(BURST):
            try:
                data, peer = self._sock.recvfrom(MAX_UDP_QUERY)
            except OSError:  # nothing left to read, or an ICMP message about an earlier answer
                return
            self._serve(data, peer[:2], False, partial(self._send, peer))

    def _send(self, peer: tuple[str, int], reply: bytes) -> None:
        if self._sock.fileno() < 0:
            return
        try:
            self._sock.sendto(reply, peer)
        except OSError:
            return


class Stream(asyncio.Protocol, ABC):
    """What TCP listeners share: connections counted and closed when idle; no reading while the client does not read."""

    def __init__(self, opened: set[Stream]) -> None:
        self._opened = opened
        self._buffer = bytearray()
        self.transport: asyncio.Transport | None = None
        self._idle: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        if len(self._opened) >= MAX_CONNECTIONS:
            self.transport.abort()
            return
        self._opened.add(self)
        self._busy()

    def connection_lost(self, exc: Exception | None) -> None:
        self._opened.discard(self)
        if self._idle:
            self._idle.cancel()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        waiting = len(self._buffer)
        self.take(self._buffer)
        if len(self._buffer) < waiting:  # a whole request came; single octets keep no connection open
            self._busy()

    def pause_writing(self) -> None:
        if self.transport:
            self.transport.pause_reading()

    def resume_writing(self) -> None:
        if self.transport:
            self.transport.resume_reading()

    @abstractmethod
    def take(self, buffer: bytearray) -> None:
        """Take whole requests off the front of the buffer and answer them."""

    def _busy(self) -> None:
        if self._idle:
            self._idle.cancel()
        if self.transport:
            self._idle = asyncio.get_running_loop().call_later(IDLE_SECONDS, self.transport.abort)


class Tcp(Stream):
    """DNS over TCP: each message behind its length in two octets (RFC 7766); several may be under way."""

    def __init__(self, opened: set[Stream], serve: Serve) -> None:
        super().__init__(opened)
        self._serve = serve

    def take(self, buffer: bytearray) -> None:
        while len(buffer) >= 2 and self.transport and not self.transport.is_closing():
            size = int.from_bytes(buffer[:2], "big")
            if len(buffer) < 2 + size:
                return
            message = bytes(buffer[2 : 2 + size])
            del buffer[: 2 + size]
            self._serve(message, self.transport.get_extra_info("peername")[:2], True, self._send)

    def _send(self, reply: bytes) -> None:
        if self.transport and not self.transport.is_closing():
            self.transport.write(len(reply).to_bytes(2, "big") + reply)


class Http(Stream):
    """HTTP for probes and scrapes: one GET a connection, the answer from `page`."""

    def __init__(self, opened: set[Stream], page: Page) -> None:
        super().__init__(opened)
        self._page = page

    def take(self, buffer: bytearray) -> None:
        if self.transport is None or b"\r\n\r\n" not in buffer:
            if len(buffer) > MAX_HTTP_REQUEST and self.transport:
                self.transport.abort()
            return
        words = bytes(buffer).split(b"\r\n", 1)[0].decode("latin-1").split()
        status, body = self._page(words[1].partition("?")[0]) if len(words) == 3 else (400, "Bad Request")
        head = f"HTTP/1.1 {status} {_REASONS.get(status, '')}\r\nContent-Type: text/plain; charset=utf-8\r\n"
        head += f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        self.transport.write((head + ("" if words[:1] == ["HEAD"] else body)).encode())
        self.transport.close()


_REASONS = {200: "OK", 400: "Bad Request", 404: "Not Found", 503: "Service Unavailable"}


def bound(netns_path: str, family: int, kind: int, port: int) -> socket.socket:
    """A socket on all addresses of one family in a namespace. Raises `OSError` where the port is taken."""
    sock = netns.socket_in(netns_path, family, kind)
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, kind == socket.SOCK_STREAM)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind(("::" if family == socket.AF_INET6 else "0.0.0.0", port))
    except OSError:
        sock.close()
        raise
    return sock
