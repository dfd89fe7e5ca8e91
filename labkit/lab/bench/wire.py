"""A client that costs next to nothing: HTTP/1.1 over TLS, a few connections, requests that were made beforehand.

request 1 ─> connection 1 ─┐
request 2 ─> connection 2 ─┼─ answers in order; each connection gets its next request when its answer is there
…                          ┘
"""

from __future__ import annotations

import socket
import ssl
import time
from collections import deque
from collections.abc import Iterable, Sequence

import httptools

CHUNK = 1 << 20


class Connection:
    """One connection to 127.0.0.1. httptools calls the `on_…` methods while it parses."""

    def __init__(self, port: int, tls: ssl.SSLContext) -> None:
        sock = socket.create_connection(("127.0.0.1", port), timeout=60)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            self._sock = tls.wrap_socket(sock, server_hostname="127.0.0.1")
        except OSError:
            sock.close()
            raise
        self._begin()

    def _begin(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._headed = self._complete = False
        self._body: list[bytes] = []

    def on_headers_complete(self) -> None:
        self._headed = True

    def on_body(self, body: bytes) -> None:
        self._body.append(body)

    def on_message_complete(self) -> None:
        self._complete = True

    def send(self, request: bytes) -> None:
        self._sock.sendall(request)

    def receive(self) -> bytes:
        """The body of the answer. Raises `RuntimeError` for one that is no success."""
        while not self._complete:
            self._read()
        status, body = self._parser.get_status_code(), b"".join(self._body)
        self._begin()
        if status not in (200, 201):
            raise RuntimeError(f"answer {status}: {body[:300]!r}")
        return body

    def ask(self, request: bytes) -> bytes:
        self.send(request)
        return self.receive()

    def opened(self, request: bytes) -> None:
        """Begin a stream: returns when its head is there."""
        self.send(request)
        while not self._headed:
            self._read()
        if (status := self._parser.get_status_code()) != 200:
            raise RuntimeError(f"no stream: {status}")

    def until(self, mark: bytes) -> None:
        """Read on in the stream until this is in it."""
        while mark not in b"".join(self._body):
            self._read()
        self._body.clear()

    def close(self) -> None:
        self._sock.close()

    def _read(self) -> None:
        data = self._sock.recv(CHUNK)
        if not data:
            raise RuntimeError("the server has closed the connection")
        self._parser.feed_data(data)


def seconds(connections: Sequence[Connection], requests: Iterable[bytes]) -> float:
    """How long all of the requests take, with one under way on each connection."""
    rest = iter(requests)
    waiting: deque[Connection] = deque()
    began = time.perf_counter()
    for connection, request in zip(connections, rest, strict=False):
        connection.send(request)
        waiting.append(connection)
    while waiting:
        connection = waiting.popleft()
        connection.receive()
        if request := next(rest, b""):
            connection.send(request)
            waiting.append(connection)
    return time.perf_counter() - began


def message(method: str, path: str, body: bytes = b"") -> bytes:
    """A request as it goes on the wire."""
    head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: application/json\r\n"
    if body:
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    return head.encode() + b"\r\n" + body
