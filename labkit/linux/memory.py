"""What processes take of the machine's memory. Source: man 5 proc, smaps_rollup."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from labkit.sandbox import syscalls


def resident(processes: Iterable[int]) -> dict[str, int]:
    """Resident memory of all of them in bytes: "pss", with pages that they share counted once, and "rss"."""
    total = {"pss": 0, "rss": 0}
    for process in _memories(processes):
        for line in Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()[1:]:
            name, size, *_ = line.split()
            key = name.rstrip(":").lower()
            if key in total:
                total[key] += int(size) * 1024
    return total


def below(process: int) -> list[int]:
    """A process and all below it."""
    threads = Path(f"/proc/{process}/task").iterdir()
    children = [int(child) for thread in threads for child in (thread / "children").read_text().split()]
    return [process, *(p for child in children for p in below(child))]


def _memories(processes: Iterable[int]) -> list[int]:
    """Those that have memory of their own: User-Mode Linux has processes that share all of it, as threads do."""
    found: list[int] = []
    for process in processes:
        if not any(syscalls.share_memory(process, other) for other in found):
            found.append(process)
    return found
