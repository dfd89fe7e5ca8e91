"""A connection that was taken over from HTTP, as `Upgraded`.

`gone` must be heard of while nothing is read, or a command whose input is full would outlive its client: then only the
kernel knows, and is asked by a descriptor of its own: it says so however much of what the client sent is unread.
"""

from __future__ import annotations

import asyncio
import select

PIECE = 64 * 1024


class Taken:
    """`Upgraded` over a stream's two halves."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._gone = asyncio.Event()

    async def read(self) -> bytes:
        try:
            data = await self._reader.read(PIECE)
        except OSError:  # a reset, or TLS that is cut off
            data = b""
        if not data:
            self._gone.set()
        return data

    async def write(self, data: bytes) -> None:
        if self._gone.is_set() or self._writer.is_closing():
            raise ConnectionResetError("the client has gone")
        try:
            self._writer.write(data)
            await self._writer.drain()
        except OSError as error:
            self._gone.set()
            raise ConnectionResetError("the client has gone") from error

    async def gone(self) -> None:
        sock = self._writer.get_extra_info("socket")
        loop = asyncio.get_running_loop()
        with select.epoll() as watch:
            if sock is not None and sock.fileno() >= 0:
                watch.register(sock.fileno(), select.EPOLLRDHUP)
            loop.add_reader(watch.fileno(), self._gone.set)
            try:
                await self._gone.wait()
            finally:
                loop.remove_reader(watch.fileno())

    def close(self) -> None:
        self._writer.close()
