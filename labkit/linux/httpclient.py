"""One HTTP/1.1 exchange over a connected stream: what probes, `/dial` and the lab's requests have in common."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from collections.abc import Mapping
from typing import NamedTuple, Protocol

import httptools

from labkit.linux import netns

_CHUNK = 65536


class Reply(NamedTuple):
    """A response. `body`: as many of its first bytes as were asked for; `keep`: the connection can be used again."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes
    keep: bool


class Stream(Protocol):
    """Bytes in order; `receive` gives b"" at the end."""

    async def send(self, data: bytes) -> None: ...

    async def receive(self) -> bytes: ...


class Plain:
    """A TCP connection."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._loop = asyncio.get_running_loop()

    async def send(self, data: bytes) -> None:
        await self._loop.sock_sendall(self._socket, data)

    async def receive(self) -> bytes:
        return await self._loop.sock_recv(self._socket, _CHUNK)


class Tls:
    """TLS over a stream. Raises `ssl.SSLError` where the handshake fails or the certificate is not trusted."""

    def __init__(self, below: Stream, context: ssl.SSLContext, host: str) -> None:
        self._below = below
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=host)

    async def handshake(self) -> None:
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                await self._exchange()
            else:
                await self._flush()
                return

    async def send(self, data: bytes) -> None:
        self._tls.write(data)
        await self._flush()

    async def receive(self) -> bytes:
        while True:
            try:
                return self._tls.read(_CHUNK)
            except ssl.SSLWantReadError:
                await self._exchange()
            except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
                return b""

    async def _exchange(self) -> None:
        await self._flush()
        if data := await self._below.receive():
            self._incoming.write(data)
        else:
            self._incoming.write_eof()

    async def _flush(self) -> None:
        if data := self._outgoing.read():
            await self._below.send(data)


async def connect(path: str, address: str, port: int) -> socket.socket:
    """A TCP connection from the namespace at `path`. Raises `OSError` where it is refused or there is no route."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    sock = netns.socket_in(path, family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        await asyncio.get_running_loop().sock_connect(sock, (address, port))
    except BaseException:
        sock.close()
        raise
    return sock


def encode(method: str, host: str, target: str, headers: Mapping[str, str], body: bytes, keep: bool) -> bytes:
    """A request as it goes over the wire. `headers` take precedence over those set here."""
    own = {"Host": host, "User-Agent": "labkit", "Accept": "*/*"}
    if body or method in ("POST", "PUT", "PATCH"):
        own["Content-Length"] = str(len(body))
    if not keep:
        own["Connection"] = "close"
    given = {name.lower() for name in headers}
    lines = [f"{name}: {value}" for name, value in own.items() if name.lower() not in given]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([f"{method} {target} HTTP/1.1", *lines, "", ""]).encode() + body


async def exchange(stream: Stream, request: bytes, limit: int = 4096) -> Reply:
    """Send an encoded request and read its response.

    Raises `ConnectionError` where the server closes early, `ValueError` where it answers something else than HTTP.
    """
    await stream.send(request)
    response = _Response(head=request.startswith(b"HEAD "), limit=limit)
    while not response.done:
        data = await stream.receive()
        if data:
            response.feed(data)
        else:
            response.end()
    return Reply(response.status, response.headers, bytes(response.body[:limit]), response.keep)


def reason(error: BaseException) -> str:
    """Why a connection failed, in curl's words rather than Python's."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"certificate not trusted: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return f"TLS failed: {error.reason or error}"
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno).lower()
    return str(error)


class _Response:
    """Gathers one response; httptools calls the `on_…` methods while it parses."""

    def __init__(self, head: bool, limit: int) -> None:
        self.status = 0
        self.headers: list[tuple[str, str]] = []
        self.body = bytearray()
        self.done = False
        self.keep = False
        self._head = head
        self._limit = limit
        self._framed = False
        self._parser = httptools.HttpResponseParser(self)

    def feed(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self.done = True
        except httptools.HttpParserError as error:
            if not self.done:
                raise ValueError(f"the answer is not HTTP: {error}") from error

    def end(self) -> None:
        """The server closed: right for a body without a length, too early otherwise."""
        if not self.status:
            raise ConnectionError("the server closed the connection without an answer")
        if self._framed:
            raise ConnectionError("the server closed the connection in the middle of the answer")
        self.done = True

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name.decode("latin-1"), value.decode("latin-1")))
        if name.lower() in (b"content-length", b"transfer-encoding"):
            self._framed = True

    def on_headers_complete(self) -> None:
        self.status = self._parser.get_status_code()
        self.done = self._head

    def on_body(self, data: bytes) -> None:
        if len(self.body) < self._limit:
            self.body += data

    def on_message_complete(self) -> None:
        if self.status < 200:  # 100 Continue and its like: the answer follows
            self.status, self.headers = 0, []
            return
        self.keep = self._parser.should_keep_alive()
        self.done = True
