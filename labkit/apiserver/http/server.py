"""The server: listening sockets, connections handed in, and what all connections share."""

from __future__ import annotations

import asyncio
import socket
import ssl
import sys
import time
import traceback
from collections.abc import Callable

from labkit.apiserver.http.connection import Connection
from labkit.apiserver.http.messages import Answer, Handler, Request

MOST_CONNECTIONS = 1000
PATIENCE = 60.0  # seconds that a client may stop in the middle of a request, or of reading an answer
HANDSHAKE = 10.0


class Server:
    """Serves TLS on every socket that it is given, until `close`.

    handler   answers a request
    refusal   the answer to what is no request: a status of 400, 413, 431, 500
    """

    def __init__(self, handler: Handler, refusal: Callable[[int], Answer], tls: ssl.SSLContext | None) -> None:
        self.handler = handler
        self.refusal = refusal
        self.connections: set[Connection] = set()
        self._tls = tls
        self._loop = asyncio.get_running_loop()
        self._listening: list[socket.socket] = []
        self._arriving: set[asyncio.Task[None]] = set()
        self._sweep = self._loop.call_later(PATIENCE / 2, self._swept)

    def listen(self, sock: socket.socket) -> None:
        """Accept on a listening socket."""
        sock.setblocking(False)
        self._listening.append(sock)
        self._loop.add_reader(sock.fileno(), self._accept, sock)

    def take(self, sock: socket.socket) -> None:
        """Serve a connection that has been accepted already."""
        if len(self.connections) + len(self._arriving) >= MOST_CONNECTIONS:
            sock.close()
            return
        sock.setblocking(False)
        if sock.family == socket.AF_INET:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        task = self._loop.create_task(self._greet(sock))
        self._arriving.add(task)
        task.add_done_callback(self._arriving.discard)

    def close(self) -> None:
        self._sweep.cancel()
        for sock in self._listening:
            self._loop.remove_reader(sock.fileno())
            sock.close()
        for task in self._arriving:
            task.cancel()
        for connection in list(self.connections):
            connection.abort()

    def failed(self, request: Request, error: BaseException) -> Answer:
        """A fault of the server: to its log, and without a word of it to the client."""
        text = "".join(traceback.format_exception(error))
        print(f"{request.method} {request.target[:300]}: {text}", file=sys.stderr)  # noqa: T201 - the lab's log
        return self.refusal(500)

    def _accept(self, listening: socket.socket) -> None:
        for _ in range(64):  # then let others have the loop
            try:
                sock, _peer = listening.accept()
            except OSError:  # there is none, it has gone, or no descriptor is left for it
                return
            self.take(sock)

    async def _greet(self, sock: socket.socket) -> None:
        timeout = HANDSHAKE if self._tls else None
        try:
            await self._loop.connect_accepted_socket(
                lambda: Connection(self), sock, ssl=self._tls, ssl_handshake_timeout=timeout
            )
        except (OSError, TimeoutError):  # not TLS, not our certificate, or gone
            sock.close()

    def _swept(self) -> None:
        since = time.monotonic() - PATIENCE
        for connection in list(self.connections):
            if connection.stuck(since):
                connection.abort()
        self._sweep = self._loop.call_later(PATIENCE / 2, self._swept)
