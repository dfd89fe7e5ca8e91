"""All that a program started, by its session and by its children: what goes when nobody listens to it any more.

A daemon that has left both, as daemons do on purpose, stays: it is its container's, and ends with that.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple


class Entry(NamedTuple):
    """A process that has not ended."""

    pid: int
    parent: int
    session: int


def processes() -> Iterator[Entry]:
    """All that this process can see."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):  # it has just ended
                state, parent, _, session = (entry / "stat").read_text().rpartition(")")[2].split()[:4]
                if state not in "ZX":
                    yield Entry(int(entry.name), int(parent), int(session))


def family(leader: int) -> set[int]:
    """The members of a leader's session, with all of their descendants."""
    entries = list(processes())
    found: set[int] = {entry.pid for entry in entries if leader in (entry.session, entry.pid)}
    while more := {entry.pid for entry in entries if entry.parent in found} - found:
        found |= more
    return found


async def end(leader: int) -> None:
    """SIGKILL a session with its descendants; returns when none of it is left."""
    while found := family(leader):
        for pid in found:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        await asyncio.sleep(0.001)  # they are not this process's children: nothing tells when they have ended
