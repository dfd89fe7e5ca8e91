"""Whether a client is still there while its input is held back.

A client that is killed with input under way cannot say so: its kernel keeps the end of the connection behind bytes that
nobody reads. But it answers whatever is sent to it with a reset.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

INTERVAL = 1.0  # seconds

Ask = Callable[[], Awaitable[None]]


async def asking(work: Coroutine[Any, Any, None], ask: Ask) -> None:
    """Wait for what takes a client's input; meanwhile `ask` the client for a sign of life."""
    task = asyncio.ensure_future(work)
    try:
        while not task.done():
            await asyncio.wait([task], timeout=INTERVAL)
            if not task.done():
                await ask()
    finally:
        task.cancel()
    task.result()
