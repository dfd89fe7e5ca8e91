"""Streams into pods, in the workload process: commands, attached containers, connections to ports.

    control ── open_stream(number, …) ──> exec | attach | dial
            ── stream(number, do, …)  ──> input, close, resize, credit, abandon
            <── notify("stream", …) ────  output, taken, ended

Neither side sends more than `WINDOW` bytes that the other has not reported as used: a slow client fills no memory.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Protocol

from labkit.errors import LabError
from labkit.linux import interactive
from labkit.net.place import Place
from labkit.workloads.attached import Attached, Input
from labkit.workloads.dialled import Dialled
from labkit.workloads.inside import Inside
from labkit.workloads.logs import Log

WINDOW = 256 * 1024

Notify = Callable[[str, dict[str, Any]], None]


class End(Protocol):
    """The end in the pod."""

    def feed(self, data: bytes) -> None: ...
    def close_input(self) -> None: ...
    def resize(self, columns: int, rows: int) -> None: ...
    def pause(self) -> None: ...
    def resume(self) -> None: ...
    async def wait(self) -> int: ...
    async def end(self) -> None: ...


class Outlet:
    """What an end writes to: told to control, and held back where control has enough."""

    def __init__(self, number: int, notify: Notify) -> None:
        self.end: End | None = None
        self._number = number
        self._notify = notify
        self._unused = 0

    def written(self, stream: int, data: bytes) -> None:
        self._unused += len(data)
        if self._unused >= WINDOW and self.end:
            self.end.pause()
        self.tell("output", stream, data)

    def credit(self, count: int) -> None:
        """Control has used so many bytes."""
        full, self._unused = self._unused >= WINDOW, self._unused - count
        if full and self._unused < WINDOW and self.end:
            self.end.resume()

    def taken(self, count: int) -> None:
        if count:
            self.tell("taken", count)

    def tell(self, do: str, *values: Any) -> None:
        self._notify("stream", {"number": self._number, "do": do, "values": values})


class Streams:
    """All of them, by the number that control has given each."""

    def __init__(self, notify: Notify) -> None:
        self._notify = notify
        self._open: dict[int, tuple[End, Outlet]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def command(
        self, number: int, place: Place, argv: Sequence[str], inside: Inside, stdin: bool, tty: bool
    ) -> None:
        """Run a command. Raises `CommandError`."""
        outlet = Outlet(number, self._notify)
        program = await interactive.start(
            place, argv, outlet.written, outlet.taken, env=inside.variables, cwd=inside.cwd,
            filesystem=inside.filesystem, stdin=stdin, tty=tty,
        )  # fmt: skip
        self._add(number, program, outlet)

    def attach(self, number: int, log: Log, source: Input | None) -> None:
        """Hear what is written to a log from now on, and feed an input where there is one."""
        outlet = Outlet(number, self._notify)
        self._add(number, Attached(log, source, outlet.written, outlet.taken), outlet)

    async def dial(self, number: int, place: Place, port: int) -> None:
        """Connect to a port of the pod. Raises `CommandError`."""
        outlet = Outlet(number, self._notify)
        self._add(number, await Dialled.to(place, port, outlet.written, outlet.taken), outlet)

    def stream(self, number: int, do: str, values: Sequence[Any]) -> None:
        """What control has for a stream; nothing happens for one that has ended."""
        if number not in self._open:
            return
        end, outlet = self._open[number]
        if do == "credit":
            outlet.credit(*values)
        elif do == "input":
            end.feed(*values)
        elif do == "close":
            end.close_input()
        elif do == "resize":
            end.resize(*values)
        elif do == "abandon":
            self._later(end.end())
        else:
            raise LabError(f"a stream cannot {do}")

    async def end(self, number: int) -> None:
        """Nobody listens any more; returns when nothing of it is left."""
        if number in self._open:
            end, _ = self._open[number]
            await end.end()

    def _add(self, number: int, end: End, outlet: Outlet) -> None:
        outlet.end = end
        self._open[number] = end, outlet
        self._later(self._watch(number, end, outlet))

    def _later(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _watch(self, number: int, end: End, outlet: Outlet) -> None:
        code = await end.wait()
        del self._open[number]
        outlet.tell("ended", code)
