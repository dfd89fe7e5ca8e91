"""Tasks that end together."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any


class Tasks:
    """What runs beside its owner; `end` leaves none of it."""

    def __init__(self) -> None:
        self._running: set[asyncio.Task[Any]] = set()

    def start(self, work: Coroutine[Any, Any, Any]) -> None:
        """Run it. What fails is told to the loop, unless it is that the client has gone."""
        self._run(work).add_done_callback(_report)

    async def first(self, *work: Coroutine[Any, Any, Any]) -> int:
        """Run all of it until one has ended; returns which, the last of those that have. Raises what it raised."""
        tasks = [self._run(each) for each in work]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        ended = max(i for i, task in enumerate(tasks) if task.done())
        tasks[ended].result()
        return ended

    async def end(self) -> None:
        """Cancel what still runs, and wait for its end."""
        running = list(self._running)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    def _run(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        task = asyncio.get_running_loop().create_task(work)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return task


def _report(task: asyncio.Task[Any]) -> None:
    if task.cancelled() or isinstance(error := task.exception(), ConnectionError | None):
        return
    task.get_loop().call_exception_handler({"message": "a stream failed", "exception": error, "task": task})
