"""Why there is no User-Mode Linux, or none any more, and what to do: its kernel's words in a learner's. Pure."""

from __future__ import annotations

import signal
from collections.abc import Sequence

NOT_INSTALLED = (
    "User-Mode Linux is not installed, which gives a lab a kernel of its own without any privilege: "
    "sudo apt-get install user-mode-linux"
)
NO_FENCE = (
    "nothing on this machine would keep a lab in User-Mode Linux from writing to your files, so it was not started: it "
    "needs Linux 5.13 or later with seccomp filters and Landlock (where it has been left out, name it in `lsm=` on the "
    "kernel's command line)"
)
NO_PTRACE = (
    "User-Mode Linux needs ptrace, and this machine forbids it: allow it (`sudo sysctl -w kernel.yama.ptrace_scope=1`; "
    "in a container, a seccomp profile that has ptrace, as Docker's own)"
)
NO_MEMORY = (
    "the lab's kernel got no memory: end other labs (k.close()), or let this user, container or machine have more"
)
NO_DISK = (
    "the disk that holds the memory of the lab's kernel is full (/dev/shm, /tmp, or where TMPDIR points): make room, "
    "or point TMPDIR elsewhere, and start a new lab"
)
SAID = {
    "ptrace": NO_PTRACE,
    "ran out of space": NO_DISK,
    "setup_physmem": NO_MEMORY,
    "Out of memory": NO_MEMORY,
    "out of memory": NO_MEMORY,
}


def not_started(console: str, code: int) -> str:
    """Why the kernel did not come up."""
    return known(console) or f"User-Mode Linux did not start ({_how(code)}). It said:\n{console.strip()[-1000:]}"


def died(console: str, code: int) -> str:
    """Why the kernel has ended."""
    if code == -signal.SIGKILL:
        return f"the lab's kernel was killed. If nobody did it on purpose, the machine ran out of memory: {NO_MEMORY}"
    return known(console) or f"the lab's kernel ended ({_how(code)}). It said:\n{console.strip()[-1000:]}"


def known(console: str) -> str:
    return next((remedy for words, remedy in SAID.items() if words in console), "")


def no_room(megabytes: int, reasons: Sequence[str]) -> str:
    return (
        f"the memory of the lab's kernel, {megabytes} MB, has no place: {'; '.join(reasons)}. Make room, or point "
        "TMPDIR to a directory that has it"
    )


def _how(code: int) -> str:
    return f"killed by signal {-code}" if code < 0 else f"exit code {code}"
