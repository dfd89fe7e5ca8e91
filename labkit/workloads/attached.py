"""Attaching to a container that runs: what it writes from now on, and its standard input where it has one.

    container ── Log ── listeners ──> Attached ──> who has attached
              <── Input ───────────── Attached <──

The real shim copies to all that are attached, and waits for the slowest. Here only a program that has an input waits;
any other one's output goes on without a client that does not keep up. Source: containerd's cio, kubelet's ServeAttach.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from labkit.linux.interactive import Interactive
from labkit.workloads.logs import Log

Written = Callable[[int, bytes], None]
Taken = Callable[[int], None]


class Input:
    """The standard input of a container, shared by all who are attached.

    open  whether it takes any; a terminal may be there all the same. once: it ends with the first who is attached
    """

    def __init__(self, open: bool, once: bool) -> None:  # noqa: A002
        self.once = once
        self._open = open
        self.program: Interactive | None = None
        self._feeding: deque[tuple[Taken, int]] = deque()
        self._full: set[Attached] = set()

    def feed(self, data: bytes, taken: Taken) -> None:
        if self.program and self._open:
            self._feeding.append((taken, len(data)))
            self.program.feed(data)
        else:
            taken(len(data))

    def taken(self, count: int) -> None:
        """The program has taken so many bytes: those that were fed first."""
        while count and self._feeding:
            taken, left = self._feeding.popleft()
            if left > count:
                self._feeding.appendleft((taken, left - count))
            taken(min(left, count))
            count -= min(left, count)

    def hold(self, attached: Attached, full: bool) -> None:
        """Whether one of those who are attached has enough for now."""
        before = bool(self._full)
        (self._full.add if full else self._full.discard)(attached)
        if self.program and bool(self._full) != before:
            (self.program.pause if full else self.program.resume)()


class Attached:
    """An end of `labkit.workloads.streams`. `input` is None for a container without one."""

    def __init__(self, log: Log, input: Input | None, written: Written, taken: Taken) -> None:  # noqa: A002
        self._log = log
        self._input = input
        self._written = written
        self._taken = taken
        self._full = False
        self._ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        log.listeners.append(self._heard)
        if log.closed:
            self._over()

    def feed(self, data: bytes) -> None:
        if self._input:
            self._input.feed(data, self._taken)
        else:
            self._taken(len(data))

    def close_input(self) -> None:
        if self._input and self._input.once and self._input.program:
            self._input.program.close_input()

    def resize(self, columns: int, rows: int) -> None:
        if self._input and self._input.program:
            self._input.program.resize(columns, rows)

    def pause(self) -> None:
        self._hold(True)

    def resume(self) -> None:
        self._hold(False)

    async def wait(self) -> int:
        """0, however the container ended: its own state tells that."""
        return await asyncio.shield(self._ended)

    async def end(self) -> None:
        """Detach; the container goes on."""
        self.close_input()
        self._over()

    def _heard(self, stream: int, data: bytes) -> None:
        if not stream:
            self._over()
        elif not self._full or self._input:
            self._written(stream, data)

    def _hold(self, full: bool) -> None:
        self._full = full
        if self._input:
            self._input.hold(self, full)

    def _over(self) -> None:
        if not self._ended.done():
            self._log.listeners.remove(self._heard)
            self._hold(False)
            self._ended.set_result(0)
