"""Run a command in a place and wait for it."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Mapping, Sequence

import msgspec

from labkit.errors import CommandError
from labkit.linux.filesystem import Filesystem
from labkit.linux.process import STDERR, STDOUT, spawn
from labkit.net.place import Place

OUTPUT_LIMIT = 10 * 1024 * 1024
TIMED_OUT = 124  # as timeout(1) has it


class Completed(msgspec.Struct, frozen=True):
    """A command that ended. `code` 128 + n: ended by signal n; 124: by the time-out; 127, 126: not started."""

    argv: tuple[str, ...]
    code: int
    stdout: str
    stderr: str
    seconds: float


async def run(
    place: Place,
    command: str | Sequence[str],
    *,
    timeout: float | None = None,
    env: Mapping[str, str] | None = None,
    stdin: bytes = b"",
    cwd: str = "/",
    filesystem: Filesystem | None = None,
    check: bool = False,
) -> Completed:
    """Run a command (a string goes to /bin/sh) and wait for it; its background children may go on.

    timeout in seconds; the command's process group is then killed. Output beyond 10 MB is dropped, and stderr says so.
    With `check`, raises `CommandError` for a code other than 0; without, every failure is a `Completed`.
    """
    argv = ("/bin/sh", "-c", command) if isinstance(command, str) else tuple(command)
    if not argv:
        raise CommandError("an empty command cannot be run; give a string or a list such as ['ip', 'addr']", code=126)
    output = _Output()
    note = ""
    start = time.monotonic()
    try:
        process = await spawn(place, argv, output.keep, env=env, stdin=stdin, cwd=cwd, filesystem=filesystem)
        try:
            code = await asyncio.wait_for(process.wait(), timeout)
        except TimeoutError:
            note = f"timed out after {timeout:g} s\n"
            code = TIMED_OUT
        finally:
            process.signal(signal.SIGKILL)
            await process.wait()
    except CommandError as error:
        note = f"{error.message}\n"
        code = error.details["code"]
    stderr = output.text(STDERR) + note
    if check and code:
        raise CommandError(f"{command!r} in {place.name} failed with code {code}: {stderr.strip()}", code=code)
    return Completed(argv, code, output.text(STDOUT), stderr, time.monotonic() - start)


class _Output:
    """What a command wrote, up to the limit for each stream."""

    def __init__(self) -> None:
        self._kept = {STDOUT: bytearray(), STDERR: bytearray()}
        self._dropped = {STDOUT: 0, STDERR: 0}

    def keep(self, stream: int, data: bytes) -> None:
        room = OUTPUT_LIMIT - len(self._kept[stream])
        self._kept[stream] += data[:room]
        self._dropped[stream] += max(0, len(data) - room)

    def text(self, stream: int) -> str:
        text = self._kept[stream].decode(errors="replace")
        if stream == STDOUT or not any(self._dropped.values()):
            return text
        return text + "".join(f"{n} bytes more on stream {s} were dropped\n" for s, n in self._dropped.items() if n)
