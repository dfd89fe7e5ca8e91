"""Bytes on their way from one task to another, never many at a time."""

from __future__ import annotations

import asyncio

PIECE = 32 * 1024
LIMIT = 256 * 1024


class Pipe:
    """One task puts, another gets. Who puts waits while more than `LIMIT` bytes are in it."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._changed = asyncio.Event()
        self.ended = False

    async def put(self, data: bytes) -> None:
        """Nothing is kept once it has ended."""
        if not self.ended:
            self._buffer += data
            self._changed.set()
        while len(self._buffer) > LIMIT and not self.ended:
            self._changed.clear()
            await self._changed.wait()

    async def get(self) -> bytes:
        """What is in it, at most `PIECE` bytes; empty at the end."""
        while not self._buffer and not self.ended:
            self._changed.clear()
            await self._changed.wait()
        data = bytes(self._buffer[:PIECE])
        del self._buffer[:PIECE]
        self._changed.set()
        return data

    def end(self, discard: bool = False) -> None:
        """Nothing more comes; with `discard` what is in it goes as well."""
        self.ended = True
        if discard:
            self._buffer.clear()
        self._changed.set()
