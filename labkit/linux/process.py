"""Programs started in a place, watched by the loop.

    loop ──> thread: views.enter ── Popen ─┐          about a millisecond, most of it fork and exec
      <── pipes and a pidfd                │          the thread ends: one that entered a place serves no other

A program runs in a session of its own. One that is started in a container's `Filesystem` is found by that ever after:
`filesystem.by_namespace` has every process that came from it, wherever in the process tree it went.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import IO, TypeVar

from labkit.errors import CommandError
from labkit.linux import views
from labkit.linux.filesystem import Filesystem
from labkit.linux.iptables import BIN
from labkit.net.place import Place

T = TypeVar("T")
Sink = Callable[[int, bytes], None]

STDOUT, STDERR = 1, 2
NOT_FOUND, NOT_EXECUTABLE = 127, 126  # as sh has them
_SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class Process:
    """A started program."""

    def __init__(self, popen: subprocess.Popen[bytes], sink: Sink, stdin: bytes) -> None:
        self.pid = popen.pid
        self._popen = popen
        self._sink = sink
        self._stdin = memoryview(stdin)
        self._loop = asyncio.get_running_loop()
        self._ended: asyncio.Future[int] = self._loop.create_future()
        self._pipes = {STDOUT: popen.stdout, STDERR: popen.stderr}
        for stream, pipe in self._pipes.items():
            if pipe:
                os.set_blocking(pipe.fileno(), False)
                self._loop.add_reader(pipe.fileno(), self._read, stream)
        if popen.stdin:
            os.set_blocking(popen.stdin.fileno(), False)
            self._loop.add_writer(popen.stdin.fileno(), self._write, popen.stdin)
        self._pidfd = os.pidfd_open(popen.pid)
        self._loop.add_reader(self._pidfd, self._exited)

    @property
    def running(self) -> bool:
        return not self._ended.done()

    async def wait(self) -> int:
        """The exit code, 128 + n after signal n, once all that the program itself wrote has been read."""
        return await asyncio.shield(self._ended)

    def signal(self, number: int) -> None:
        """Send a signal to the program's process group; nothing happens when it has ended."""
        if self.running:
            with suppress(ProcessLookupError):
                os.killpg(self.pid, number)

    def terminate(self) -> None:
        """SIGTERM for the program itself, as container runtimes send it to the first process of a container only."""
        if self.running:
            os.kill(self.pid, signal.SIGTERM)

    def _exited(self) -> None:
        code = self._popen.wait()
        self._loop.remove_reader(self._pidfd)
        os.close(self._pidfd)
        # A background child may hold the pipes open: what is in them by now is all that we wait for.
        for stream in self._pipes:
            self._read(stream)
        for pipe in (*self._pipes.values(), self._popen.stdin):
            self._close(pipe)
        self._ended.set_result(code if code >= 0 else 128 - code)

    def _read(self, stream: int) -> None:
        pipe = self._pipes[stream]
        if not pipe or pipe.closed:
            return
        try:
            for _ in range(16):  # more than a pipe holds; then let others have the loop
                data = os.read(pipe.fileno(), 65536)
                if not data:
                    self._close(pipe)
                    return
                self._sink(stream, data)
        except BlockingIOError:
            pass

    def _write(self, pipe: IO[bytes]) -> None:
        try:
            self._stdin = self._stdin[os.write(pipe.fileno(), self._stdin) :]
        except BlockingIOError:
            return
        except BrokenPipeError:
            self._stdin = self._stdin[:0]
        if not self._stdin:
            self._close(pipe)

    def _close(self, pipe: IO[bytes] | None) -> None:
        if pipe and not pipe.closed:
            self._loop.remove_reader(pipe.fileno())
            self._loop.remove_writer(pipe.fileno())
            pipe.close()


async def spawn(
    place: Place,
    argv: Sequence[str],
    sink: Sink,
    *,
    env: Mapping[str, str] | None = None,
    stdin: bytes = b"",
    cwd: str = "/",
    filesystem: Filesystem | None = None,
) -> Process:
    """Start a program; `sink(stream, data)` gets what it writes (stream 1: stdout, 2: stderr).

    Raises `CommandError` (details: code 127 or 126) where it cannot be started.
    """
    pipe = subprocess.PIPE

    def start() -> subprocess.Popen[bytes]:
        views.enter(place, filesystem)
        return subprocess.Popen(
            argv, stdin=pipe if stdin else subprocess.DEVNULL, stdout=pipe, stderr=pipe, cwd=cwd,
            env=environment(place, env), start_new_session=True, bufsize=0,
        )  # fmt: skip

    starting = asyncio.ensure_future(in_thread(start))
    try:
        popen = await asyncio.shield(starting)
    except asyncio.CancelledError:
        starting.add_done_callback(_discard)
        raise
    except (OSError, ValueError) as error:
        raise _not_started(place, argv, cwd, error) from error
    return Process(popen, sink, stdin)


def environment(place: Place, extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of a program in a place: never the notebook's own; PATH with the sbin directories."""
    path = dict.fromkeys(f"{BIN}:{os.environ.get('PATH', '')}:{_SYSTEM_PATH}".split(":"))
    own = {
        "PATH": ":".join(filter(None, path)),
        "HOME": "/root",
        "LANG": "C.UTF-8",
        "HOSTNAME": place.hostname or place.name,
    }
    return own | dict(extra or {})


async def in_thread(function: Callable[[], T]) -> T:
    """The function's result, from a fresh thread."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def work() -> None:
        try:
            result = function()
        except Exception as error:
            loop.call_soon_threadsafe(future.set_exception, error)
        else:
            loop.call_soon_threadsafe(future.set_result, result)

    threading.Thread(target=work, daemon=True).start()
    return await future


def _discard(starting: asyncio.Future[subprocess.Popen[bytes]]) -> None:
    """Nobody waits for this program any more."""
    if not starting.cancelled() and not starting.exception():
        popen = starting.result()
        os.killpg(popen.pid, signal.SIGKILL)
        with popen:
            pass  # closes its pipes and reaps it


def _not_started(place: Place, argv: Sequence[str], cwd: str, error: Exception) -> CommandError:
    code = NOT_FOUND if isinstance(error, FileNotFoundError) else NOT_EXECUTABLE
    name = getattr(error, "filename", None)
    if name == cwd:
        text = f"working directory {cwd} does not exist in the lab"
    elif name == place.netns:
        text = f"{place.name} has no network namespace (any more)"
    elif isinstance(error, FileNotFoundError):
        text = f"{argv[0]}: command not found"
    else:
        text = f"{argv[0]}: {error}"
    return CommandError(text, code=code)
