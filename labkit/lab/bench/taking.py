"""What the processes of a lab take of the machine."""

from __future__ import annotations

import time
from pathlib import Path

from labkit.linux import memory


def taken(launcher: int, seconds: float = 3.0) -> dict[str, float]:
    """Memory of all processes of the lab in MB, and the share of one CPU that they use while nobody asks anything."""
    processes = memory.below(launcher)
    sizes = {name: size / (1 << 20) for name, size in memory.resident(processes).items()}
    before = sum(map(ticks, processes))
    time.sleep(seconds)  # an observation of nothing has no condition to wait for
    return {**sizes, "idle": (sum(map(ticks, processes)) - before) / seconds}


def named(launcher: int, name: str) -> int:
    """The process of the lab that has this name."""
    return next(p for p in memory.below(launcher) if Path(f"/proc/{p}/comm").read_text().strip() == name)


def ticks(process: int) -> int:
    """CPU time in hundredths of a second, which is the kernel's unit here (USER_HZ)."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])
