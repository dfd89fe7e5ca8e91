"""A moment by which something must have ended; it can come nearer, never go further away."""

from __future__ import annotations

import asyncio
from typing import Any


class Deadline:
    """`seconds` from now."""

    def __init__(self, seconds: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._at = self._loop.time() + seconds
        self._passed = asyncio.Event()
        self._timer = self._loop.call_later(seconds, self._passed.set)

    @property
    def left(self) -> float:
        """Seconds that are left."""
        return max(0.0, self._at - self._loop.time())

    def shorten(self, seconds: float) -> None:
        """Let no more than `seconds` from now be left."""
        if seconds < self.left:
            self._timer.cancel()
            self._at = self._loop.time() + seconds
            self._timer = self._loop.call_later(seconds, self._passed.set)

    async def until(self, work: asyncio.Future[Any]) -> bool:
        """Wait for the work, no longer than to the deadline; says whether it is done. The work goes on in any case."""
        passed: asyncio.Future[Any] = asyncio.ensure_future(self._passed.wait())
        try:
            await asyncio.wait({work, passed}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            passed.cancel()
        return work.done()
