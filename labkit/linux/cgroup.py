"""The cgroup (version 2) that this process is in, as a directory: where eBPF programs for sockets are attached."""

from __future__ import annotations

import os
from pathlib import Path

from labkit.errors import LabError
from labkit.sandbox import syscalls

ROOT = Path("/run/labkit/cgroup")


def own() -> str:
    """The directory. The file system is mounted in this mount namespace at first, which makes no cgroup anywhere.

    Raises `LabError` where the kernel has no cgroups of version 2, `OSError` where it does not let them be mounted.
    """
    if not os.path.ismount(ROOT):
        ROOT.mkdir(parents=True, exist_ok=True)
        syscalls.mount("none", str(ROOT), "cgroup2")
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        if line.startswith("0::"):
            return f"{ROOT}{line.removeprefix('0::')}".rstrip("/")
    raise LabError("this kernel has no cgroups of version 2, to which eBPF programs for sockets are attached")
