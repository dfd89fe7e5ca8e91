"""One client's connection: HTTP/1.1 with keep-alive, pipelining, streams and take-over.

    transport ── httptools ── requests in order ── handler ── answer, stream or upgrade

The next request is looked at when the answer before it has been written and the client takes it, so what a client can
make the server hold is bounded: its requests by the limits below, its answers to one of them.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable
from typing import Any, Protocol, cast

import httptools

from labkit.apiserver.http import encode
from labkit.apiserver.http.messages import Answer, Certified, Handler, Reply, Request, Stream, Upgrade, Upgraded

HEADER_LIMIT = 64 * 1024
BODY_LIMIT = 3 * 1024 * 1024
PIPELINE = 16  # requests of one client that wait for their turn; then it is not read from
HIGH_WATER = 256 * 1024  # bytes that a client has before it when it counts as full
LINGER = 0.5  # seconds to read on after a refusal: closing over unread data would reset the answer away


class Host(Protocol):
    """The server that a connection belongs to. `refusal` words what is not HTTP, too long, or failed."""

    handler: Handler
    connections: set[Connection]

    def refusal(self, status: int) -> Answer: ...
    def failed(self, request: Request, error: BaseException) -> Answer: ...


class Connection(asyncio.Protocol):
    """httptools calls the `on_…` methods while it parses. `idle_since` tells the server how long nothing moved."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._loop = asyncio.get_running_loop()
        self._parser = httptools.HttpRequestParser(self)
        self._waiting: deque[tuple[Request, bool]] = deque()
        self._task: asyncio.Future[Any] | None = None
        self._refused = False
        self._last = False
        self._partial = False
        self._writable = asyncio.Event()
        self._writable.set()
        self.moved = time.monotonic()
        self._upgraded = b""

    # The transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(HIGH_WATER)
        peer = transport.get_extra_info("peername")
        self._client = str(peer[0]) if isinstance(peer, tuple) else "127.0.0.1"
        self._certified = _certified(transport.get_extra_info("ssl_object"))
        self._host.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._host.connections.discard(self)
        self._part()
        self._waiting.clear()
        self._writable.set()
        if self._task:
            self._task.cancel()

    def pause_writing(self) -> None:
        self._writable.clear()
        self.moved = time.monotonic()

    def resume_writing(self) -> None:
        self._writable.set()
        self._next()

    def data_received(self, data: bytes) -> None:
        self.moved = time.monotonic()
        if self._refused:
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._upgraded = data[upgrade.args[0] :]
            self._transport.pause_reading()
        except httptools.HttpParserError:
            self._refuse(400)
        self._next()

    def eof_received(self) -> bool:
        return False

    def stuck(self, since: float) -> bool:
        """Whether the client has been in the middle of something, and not gone on with it, since then."""
        return self.moved < since and (self._partial or not self._writable.is_set())

    def abort(self) -> None:
        self._transport.abort()

    # The parser

    def on_message_begin(self) -> None:
        self._partial = True
        self._target = b""
        self._headers: dict[str, str] = {}
        self._body: list[bytes] = []
        self._size = 0

    def on_url(self, url: bytes) -> None:
        self._target += url
        self._count(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        key, text = name.decode("latin-1").lower(), value.decode("latin-1")
        self._headers[key] = f"{self._headers[key]},{text}" if key in self._headers else text
        self._count(len(name) + len(value))

    def on_headers_complete(self) -> None:
        self._size = 0
        length = self._headers.get("content-length", "0")
        if length.isdecimal() and int(length) > BODY_LIMIT:
            self._refuse(413)
        elif self._headers.get("expect", "").lower() == "100-continue":
            self._transport.write(encode.CONTINUE)

    def on_body(self, body: bytes) -> None:
        self._size += len(body)
        if self._size > BODY_LIMIT:
            self._refuse(413)
        elif not self._refused:
            self._body.append(body)

    def on_message_complete(self) -> None:
        self._partial = False
        if self._refused:
            return
        upgrade = self._headers.get("upgrade", "") if self._parser.should_upgrade() else ""
        request = Request(
            self._parser.get_method().decode("latin-1"),
            self._target.decode("latin-1"),
            self._headers,
            b"".join(self._body),
            self._client,
            self._certified,
            upgrade,
        )
        self._waiting.append((request, self._parser.should_keep_alive() and not upgrade))
        if len(self._waiting) > PIPELINE:
            self._transport.pause_reading()

    def _count(self, more: int) -> None:
        self._size += more
        if self._size > HEADER_LIMIT:
            self._refuse(431)

    # Answers

    def _next(self) -> None:
        while self._waiting and self._task is None and self._writable.is_set() and not self._transport.is_closing():
            request, keep = self._waiting.popleft()
            if len(self._waiting) == PIPELINE:
                self._transport.resume_reading()
            try:
                reply = self._host.handler(request)
            except Exception as error:
                reply = self._host.failed(request, error)
            if isinstance(reply, Answer):
                self._answer(reply, keep)
            else:
                self._task = asyncio.ensure_future(self._reply(request, reply, keep))
                self._task.add_done_callback(self._replied)

    def _answer(self, value: Answer, keep: bool) -> None:
        self._transport.write(encode.answer(value, keep))
        if not keep:
            self._transport.close()

    async def _reply(self, request: Request, reply: Reply | Awaitable[Reply], keep: bool) -> None:
        try:
            value = reply if isinstance(reply, Answer | Stream | Upgrade) else await reply
        except Exception as error:
            value = self._host.failed(request, error)
        if isinstance(value, Answer):
            self._answer(value, keep)
        elif isinstance(value, Stream):
            self._transport.write(encode.chunked(value.kind, value.headers))
            await value.run(self)
            self._transport.write(encode.LAST_CHUNK)
            if not keep:
                self._transport.close()
        else:
            await self._hand_over(value)

    async def _hand_over(self, value: Upgrade) -> None:
        """Give the connection away: from here on this protocol hears nothing of it."""
        self._transport.write(encode.switching(value.protocol, value.headers))
        reader = asyncio.StreamReader(loop=self._loop)
        protocol = asyncio.StreamReaderProtocol(reader, loop=self._loop)
        protocol.connection_made(self._transport)
        writer = asyncio.StreamWriter(self._transport, protocol, reader, self._loop)
        self._transport.set_protocol(protocol)
        self._part()
        if self._upgraded:
            reader.feed_data(self._upgraded)
        self._transport.resume_reading()
        try:
            await value.run(Upgraded(reader, writer))
        finally:
            self._host.connections.discard(self)
            writer.close()

    def _replied(self, task: asyncio.Future[Any]) -> None:
        self._task = None
        if task.cancelled() or task.exception():
            self._transport.abort()
            if not task.cancelled() and not isinstance(error := task.exception(), OSError):
                self._loop.call_exception_handler({"message": "a stream failed", "exception": error})
            return
        self._next()

    def _refuse(self, status: int) -> None:
        """Say what is wrong with what the client sends, and read no more of it."""
        if not self._refused:
            self._refused = True
            self._waiting.clear()
            self._transport.write(encode.answer(self._host.refusal(status), keep=False))
            self._loop.call_later(LINGER, self._transport.close)

    def _part(self) -> None:
        """Drop the parser, which refers back: so the connection, and TLS's buffers with it, go without a collection."""
        self.__dict__.pop("_parser", None)

    # A stream's sink

    def write(self, data: bytes) -> None:
        self._transport.write(encode.chunk(data))

    @property
    def full(self) -> bool:
        return not self._writable.is_set()

    async def drain(self) -> None:
        await self._writable.wait()


def _certified(tls: Any) -> Certified | None:
    certificate = tls.getpeercert() if tls else None
    if not certificate:
        return None
    names = [pair for group in certificate.get("subject", ()) for pair in group]
    name = next((value for key, value in names if key == "commonName"), "")
    return Certified(name, tuple(value for key, value in names if key == "organizationName"))
