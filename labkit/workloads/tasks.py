"""What runs in a container: a real process, the built-in server, or nothing at all.

Each is running once it is made, ends by itself (`ended(code)`) or by `end`, and leaves nothing behind after `close`.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from labkit.api.objects import Container
from labkit.linux import interactive, process
from labkit.linux.filesystem import Filesystem
from labkit.linux.interactive import Interactive
from labkit.linux.process import Process
from labkit.net.place import Place
from labkit.workloads.attached import Input
from labkit.workloads.deadline import Deadline
from labkit.workloads.images import Serve
from labkit.workloads.inside import Inside
from labkit.workloads.logs import Log
from labkit.workloads.netexec import Netexec, Run
from labkit.workloads.server import Server

Ended = Callable[[int], None]


class RealProcess:
    """A program. When it ends, everything that it started ends with it.

    input  where it has a standard input or a terminal
    """

    def __init__(
        self, started: Process | Interactive, filesystem: Filesystem | None, ended: Ended, source: Input | None
    ) -> None:
        self.input = source
        self._process = started
        self._filesystem = filesystem
        self._ended = ended
        self._watching = asyncio.get_running_loop().create_task(self._watch())

    @classmethod
    async def start(
        cls, place: Place, argv: Sequence[str], log: Log, ended: Ended, inside: Inside, spec: Container
    ) -> RealProcess:
        """Raises `CommandError` where it cannot be started."""

        def written(stream: int, data: bytes) -> None:
            log.add(data, stream)

        seen: dict[str, Any] = {"env": inside.variables, "cwd": inside.cwd, "filesystem": inside.filesystem}
        if not (spec.stdin or spec.tty):
            return cls(await process.spawn(place, argv, written, **seen), inside.filesystem, ended, None)
        source = Input(spec.stdin, spec.stdin_once)
        program = await interactive.start(place, argv, written, source.taken, **seen, stdin=spec.stdin, tty=spec.tty)
        source.program = program
        return cls(program, inside.filesystem, ended, source)

    async def end(self, deadline: Deadline, _: asyncio.Event | None = None) -> None:
        """SIGTERM, at the deadline SIGKILL."""
        self._process.terminate()
        if not await deadline.until(self._watching):
            self._process.signal(signal.SIGKILL)
            await asyncio.wait([self._watching])

    def close(self) -> None:
        self._process.signal(signal.SIGKILL)

    async def _watch(self) -> None:
        code = await self._process.wait()
        if self._filesystem:
            await self._filesystem.end()
        self._ended(code)


class Served:
    """The built-in server. It ends as a well-behaved server does, so that no request meets a closed port.

    SIGTERM ──> serves on, each connection up to its next answer ── withdrawn ──> answers what has been asked ──> 0
    """

    def __init__(self, place: Place, serve: Serve, log: Log, ended: Ended, run: Run) -> None:
        self._ended = ended
        self._server = Server(place, serve, Netexec(place, serve, log.add, ended, run))

    @property
    def cpu(self) -> int:
        """Nanoseconds of CPU time that serving has taken."""
        return self._server.cpu

    async def end(self, deadline: Deadline, withdrawn: asyncio.Event | None = None) -> None:
        """`withdrawn`: no node sends new connections here any more."""
        self._server.retire()
        if withdrawn and not withdrawn.is_set():
            await _by(deadline, withdrawn.wait())
        await _by(deadline, self._server.finish())
        self._ended(0)

    def close(self) -> None:
        self._server.close()


class Idle:
    """It waits for its end."""

    def __init__(self, ended: Ended) -> None:
        self._ended = ended

    async def end(self, _: Deadline, __: asyncio.Event | None = None) -> None:
        self._ended(0)

    def close(self) -> None:
        pass


Task = RealProcess | Served | Idle


async def _by(deadline: Deadline, work: Coroutine[Any, Any, object]) -> None:
    """Wait for the work, no longer than to the deadline."""
    doing: asyncio.Future[Any] = asyncio.ensure_future(work)
    if not await deadline.until(doing):
        doing.cancel()
