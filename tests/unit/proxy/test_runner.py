"""When a node is brought in step, by a clock that the test turns."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from labkit.proxy.runner import Runner


class Clock:
    """Timers that run when the test says so."""

    class Timer:
        def __init__(self, at: float, call: Callable[[], None]) -> None:
            self.at, self.call, self.cancelled = at, call, False

        def cancel(self) -> None:
            self.cancelled = True

    def __init__(self) -> None:
        self.now = 0.0
        self._timers: list[Clock.Timer] = []

    def later(self, seconds: float, call: Callable[[], None]) -> Clock.Timer:
        timer = Clock.Timer(self.now + seconds, call)
        self._timers.append(timer)
        return timer

    async def turn(self, seconds: float) -> None:
        """Let so much time pass, and what is due happen."""
        end = self.now + seconds
        while True:
            await settled()
            due = [t for t in self._timers if t.at <= end and not t.cancelled]
            if not due:
                break
            timer = min(due, key=lambda t: t.at)
            self._timers.remove(timer)
            self.now = timer.at
            timer.call()
        self.now = end


async def settled() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


class Bed:
    """A runner with `least` 2, `retry` 30 and `most` 100 seconds; `runs`: when it ran."""

    def __init__(self, least: float = 2) -> None:
        self.clock = Clock()
        self.runs: list[float] = []
        self.good = True
        self.idle = 0
        self.hold: asyncio.Event | None = None
        self.tasks: set[asyncio.Task[None]] = set()
        self.runner = Runner(self._work, least, 30, 100, self._start, self.clock.later, self._quiet)

    async def _work(self) -> bool:
        self.runs.append(self.clock.now)
        if self.hold:
            await self.hold.wait()
        return self.good

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    def _quiet(self) -> None:
        self.idle += 1


def test_at_once_but_not_too_often() -> None:
    async def scene() -> None:
        bed = Bed()
        bed.runner.run()
        await bed.clock.turn(0.5)
        for _ in range(5):
            bed.runner.run()
        assert not bed.runner.idle
        await bed.clock.turn(10)
        assert bed.runs == [0, 2]
        assert bed.runner.idle

    asyncio.run(scene())


def test_what_is_asked_during_a_run_is_one_more_run() -> None:
    async def scene() -> None:
        bed = Bed(least=0)
        bed.hold = asyncio.Event()
        bed.runner.run()
        await settled()
        bed.runner.run()
        bed.runner.run()
        await settled()
        assert bed.runs == [0] and not bed.runner.idle and not bed.idle
        bed.hold.set()
        await settled()
        assert bed.runs == [0, 0] and bed.runner.idle and bed.idle == 1

    asyncio.run(scene())


def test_a_failed_run_is_tried_again() -> None:
    async def scene() -> None:
        bed = Bed()
        bed.good = False
        bed.runner.run()
        await bed.clock.turn(61)
        assert bed.runs == [0, 30, 60]
        bed.good = True
        bed.runner.run()
        await bed.clock.turn(90)
        assert bed.runs == [0, 30, 60, 62], "the first good run ended the trying"
        await bed.clock.turn(20)
        assert bed.runs[4:] == [162], "and after the longest time it runs unasked"

    asyncio.run(scene())


def test_a_run_that_raises_counts_as_failed() -> None:
    async def scene() -> None:
        clock, runs = Clock(), []

        async def work() -> bool:
            runs.append(clock.now)
            raise ValueError("no")

        def start(work: Coroutine[Any, Any, None]) -> None:
            tasks.append(asyncio.ensure_future(work))

        tasks: list[asyncio.Future[None]] = []
        runner = Runner(work, 0, 30, 100, start, clock.later)
        runner.run()
        await clock.turn(35)
        assert runs == [0, 30] and runner.idle
        assert [type(each) for each in await asyncio.gather(*tasks, return_exceptions=True)] == [ValueError] * 2

    asyncio.run(scene())


def test_one_that_is_stopped_does_nothing() -> None:
    async def scene() -> None:
        bed = Bed()
        bed.runner.run()
        await settled()
        bed.runner.run()
        bed.runner.stop()
        bed.runner.run()
        await bed.clock.turn(300)
        assert bed.runs == [0] and bed.runner.idle

    asyncio.run(scene())


@given(st.lists(st.integers(0, 5), max_size=30), st.booleans())
def test_whatever_is_asked_is_done_and_never_too_soon(pauses: list[int], good: bool) -> None:
    async def scene() -> None:
        bed = Bed()
        bed.good = good
        asked = []
        for pause in pauses:
            await bed.clock.turn(pause)
            asked.append(bed.clock.now)
            bed.runner.run()
        await bed.clock.turn(29)
        assert all(later - earlier >= 2 for earlier, later in zip(bed.runs, bed.runs[1:], strict=False))
        assert all(any(when <= run <= when + 2 for run in bed.runs) for when in asked)
        assert bed.runner.idle

    asyncio.run(scene())
