"""TCP through a proxy: two connections, and what comes from either is written to the other."""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress

from labkit.linux.relayed import Relayed

CHUNK = 65536
PATIENCE = 2.0
"""Seconds in which a backend must take the connection; then the next one is tried."""

Address = tuple[str, int]
Leg = tuple[Address, Address]
"""A connection to a backend: the proxy's own end and the backend's."""


class Streams:
    """Listens at an address. `backends` may be changed at any time: who is connected stays so."""

    def __init__(self, address: str, port: int, relayed: Relayed[Leg]) -> None:
        self._place = address, port
        self._relayed = relayed
        self.backends: list[tuple[str, int]] = []
        self._turn = 0
        self._loop = asyncio.get_running_loop()
        self._family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self._connections: set[asyncio.Task[None]] = set()
        self._socket = socket.socket(self._family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind((address, port))
        self._socket.listen(512)
        self._loop.add_reader(self._socket, self._accept)

    def close(self) -> None:
        """Stop listening, and end all connections."""
        self._loop.remove_reader(self._socket)
        self._socket.close()
        for connection in self._connections:
            connection.cancel()

    def _accept(self) -> None:
        with suppress(BlockingIOError, ConnectionAbortedError):
            client, sender = self._socket.accept()
            client.setblocking(False)
            task = self._loop.create_task(self._serve(client, sender))
            self._connections.add(task)
            task.add_done_callback(self._connections.discard)

    async def _serve(self, client: socket.socket, sender: Address) -> None:
        with client:
            backend = await self._connect(sender)
            if backend is None:
                return
            with backend, suppress(OSError):
                async with asyncio.TaskGroup() as both:
                    both.create_task(self._carry(client, backend))
                    both.create_task(self._carry(backend, client))

    async def _connect(self, client: Address) -> socket.socket | None:
        """A connection to the next backend that takes one."""
        order = list(self.backends)
        for _ in order:
            place = order[self._turn % len(order)]
            self._turn += 1
            sock = socket.socket(self._family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
            try:
                async with asyncio.timeout(PATIENCE):
                    await self._loop.sock_connect(sock, place)
                self._relayed.note("tcp", self._place, client, (sock.getsockname()[:2], place))
                return sock
            except (OSError, TimeoutError):
                sock.close()
        return None

    async def _carry(self, source: socket.socket, sink: socket.socket) -> None:
        """Copy until the end, and pass that on; a connection that is reset ends the other as well."""
        try:
            while data := await self._loop.sock_recv(source, CHUNK):
                await self._loop.sock_sendall(sink, data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            for each in (source, sink):
                with suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)
