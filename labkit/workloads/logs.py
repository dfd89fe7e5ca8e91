"""What a container wrote, line by line with its time: kept as a node keeps it, shown as `kubectl logs` shows it.

Source: pkg/kubelet/kuberuntime/logs/logs.go; the size at which a line is cut is containerd's.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from itertools import islice

import msgspec

LIMIT = 1024 * 1024
"""Bytes that are kept of one run of a container, each line with OVERHEAD on top; older lines are forgotten."""
OVERHEAD = 100
LONGEST_LINE = 16 * 1024
CHUNK = 256 * 1024

Listener = Callable[[int, bytes], None]


class Selection(msgspec.Struct, frozen=True):
    """What of a log is asked for: all of it, or lines not older than `since` (ns since the epoch), the last `tail`."""

    tail: int | None = None
    since: int = 0
    timestamps: bool = False


class Log:
    """The lines of one run of a container.

    closed    there will be no more
    listeners are called with what is written as it comes: `stream, data`, and `0, b""` at the end
    """

    def __init__(self) -> None:
        self.closed = False
        self.listeners: list[Listener] = []
        self._lines: deque[tuple[int, bytes]] = deque()
        self._forgotten = 0  # lines that were in front of the first one: a line's number never changes
        self._size = 0
        self._begun: dict[int, tuple[int, bytes]] = {}  # by stream: a line without its end
        self._news: asyncio.Event | None = None  # while somebody waits for it

    def add(self, data: bytes, stream: int = 1) -> None:
        """Take what was written to a stream (1 stdout, 2 stderr)."""
        for listener in self.listeners:
            listener(stream, data)
        now, begun = self._begun.pop(stream, (time.time_ns(), b""))
        for line in _lines(begun + data):
            if line.endswith(b"\n") or len(line) >= LONGEST_LINE:
                self._keep(now, line)
            else:
                self._begun[stream] = now, line
            now = time.time_ns()
        self._tell()

    def close(self) -> None:
        """The container has ended: what it began to write is a line as well."""
        for moment, line in self._begun.values():
            self._keep(moment, line)
        self._begun.clear()
        self.closed = True
        self._tell()
        for listener in list(self.listeners):
            listener(0, b"")

    def start(self, selection: Selection) -> int:
        """Number of the first line that is asked for."""
        skipped = sum(1 for moment, _ in self._lines if moment < selection.since) if selection.since else 0
        if selection.tail is not None:
            skipped = max(skipped, len(self._lines) - selection.tail)
        return self._forgotten + skipped

    def read(self, start: int, timestamps: bool = False) -> tuple[bytes, int]:
        """Lines from a number on, as many as fit into a chunk, and the number of the next one."""
        at = max(start - self._forgotten, 0)
        found: list[bytes] = []
        size = 0
        for moment, line in islice(self._lines, at, None):
            found.append(b"%s %s" % (stamp(moment).encode(), line) if timestamps else line)
            size += len(line)
            if size >= CHUNK:
                break
        return b"".join(found), self._forgotten + at + len(found)

    async def more(self, start: int) -> None:
        """Wait until there is a line of this number, or there will be none."""
        while not self.closed and start >= self._forgotten + len(self._lines):
            self._news = self._news or asyncio.Event()
            await self._news.wait()

    def text(self) -> str:
        """All that is kept."""
        return b"".join(line for _, line in (*self._lines, *self._begun.values())).decode(errors="replace")

    def _keep(self, moment: int, line: bytes) -> None:
        self._lines.append((moment, line))
        self._size += len(line) + OVERHEAD
        while self._size > LIMIT and len(self._lines) > 1:
            self._size -= len(self._lines.popleft()[1]) + OVERHEAD
            self._forgotten += 1

    def _tell(self) -> None:
        if self._news:
            self._news.set()
            self._news = None


def _lines(data: bytes) -> list[bytes]:
    """Split at line feeds only."""
    parts = data.split(b"\n")
    return [part + b"\n" for part in parts[:-1]] + ([parts[-1]] if parts[-1] else [])


def stamp(moment: int) -> str:
    """Nanoseconds since the epoch as RFC 3339 with all nine digits, as CRI writes it."""
    seconds, rest = divmod(moment, 10**9)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}.{rest:09}Z"
