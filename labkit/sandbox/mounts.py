"""What the sandbox sees of the host's files: everything read-only, and four empty directories to write in.

    host's tree     read-only, in one recursive step      /run /tmp /var/tmp /dev/shm   fresh tmpfs
    /proc           fresh, for the new PID namespace       /proc/sys/net                 writable: the lab's own network
    /run/labkit/state   the folder of the lab's kept state, writable, where it has one
    the rest of /proc/sys, sysrq-trigger, …                read-only: they are the host's

The sandbox's root may be the host's root in the eyes of /proc and /sys, which ask for the user's number and not for
capabilities: that is why those stay read-only too. `verify` looks at the result before anything else runs; the caller
then moves into a second user namespace, which locks these flags for good.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from labkit.errors import NoSandbox
from labkit.sandbox import state, syscalls

SCRATCH = ("/run", "/tmp", "/var/tmp", "/dev/shm")  # noqa: S108 - fresh tmpfs mounts, not the host's directories
HOST_KNOBS = ("acpi", "asound", "bus", "fs", "irq", "scsi", "sysrq-trigger", "kcore", "latency_stats", "timer_list")
WRITABLE = {"/proc", "/proc/sys/net", *SCRATCH}
GUARDED = syscalls.MS_NOSUID | syscalls.MS_NODEV | syscalls.MS_NOEXEC


def fence(kept: str = "") -> None:
    """Make the mounts of the picture above in this process's (private) mount namespace, then verify them.

    kept: the folder of the lab's state, if it has one.
    Raises `NoSandbox` where one of them fails: the sandbox must not start half fenced.
    """
    try:
        syscalls.mount("none", "/", flags=syscalls.MS_REC | syscalls.MS_PRIVATE)
        folder = os.open(kept, os.O_PATH | os.O_CLOEXEC) if kept else -1
        syscalls.make_read_only("/")
        _proc()
        for directory in SCRATCH:
            if Path(directory).is_dir() and not Path(directory).is_symlink():
                empty(directory)
        if kept:
            _show(folder)
    except OSError as error:
        raise NoSandbox(
            f"the host's files could not be made read-only inside the lab ({error}); the lab was not started. "
            "A kernel of 5.12 or later is needed: `labkit doctor` says more"
        ) from error
    verify({state.INSIDE} if kept else set())


def _show(folder: int) -> None:
    """Mount the folder behind a descriptor where the lab looks for its state: the one thing of the host to write to."""
    Path(state.INSIDE).mkdir(parents=True)
    syscalls.mount(f"/proc/thread-self/fd/{folder}", state.INSIDE, flags=syscalls.MS_BIND)
    syscalls.mount("none", state.INSIDE, flags=syscalls.MS_REMOUNT | syscalls.MS_BIND | GUARDED)
    os.close(folder)


def empty(directory: str) -> None:
    """A fresh tmpfs over `directory`, through which only that shows, read-only as it was, which Python needs to run."""
    package = Path(__file__).resolve().parents[2]
    needed = {str(package), os.path.realpath(sys.prefix), os.path.realpath(sys.base_prefix)}
    below = [path for path in sorted(needed) if path.startswith(f"{directory}/")]
    keep = {path: os.open(path, os.O_PATH | os.O_CLOEXEC) for path in below}
    syscalls.mount("tmpfs", directory, "tmpfs", syscalls.MS_NOSUID | syscalls.MS_NODEV, "mode=1777")
    for path, fd in keep.items():
        if not Path(path).is_dir():  # else it lies in one that shows already
            Path(path).mkdir(parents=True)
            syscalls.mount(f"/proc/thread-self/fd/{fd}", path, flags=syscalls.MS_BIND | syscalls.MS_REC)
        os.close(fd)


def verify(also: set[str]) -> None:
    """Raise `NoSandbox` if anything of the host's is still writable."""
    exposed = [point for point, options in _mounts() if "rw" in options and point not in WRITABLE | also]
    if exposed or not os.statvfs("/").f_flag & os.ST_RDONLY:
        raise NoSandbox(f"still writable inside the lab: {', '.join(exposed) or '/'}; the lab was not started")


def _proc() -> None:
    try:
        syscalls.mount("proc", "/proc", "proc", syscalls.MS_NOSUID | syscalls.MS_NODEV | syscalls.MS_NOEXEC)
    except PermissionError:  # parts of /proc are masked, as in containers: the old one shows the new network as well
        syscalls.make_writable("/proc")
    for name in ("sys", *HOST_KNOBS):
        path = f"/proc/{name}"
        with suppress(FileNotFoundError):
            syscalls.mount(path, path, flags=syscalls.MS_BIND)
            syscalls.make_read_only(path)
    syscalls.mount("/proc/sys/net", "/proc/sys/net", flags=syscalls.MS_BIND)
    try:
        syscalls.make_writable("/proc/sys/net")
    except PermissionError as error:  # a container that masks /proc/sys itself
        raise OSError(errno.EPERM, "network settings below /proc/sys/net are locked here") from error


def _mounts() -> Iterator[tuple[str, set[str]]]:
    """Mount points as they are seen from `/` (a covered mount is out of reach), with their options."""
    seen: dict[str, set[str]] = {}
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        fields = line.split(" ")
        seen[fields[4].encode().decode("unicode_escape")] = set(fields[5].split(","))
    yield from seen.items()
