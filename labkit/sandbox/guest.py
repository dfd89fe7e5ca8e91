"""The first process in User-Mode Linux: `python -m labkit.sandbox.guest ENTRY STATE`. Mounts, modules, the lab.

    /                     the host's files, read-only          /run /tmp /var/tmp /dev/shm   fresh tmpfs
    /run/labkit/state     the folder STATE of the host, writable: the lab's kept state
    /proc /sys /dev       the guest's own                      /dev/ttyS0, ttyS1             channel, stderr

It forks the lab and reaps what loses its parent; when the lab ends, it switches the machine off.
"""

from __future__ import annotations

import os
import platform
import signal
import stat
import sys
import termios
import tty
from io import FileIO
from pathlib import Path
from typing import NoReturn

from labkit.errors import NoSandbox
from labkit.sandbox import entry, state, syscalls
from labkit.sandbox.modules import ROOT, Modules
from labkit.sandbox.mounts import GUARDED, SCRATCH, empty
from labkit.sandbox.uml import ENDED, MODULES, NONE, STARTED

LOADED = (
    "bpfilter", "br_netfilter", "bridge", "ipt_REJECT", "iptable_filter", "iptable_nat", "iptable_raw",
    "nf_conntrack_netlink", "nf_log_syslog", "nfnetlink_log", "veth", "xt_MASQUERADE", "xt_TRACE", "xt_addrtype",
    "xt_comment", "xt_conntrack", "xt_mark", "xt_multiport", "xt_nat", "xt_recent", "xt_statistic", "xt_tcpudp",
)  # fmt: skip
"""What every lab needs. Whatever else is asked for, the kernel lets modprobe load."""
SETTINGS = {"route/error_cost": "0", "icmp_msgs_per_sec": "100000", "icmp_msgs_burst": "100000"}
"""The whole kernel's: every refused packet is answered, or requests that are refused would time out."""
MODPROBE = Path("/run/labkit/modprobe")


def main(argv: list[str]) -> NoReturn:
    """Run the lab; never returns."""
    try:
        code = _live(argv[0], argv[1])
        termios.tcdrain(sys.stderr.fileno())
        _console(f"{ENDED}{code}")
    except BaseException:
        sys.excepthook(*sys.exc_info())
    Path("/proc/sysrq-trigger").write_text("o")
    while True:
        signal.pause()


def _live(name: str, kept: str) -> int:
    _mount()
    if kept != NONE:
        Path(state.INSIDE).mkdir(parents=True)
        syscalls.mount("none", state.INSIDE, "hostfs", GUARDED, kept)
    channel, errors = _serial("/dev/ttyS0"), _serial("/dev/ttyS1")
    for fd in (1, 2):
        os.dup2(errors.fileno(), fd)
    _console(STARTED)
    syscalls.sethostname("labkit")
    for setting, value in SETTINGS.items():
        Path("/proc/sys/net/ipv4", setting).write_text(value)
    try:
        _modules()
    except OSError as error:
        return entry.failed(channel, NoSandbox(f"the guest's kernel modules could not be loaded: {error}"))
    lab = os.fork()
    if lab == 0:
        os._exit(entry.run(channel, lambda stream: entry.prepare(name)(stream)))
    channel.close()
    while True:
        pid, status = os.waitpid(-1, 0)
        if pid == lab:
            return os.waitstatus_to_exitcode(status) & 0xFF


def _mount() -> None:
    nothing = syscalls.MS_NOSUID | syscalls.MS_NODEV | syscalls.MS_NOEXEC
    syscalls.mount("proc", "/proc", "proc", nothing)
    syscalls.mount("sysfs", "/sys", "sysfs", nothing)
    for directory in ("/dev/pts", "/dev/shm"):  # noqa: S108 - the guest's own
        Path(directory).mkdir(exist_ok=True)
    syscalls.mount("devpts", "/dev/pts", "devpts", syscalls.MS_NOSUID | syscalls.MS_NOEXEC, "ptmxmode=0666")
    for name, target in {"fd": "/proc/self/fd", "stdin": "fd/0", "stdout": "fd/1", "stderr": "fd/2"}.items():
        Path("/dev", name).symlink_to(target)
    Path("/dev/net").mkdir()
    os.mknod("/dev/net/tun", 0o666 | stat.S_IFCHR, os.makedev(10, 200))
    for directory in SCRATCH:
        if Path(directory).is_dir() and not Path(directory).is_symlink():
            empty(directory)


def _serial(path: str) -> FileIO:
    """A serial line that carries bytes as they are."""
    line = FileIO(os.open(path, os.O_RDWR | os.O_NOCTTY), "r+")
    tty.setraw(line.fileno())
    return line


def _modules() -> None:
    """Load what every lab needs, and let the kernel find the rest: `modprobe` looks below a root of its own."""
    folder = MODULES / platform.release()
    ROOT.mkdir(parents=True)
    (ROOT / platform.release()).symlink_to(folder)
    MODPROBE.write_text(f'#!/bin/sh\nexec /sbin/modprobe -d {MODPROBE.parent} "$@"\n')
    MODPROBE.chmod(0o755)
    Path("/proc/sys/kernel/modprobe").write_text(str(MODPROBE))
    Modules(folder).load(LOADED)


def _console(line: str) -> None:
    """Tell the keeper, who reads along."""
    Path("/dev/console").write_text(f"{line}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
