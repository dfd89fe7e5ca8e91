"""When a proxy brings its node in step: at once when asked, but not too often, and again after a failure.

    run ──> work ── at least `least` from its end ──> the next; whatever was asked meanwhile is one run
             └ it failed: again after `retry`, unless asked before

Source: Kubernetes v1.34, pkg/proxy/runner/bounded_frequency_runner.go.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Protocol


class Timer(Protocol):
    def cancel(self) -> None: ...


Later = Callable[[float, Callable[[], None]], Timer]
Start = Callable[[Coroutine[Any, Any, None]], None]


class Runner:
    """Runs `work`, which says whether it succeeded, one at a time. Times in seconds.

    most   after so long without a run it runs unasked
    start  starts a coroutine as a task; later: calls after so many seconds, as a loop's call_later
    idle   called when nothing is under way and nothing is asked for
    """

    def __init__(
        self,
        work: Callable[[], Awaitable[bool]],
        least: float,
        retry: float,
        most: float,
        start: Start,
        later: Later,
        idle: Callable[[], None] = lambda: None,
    ) -> None:
        self._work = work
        self._least, self._retry, self._most = least, retry, most
        self._start = start
        self._later = later
        self._idle = idle
        self._busy = self._wanted = self._stopped = False
        self._cooling: Timer | None = None
        self._timers: list[Timer] = []

    @property
    def idle(self) -> bool:
        return not (self._busy or self._wanted)

    def run(self) -> None:
        """Ask for a run: it begins at once, or as soon as it may."""
        if not self._stopped:
            self._wanted = True
            self._go()

    def stop(self) -> None:
        """No run begins any more; one that is under way ends by itself."""
        self._stopped, self._wanted = True, False
        self._cancel()
        if self._cooling:
            self._cooling.cancel()
        if not self._busy:
            self._idle()

    def _go(self) -> None:
        if self._wanted and not self._busy and self._cooling is None:
            self._busy = True
            self._cancel()
            self._start(self._run())

    async def _run(self) -> None:
        good = False
        try:
            self._wanted = False
            good = await self._work()
        finally:
            self._busy = False
            self._ended(good)

    def _ended(self, good: bool) -> None:
        if not self._stopped:
            self._timers.append(self._later(self._most if good else min(self._retry, self._most), self.run))
            if self._least:
                self._cooling = self._later(self._least, self._cooled)
            self._go()
        if self.idle:
            self._idle()

    def _cooled(self) -> None:
        self._cooling = None
        self._go()

    def _cancel(self) -> None:
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
