"""A program that somebody talks to: input as it comes, output as it is wanted, a terminal where one is asked for.

    feed ──> pipe or terminal ──> program ──> pipes or terminal ──> written(stream, data)
    taken(n) <── so much of it went in        `pause` holds the output back: the program waits

It leads a session of its own. Source of the terminal's behaviour: containerd's shim (pkg/process/exec.go).
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import signal
import struct
import subprocess
import termios
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

from labkit.errors import CommandError
from labkit.linux import programs, sessions, views
from labkit.linux.filesystem import Filesystem
from labkit.linux.process import environment, in_thread
from labkit.net.place import Place

STDOUT, STDERR = 1, 2
_READ = 65536
_LAST = 16  # reads of what is left in a pipe when its program has ended: more than a pipe holds

Written = Callable[[int, bytes], None]
Taken = Callable[[int], None]


class Interactive:
    """A started program.

    input    descriptor to write to, None where it gets none; with a terminal the same as the output's
    outputs  descriptor of each stream that it writes to
    """

    def __init__(
        self,
        popen: subprocess.Popen[bytes],
        input_: int | None,
        outputs: Mapping[int, int],
        terminal: bool,
        written: Written,
        taken: Taken,
    ) -> None:
        self._popen = popen
        self._input = input_
        self._outputs = dict(outputs)
        self._terminal = terminal
        self._written = written
        self._taken = taken
        self._loop = asyncio.get_running_loop()
        self._ended: asyncio.Future[int] = self._loop.create_future()
        self._pending = bytearray()
        self._last = 0x0A  # the last byte of input
        self._closing = False
        for descriptor in {*self._outputs.values(), *([] if input_ is None else [input_])}:
            os.set_blocking(descriptor, False)
        self._pidfd = os.pidfd_open(popen.pid)
        self._loop.add_reader(self._pidfd, self._exited)
        self.resume()

    async def wait(self) -> int:
        """The exit code, 128 + n after signal n, once all that the program itself wrote has been handed on."""
        return await asyncio.shield(self._ended)

    @property
    def running(self) -> bool:
        return not self._ended.done()

    def signal(self, number: int) -> None:
        """Send a signal to the program's process group; nothing happens when it has ended."""
        if self.running:
            with suppress(ProcessLookupError):
                os.killpg(self._popen.pid, number)

    def terminate(self) -> None:
        """SIGTERM for the program itself."""
        if self.running:
            with suppress(ProcessLookupError):
                os.kill(self._popen.pid, signal.SIGTERM)

    def pause(self) -> None:
        """Take no more output for now."""
        for descriptor in self._outputs.values():
            self._loop.remove_reader(descriptor)

    def resume(self) -> None:
        if self.running:
            for stream, descriptor in self._outputs.items():
                self._loop.add_reader(descriptor, self._read, stream)

    def feed(self, data: bytes) -> None:
        """Give it input. What it does not want any more counts as taken."""
        if self._input is None or self._closing:
            self._taken(len(data))
        elif data:
            self._last = data[-1]
            self._pending += data
            self._loop.add_writer(self._input, self._write)

    def close_input(self) -> None:
        """No more input: the end of the file, which somebody at a terminal tells by ^D."""
        if self._input is None or self._closing:
            return
        self._closing = True
        if self._terminal:  # in the middle of a line, ^D means only that the line so far be read
            self._pending += b"\x04" if self._last in b"\r\n" else b"\x04\x04"
        self._loop.add_writer(self._input, self._write)

    def resize(self, columns: int, rows: int) -> None:
        """Tell the terminal's size; the program in its foreground gets SIGWINCH."""
        if self._terminal and self._input is not None:
            fcntl.ioctl(self._input, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    async def end(self) -> None:
        """End it with all that it started; returns when nothing of that is left."""
        self.pause()
        await sessions.end(self._popen.pid)
        await self.wait()

    def _exited(self) -> None:
        code = self._popen.wait()
        self._loop.remove_reader(self._pidfd)
        os.close(self._pidfd)
        # A background child may hold the pipes open: what is in them by now is all that we wait for.
        for stream in list(self._outputs):
            for _ in range(_LAST):
                if not self._read(stream):
                    break
        descriptors = {*self._outputs.values(), *([] if self._input is None else [self._input])}
        self._outputs.clear()
        self._input = None
        for descriptor in descriptors:
            self._close(descriptor)
        self._drop()
        self._ended.set_result(code if code >= 0 else 128 - code)

    def _read(self, stream: int) -> bool:
        """Hand on what can be read at once; says whether there was something."""
        descriptor = self._outputs.get(stream)
        if descriptor is None:
            return False
        try:
            data = os.read(descriptor, _READ)
        except BlockingIOError:
            return False
        except OSError:  # EIO: nobody has the terminal open any more
            data = b""
        if data:
            self._written(stream, data)
            return True
        self._loop.remove_reader(descriptor)
        if not self._terminal:  # a terminal may be opened again
            del self._outputs[stream]
            os.close(descriptor)
        return False

    def _write(self) -> None:
        if self._input is None:
            return
        try:
            count = os.write(self._input, self._pending) if self._pending else 0
        except BlockingIOError:
            return
        except OSError:  # it reads no more
            self._closing = True
            self._drop()
            return
        del self._pending[:count]
        self._taken(count)
        if not self._pending:
            self._loop.remove_writer(self._input)
            if self._closing:
                self._drop()

    def _drop(self) -> None:
        """No more input goes in."""
        left, self._pending = len(self._pending), bytearray()
        if self._input is not None:
            self._loop.remove_writer(self._input)
            if not self._terminal:
                self._close(self._input)
                self._input = None
        self._closing = True
        self._taken(left)

    def _close(self, descriptor: int) -> None:
        self._loop.remove_reader(descriptor)
        self._loop.remove_writer(descriptor)
        with suppress(OSError):
            os.close(descriptor)


async def start(
    place: Place,
    argv: Sequence[str],
    written: Written,
    taken: Taken,
    *,
    env: Mapping[str, str],
    cwd: str = "/",
    filesystem: Filesystem | None = None,
    stdin: bool = False,
    tty: bool = False,
) -> Interactive:
    """Start a program in a place. Raises `CommandError` in runc's words where it cannot be started."""
    variables = environment(place, {"TERM": "xterm", **env} if tty else env)
    launch = _on_terminal if tty else _on_pipes

    def begin() -> tuple[subprocess.Popen[bytes], int | None, dict[int, int]]:
        views.enter(place, filesystem)
        programs.check(argv, cwd, variables["PATH"])
        return launch(argv, cwd, variables, stdin)

    starting = asyncio.ensure_future(in_thread(begin))
    try:
        popen, input_, outputs = await asyncio.shield(starting)
    except asyncio.CancelledError:
        starting.add_done_callback(_discard)
        raise
    except (OSError, ValueError) as error:
        raise CommandError(programs.failed(argv, str(error)), code=programs.NOT_EXECUTABLE) from error
    return Interactive(popen, input_, outputs, tty, written, taken)


def _on_pipes(
    argv: Sequence[str], cwd: str, env: Mapping[str, str], stdin: bool
) -> tuple[subprocess.Popen[bytes], int | None, dict[int, int]]:
    pipe = subprocess.PIPE
    popen = subprocess.Popen(
        argv, stdin=pipe if stdin else subprocess.DEVNULL, stdout=pipe, stderr=pipe, cwd=cwd, env=env,
        start_new_session=True, bufsize=0,
    )  # fmt: skip
    assert popen.stdout and popen.stderr  # noqa: S101 - asked for above
    outputs = {STDOUT: os.dup(popen.stdout.fileno()), STDERR: os.dup(popen.stderr.fileno())}
    input_ = os.dup(popen.stdin.fileno()) if popen.stdin else None
    for stream in (popen.stdin, popen.stdout, popen.stderr):
        if stream:
            stream.close()
    return popen, input_, outputs


def _on_terminal(
    argv: Sequence[str], cwd: str, env: Mapping[str, str], _stdin: bool
) -> tuple[subprocess.Popen[bytes], int | None, dict[int, int]]:
    """setsid(1) makes the terminal the controlling one: that has to happen between fork and exec."""
    master, slave = os.openpty()
    try:
        popen = subprocess.Popen(
            ("setsid", "--ctty", *argv), stdin=slave, stdout=slave, stderr=slave, cwd=cwd, env=env, bufsize=0
        )
    except BaseException:
        os.close(master)
        raise
    finally:
        os.close(slave)
    return popen, master, {STDOUT: master}


def _discard(starting: asyncio.Future[tuple[subprocess.Popen[bytes], int | None, dict[int, int]]]) -> None:
    """Nobody waits for this program any more."""
    if not starting.cancelled() and not starting.exception():
        popen, input_, outputs = starting.result()
        popen.send_signal(signal.SIGKILL)
        for descriptor in {*outputs.values(), *([] if input_ is None else [input_])}:
            os.close(descriptor)
        popen.wait()
