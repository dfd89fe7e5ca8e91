"""Both ends of a connection over a socket pair, and simple ends in a pod."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable

from labkit.apiserver.streams.ends import STDERR, STDOUT
from labkit.apiserver.streams.taken import Taken
from labkit.errors import LabError


class Far:
    """The client's end: raw bytes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def send(self, *data: bytes) -> None:
        self.writer.write(b"".join(data))

    async def read(self) -> bytes:
        return await self.reader.read(65536)

    def close(self) -> None:
        self.writer.close()


async def pair() -> tuple[Taken, Far]:
    """The server's end and the client's."""
    ours, theirs = socket.socketpair()
    return Taken(*await asyncio.open_connection(sock=ours)), Far(*await asyncio.open_connection(sock=theirs))


def run(work: Callable[[Taken, Far], Awaitable[None]]) -> None:
    async def both() -> None:
        near, far = await pair()
        try:
            async with asyncio.timeout(20):
                await work(near, far)
        finally:
            near.close()
            far.close()

    asyncio.run(both())


class Cat:
    """A process that writes what it is given to stdout, and to stderr how its terminal grew.

    It takes `room` pieces of input that nobody has read as output yet; with `deaf` it takes none, for ever.
    """

    def __init__(self, code: int = 0, room: int = 4, deaf: bool = False) -> None:
        self.code = code
        self.closed = False
        self.deaf = deaf
        self._written: asyncio.Queue[tuple[int, bytes] | None] = asyncio.Queue(room)

    async def read(self) -> tuple[int, bytes] | None:
        return await self._written.get()

    async def write(self, data: bytes) -> None:
        if self.deaf:
            await asyncio.Event().wait()
        await self._written.put((STDOUT, data))

    async def close_stdin(self) -> None:
        await self._written.put(None)

    async def resize(self, columns: int, rows: int) -> None:
        await self._written.put((STDERR, f"{columns}x{rows}".encode()))

    async def wait(self) -> int:
        return self.code

    async def close(self) -> None:
        self.closed = True


class Answering:
    """A connection in a pod that sends everything back in upper case, and closes after its client has."""

    def __init__(self) -> None:
        self.closed = asyncio.Event()
        self._back: asyncio.Queue[bytes] = asyncio.Queue(4)

    async def read(self) -> bytes:
        return await self._back.get()

    async def write(self, data: bytes) -> None:
        await self._back.put(data.upper())

    async def close_write(self) -> None:
        await self._back.put(b"")

    async def close(self) -> None:
        self.closed.set()


class Pod:
    """Port 80 answers, no other does."""

    def __init__(self) -> None:
        self.connections: list[Answering] = []

    async def dial(self, port: int) -> Answering:
        if port != 80:
            raise LabError("connection refused")
        self.connections.append(Answering())
        return self.connections[-1]
