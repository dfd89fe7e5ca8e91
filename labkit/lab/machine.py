"""What this machine lets its user do, seen from outside of every sandbox."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from labkit.sandbox import landlock

CAPABILITIES = {12: "net_admin", 13: "net_raw", 19: "sys_ptrace", 21: "sys_admin", 39: "bpf"}  # those that could matter
BOUNDS = {"no_new_privs": "NoNewPrivs", "seccomp": "Seccomp"}  # what holds this process back for good
# In a process of its own: it must have a single thread, and is changed by it. The network is asked for as well:
# AppArmor, as Ubuntu sets it up, grants the first, with no capability in it.
_USER_NAMESPACE = "unshare(CLONE_NEWUSER); unshare(CLONE_NEWNET)"
_PTRACE = "trace_me()"
WORDS = {"No space left on device": "user.max_user_namespaces allows no more"}  # what the kernel means
LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")  # of a container, cgroup 2 and 1


@dataclass(frozen=True)
class Machine:
    """Facts. A reason is empty where the thing is allowed; `memory` is what this container may have, in MB."""

    kernel: str
    python: str
    user: int
    capabilities: tuple[str, ...]
    bounds: tuple[str, ...]
    user_namespaces: str
    ptrace: str
    landlock: int
    processors: int
    memory: int
    free: int


def look() -> Machine:
    status = dict(line.split(":\t", 1) for line in Path("/proc/self/status").read_text().splitlines())
    effective = int(status["CapEff"], 16)
    memory = {line.split(":")[0]: int(line.split()[1]) >> 10 for line in _lines("/proc/meminfo")}
    limit = min([memory["MemTotal"], *_limits()])
    return Machine(
        kernel=platform.release(),
        python=platform.python_version(),
        user=os.geteuid(),
        capabilities=tuple(name for bit, name in CAPABILITIES.items() if effective >> bit & 1),
        bounds=tuple(name for name, line in BOUNDS.items() if status[line] != "0"),
        user_namespaces=_why_not(_USER_NAMESPACE),
        ptrace=_why_not(_PTRACE),
        landlock=landlock.version(),
        processors=len(os.sched_getaffinity(0)),
        memory=limit,
        free=min(limit, memory["MemAvailable"]),
    )


def _lines(path: str) -> list[str]:
    return Path(path).read_text().splitlines()


def _limits() -> list[int]:
    texts = [Path(path).read_text().strip() for path in LIMITS if Path(path).exists()]
    return [int(text) >> 20 for text in texts if text != "max"]


def _why_not(code: str) -> str:
    """What the kernel answers to a call of `labkit.sandbox.syscalls`; empty where it allows it."""
    program = (
        f"from labkit.sandbox.syscalls import *\ntry:\n    {code}\nexcept OSError as error:\n    print(error.strerror)"
    )
    command = [sys.executable, "-c", program]
    said = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[2]).stdout.strip()
    return WORDS.get(said, said)
