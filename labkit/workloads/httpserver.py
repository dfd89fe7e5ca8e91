"""HTTP/1.1 on the loop, without a transport: one process serves the listening sockets of every pod.

    accept ── recv ── httptools ── handler ── send          one turn of the loop where the request is there already

A connection handles its requests one after the other and answers in their order, so pipelining works. Limits: 64 KB of
request line and headers (431), 32 MB of body (413); what is not HTTP gets 400, as Go's net/http answers.
"""

from __future__ import annotations

import asyncio
import functools
import socket
import time
from collections import deque
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import TYPE_CHECKING

import httptools

from labkit.net.packet import endpoint
from labkit.workloads.httpmessages import Request, Response, encode

if TYPE_CHECKING:
    from labkit.workloads.health import Health

HEADER_LIMIT = 64 * 1024
BODY_LIMIT = 32 * 1024 * 1024
HTTP2 = b"PRI * HTTP/2.0\r\n"
PATIENCE = 1.0
"""Seconds that a server which is about to end gives to those who have connected and asked nothing."""
Handler = Callable[[Request], Response | Awaitable[Response]]


class Listener:
    """Serves a listening socket until `close`, which also ends its connections.

    retiring  every answer is the last one of its connection; cpu: nanoseconds that serving has taken
    """

    def __init__(self, sock: socket.socket, handler: Handler) -> None:
        self.handler = handler
        self.port: int = sock.getsockname()[1]
        self.connections: set[Connection] = set()
        self.retiring = False
        self.cpu = 0
        self.empty: asyncio.Event | None = None  # while somebody waits for the last connection
        self._socket = sock
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(sock.fileno(), self._accept)

    def close(self) -> None:
        if self._socket.fileno() >= 0:
            self._loop.remove_reader(self._socket.fileno())
            self._socket.close()
        for connection in list(self.connections):
            connection.close()

    async def finish(self) -> None:
        """Take no more connections, and answer what has been asked or is about to be: who has connected by now is
        waited for. Returns when no connection is left.
        """
        self.retiring = True
        self._accept()
        self._loop.remove_reader(self._socket.fileno())
        self._socket.close()
        for connection in list(self.connections):
            if connection.idle:
                connection.close()
        if self.connections:
            self.empty = asyncio.Event()
            self._loop.call_later(PATIENCE, self._close_silent)
            await self.empty.wait()

    def _close_silent(self) -> None:
        for connection in list(self.connections):
            if not connection.asked:
                connection.close()

    def _accept(self) -> None:
        for _ in range(64):  # then let others have the loop
            try:
                sock, peer = self._socket.accept()
            except (BlockingIOError, ConnectionAbortedError):
                return
            sock.setblocking(False)
            Connection(self, sock, address(peer), self._loop)


class Connection:
    """One client's connection; httptools calls the `on_…` methods while it parses."""

    def __init__(self, listener: Listener, sock: socket.socket, client: str, loop: asyncio.AbstractEventLoop) -> None:
        self._listener = listener
        self._socket = sock
        self._client = client
        self._loop = loop
        self._parser = httptools.HttpRequestParser(self)
        self._reading = False
        self._busy = False
        self._waiting: deque[tuple[Request, bool]] = deque()
        self._unsent = b""
        self._last = False
        self._refused = False
        self._health: Health | None = None
        self.asked = self._begun = False  # has ever sent a request; is in the middle of one
        listener.connections.add(self)
        self._read()

    @property
    def idle(self) -> bool:
        """Whether all that it has asked is answered; one that has not asked yet is about to."""
        return self.asked and not (self._busy or self._waiting or self._unsent or self._begun)

    def close(self) -> None:
        if self._socket.fileno() >= 0:
            if self._reading:
                self._loop.remove_reader(self._socket.fileno())
            if self._unsent:
                self._loop.remove_writer(self._socket.fileno())
            self._socket.close()
            self._listener.connections.discard(self)
            if self._listener.empty and not self._listener.connections:
                self._listener.empty.set()

    def on_message_begin(self) -> None:
        self.asked = self._begun = True
        self._target = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._body: list[bytes] = []
        self._size = 0

    def on_url(self, url: bytes) -> None:
        self._target += url
        self._count(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((name, value))
        self._count(len(name) + len(value))

    def on_headers_complete(self) -> None:
        self._size = 0
        if any(name.lower() == b"expect" and value.lower() == b"100-continue" for name, value in self._headers):
            self._send(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, body: bytes) -> None:
        self._body.append(body)
        self._size += len(body)
        if self._size > BODY_LIMIT:
            self._refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)

    def on_message_complete(self) -> None:
        self._begun = False
        request = Request(
            self._parser.get_method().decode("latin-1"),
            self._target.decode("latin-1"),
            [(name.decode("latin-1"), value.decode("latin-1")) for name, value in self._headers],
            b"".join(self._body),
            self._client,
            self._listener.port,
        )
        if not self._refused:
            self._waiting.append((request, self._parser.should_keep_alive()))

    def _count(self, more: int) -> None:
        self._size += more
        if self._size > HEADER_LIMIT:
            self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)

    def _read(self) -> None:
        began = time.thread_time_ns()
        self._receive()
        self._listener.cpu += time.thread_time_ns() - began

    def _receive(self) -> None:
        try:
            data = self._socket.recv(65536)
        except BlockingIOError:
            self._await_more()
            return
        except OSError:
            self.close()
            return
        if not data:
            self.close()
            return
        if self._refused:
            return
        if self._health or (not self.asked and data.startswith(HTTP2)):
            self._check_health(data)
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._parser = httptools.HttpRequestParser(self)  # no upgrade is offered: the request stands as it is
        except httptools.HttpParserError:
            self._refuse(HTTPStatus.BAD_REQUEST)
        self._next()
        self._await_more()

    def _check_health(self, data: bytes) -> None:
        """A client that speaks HTTP/2 is a gRPC probe."""
        if self._health is None:
            from labkit.workloads.health import Health  # here: HTTP/2 is slow to import and seldom needed

            self._health, self.asked = Health(), True
        self._send(self._health.answer(data))
        if self._health.ended:
            self.close()
        else:
            self._await_more()

    def _await_more(self) -> None:
        if not self._reading and self._socket.fileno() >= 0:
            self._loop.add_reader(self._socket.fileno(), self._read)
            self._reading = True

    def _next(self) -> None:
        while self._waiting and not self._busy and not self._last:
            request, keep = self._waiting.popleft()
            try:
                result = self._listener.handler(request)
            except Exception:
                self.close()  # as Go does when a handler panics; the loop reports the error
                raise
            if isinstance(result, Response):
                self._answer(request, result, keep)
            else:
                self._busy = True
                task = asyncio.ensure_future(result)
                task.add_done_callback(functools.partial(self._answered, request, keep))

    def _answered(self, request: Request, keep: bool, task: asyncio.Future[Response]) -> None:
        self._busy = False
        if task.cancelled() or task.exception():
            self.close()
            task.result()
        elif self._socket.fileno() >= 0:
            self._answer(request, task.result(), keep)
            self._next()

    def _answer(self, request: Request, response: Response, keep: bool) -> None:
        keep = keep and not self._listener.retiring
        self._last = self._last or not keep
        self._send(encode(response, keep, head=request.method == "HEAD"))

    def _refuse(self, status: HTTPStatus) -> None:
        """Answer with an error, then read on for a moment: closing over unread data would reset the answer away."""
        if not self._refused:
            self._refused = True
            self._waiting.clear()
            self._send(encode(Response(f"{status.value} {status.phrase}".encode(), status.value), keep=False))
            self._loop.call_later(0.5, self.close)

    def _send(self, data: bytes) -> None:
        """Send now what the socket takes, the rest when it takes more; the last answer closes the connection."""
        if self._unsent:
            self._unsent += data
            return
        try:
            sent = self._socket.send(data)
        except BlockingIOError:
            sent = 0
        except OSError:
            self.close()
            return
        if sent < len(data):
            self._unsent = data[sent:]
            self._loop.add_writer(self._socket.fileno(), self._flush)
        elif self._last:
            self.close()

    def _flush(self) -> None:
        self._loop.remove_writer(self._socket.fileno())
        data, self._unsent = self._unsent, b""
        self._send(data)


def address(peer: tuple[str, int, int, int] | tuple[str, int]) -> str:
    """A peer of a socket for both families as "address:port"; an IPv4 one loses its `::ffff:`."""
    return endpoint(peer[0].removeprefix("::ffff:"), peer[1])
