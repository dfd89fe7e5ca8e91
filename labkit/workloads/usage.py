"""What containers take of the processor and of memory: the figures of `kubectl top`.

There are no control groups here: a container's processes are those in its mount namespace. The built-in servers are one
process: its CPU time is measured as it serves each of them, its memory is divided among them.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from labkit.linux import filesystem, memory
from labkit.workloads.pod import PodRun
from labkit.workloads.tasks import Served

WINDOW = 1.0
"""Seconds: a rate is taken over no less than that, unless the container is younger."""
_TICK = 10**9 // os.sysconf("SC_CLK_TCK")
_UTIME, _CSTIME = 11, 14  # in /proc/PID/stat, behind the name: utime, stime, cutime, cstime

Figures = dict[str, dict[str, tuple[int, int]]]
"""By uid and container: nanoseconds of CPU time a second, bytes of memory."""


class Sample(NamedTuple):
    """`rate`: CPU time a second until `when`; `cpu`: nanoseconds taken until then."""

    when: float
    cpu: int
    rate: int


class Usage:
    """Rates between two measurements; the first of a container goes back to its start."""

    def __init__(self) -> None:
        self._samples: dict[tuple[str, str, int], Sample] = {}  # by uid, container and run

    def measure(self, pods: Mapping[str, PodRun]) -> Figures:
        running = [(uid, c) for uid, pod in pods.items() for c in (*pod.main, *pod.init) if c.running]
        members = filesystem.by_namespace()
        share = self._share(sum(isinstance(c.task, Served) for _, c in running))
        found: Figures = {uid: {} for uid, _ in running}
        samples = {}
        for uid, container in running:
            processes = members.get(container.files.inode or 0, [])
            cpu, size = sum(map(_cpu, processes)), _size(processes)
            if isinstance(container.task, Served):
                cpu, size = cpu + container.task.cpu, size + share
            key = uid, container.spec.name, container.restarts
            samples[key] = _next(self._samples.get(key), container.began, cpu)
            found[uid][container.spec.name] = samples[key].rate, size
        self._samples = samples
        return found

    def _share(self, servers: int) -> int:
        """One server's part of this process's memory."""
        return memory.resident([os.getpid()])["pss"] // servers if servers else 0


def _next(before: Sample | None, began: float, cpu: int) -> Sample:
    """The sample as of now; one that is too young stays."""
    now = time.monotonic()
    if before and now - before.when < WINDOW:
        return before
    since, then = (before.when, before.cpu) if before else (began, 0)
    return Sample(now, cpu, int(max(0, cpu - then) / max(now - since, 1e-3)))


def _cpu(process: int) -> int:
    """Nanoseconds of CPU time that a process and those of its children that have ended have taken."""
    with suppress(OSError):  # it has just ended
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        return _TICK * sum(map(int, fields[_UTIME : _CSTIME + 1]))
    return 0


def _size(processes: Iterable[int]) -> int:
    total = 0
    for process in processes:
        with suppress(OSError):
            total += memory.resident([process])["pss"]
    return total
