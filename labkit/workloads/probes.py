"""Startup, liveness and readiness probes of one container, by the kubelet's rules.

    initialDelaySeconds ── probe ── periodSeconds ── probe ── … ──> a result, once it held for its threshold
    startup ──passed──> liveness ──failed──> the container is ended       readiness ──> ready or not

Source: pkg/kubelet/prober/{worker,prober}.go.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from labkit.api.objects import Container, Probe
from labkit.net.place import Place
from labkit.workloads import checks
from labkit.workloads.checks import Run

Check = Callable[[], Awaitable[str | None]]
"""Probes once: None where all is well, else why not, which may be the empty text."""


class Settling:
    """Probe results as they settle: a change counts only after it held for its threshold."""

    def __init__(self, probe: Probe, check: Check) -> None:
        self._probe = probe
        self._check = check
        self._pause: float = probe.initial_delay_seconds
        self._last: bool | None = None
        self._run = 0

    async def next(self) -> bool:
        """Wait for the next result that counts."""
        while True:
            await asyncio.sleep(self._pause)
            self._pause = self._probe.period_seconds
            good = await self._check() is None
            self._run = self._run + 1 if good == self._last else 1
            self._last = good
            if self._run >= (self._probe.success_threshold if good else self._probe.failure_threshold):
                return good


class Health:
    """Runs a container's probes. What follows from them: `started()`, `ready(bool)`, `kill(probe)`.

    `unhealthy(text)` is called for each failure, also below the threshold; `run` runs a command in the container.
    """

    def __init__(
        self,
        container: Container,
        place: Place,
        run: Run,
        started: Callable[[], None],
        ready: Callable[[bool], None],
        kill: Callable[[str], None],
        unhealthy: Callable[[str], None],
    ) -> None:
        self._container = container
        self._place = place
        self._run = run
        self._ending = False
        self._started = started
        self._ready = ready
        self._kill = kill
        self._unhealthy = unhealthy

    async def watch(self) -> None:
        """Probe until cancelled, or until a probe has ended the container."""
        if self._container.startup_probe:
            settling = self._settling("Startup", self._container.startup_probe)
            if not await settling.next():
                self._kill("startup")
                return
            self._started()
        async with asyncio.TaskGroup() as tasks:
            if self._container.liveness_probe:
                tasks.create_task(self._live(self._settling("Liveness", self._container.liveness_probe)))
            if self._container.readiness_probe:
                tasks.create_task(self._watch_ready(self._settling("Readiness", self._container.readiness_probe)))
            elif self._container.startup_probe:
                self._ready(True)

    def end(self) -> None:
        """The container is about to end: whether it lives is no longer the question, whether it is ready still is."""
        self._ending = True

    async def _live(self, settling: Settling) -> None:
        while await settling.next():
            if self._ending:
                return
        if not self._ending:
            self._kill("liveness")

    async def _watch_ready(self, settling: Settling) -> None:
        while True:
            self._ready(await settling.next())

    def _settling(self, name: str, probe: Probe) -> Settling:
        async def once() -> str | None:
            why = await checks.check(probe, self._container, self._place, self._run)
            if why is not None:
                self._unhealthy(f"{name} probe failed: {why}")
            return why

        return Settling(probe, once)
