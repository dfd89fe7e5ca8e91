"""The Linux calls that Python's `os` lacks (3.12 has the first two). Each raises `OSError` with the kernel's errno."""

from __future__ import annotations

import ctypes
import os
from typing import Any

CLONE_FS = 0x200
CLONE_NEWNS = 0x20000
CLONE_NEWUTS = 0x4000000
CLONE_NEWIPC = 0x8000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

MS_RDONLY = 0x1
MS_NOSUID = 0x2
MS_NODEV = 0x4
MS_NOEXEC = 0x8
MS_REMOUNT = 0x20
MS_BIND = 0x1000
MS_REC = 0x4000
MS_PRIVATE = 0x40000
MNT_DETACH = 0x2

_AT_FDCWD = -100
_AT_RECURSIVE = 0x8000
_MOUNT_ATTR_RDONLY = 0x1
_SYS_MOUNT_SETATTR = 442  # the same number on every architecture (added in Linux 5.12)
_SYS_KCMP, _KCMP_VM = 312, 1  # of x86-64
_SYS_PIVOT_ROOT = 41 if os.uname().machine == "aarch64" else 155
_PR_SET_PDEATHSIG, _PR_SET_NAME, _PR_SET_CHILD_SUBREAPER, _PR_SET_NO_NEW_PRIVS = 1, 15, 36, 38

_libc = ctypes.CDLL(None, use_errno=True)


class _MountAttr(ctypes.Structure):
    _fields_ = [(n, ctypes.c_uint64) for n in ("attr_set", "attr_clr", "propagation", "userns_fd")]


def _check(result: int, what: str) -> None:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), what)


def call(number: int, *arguments: Any, what: str = "") -> int:
    """A system call by its number, for those that the C library does not have."""
    result: int = _libc.syscall(ctypes.c_long(number), *arguments)
    _check(result, what)
    return result


def unshare(flags: int) -> None:
    """New namespaces for this thread (user and PID namespaces: for a single-threaded process only)."""
    _check(_libc.unshare(flags), "unshare")


def setns(fd: int, kind: int) -> None:
    """Move this thread into the namespace behind `fd`; `kind` is its CLONE_NEW… number."""
    _check(_libc.setns(fd, kind), "setns")


def mount(source: str, target: str, kind: str = "", flags: int = 0, data: str = "") -> None:
    """Mount a file system or change a mount: man 2 mount."""
    args = (source.encode(), target.encode(), kind.encode() or None, ctypes.c_ulong(flags), data.encode() or None)
    _check(_libc.mount(*args), target)


def umount(target: str, flags: int = MNT_DETACH) -> None:
    """umount2(2), detaching by default."""
    _check(_libc.umount2(target.encode(), flags), target)


def pivot_root(new: str, old: str) -> None:
    """Make a mount point the root of this mount namespace; the old one moves below it (man 2 pivot_root)."""
    call(_SYS_PIVOT_ROOT, ctypes.c_char_p(new.encode()), ctypes.c_char_p(old.encode()), what=new)
    os.chdir("/")


def make_read_only(target: str) -> None:
    """Set the read-only flag on a mount and on all below it, in one step (mount_setattr, Linux 5.12)."""
    _mount_setattr(target, _AT_RECURSIVE, _MountAttr(attr_set=_MOUNT_ATTR_RDONLY))


def make_writable(target: str) -> None:
    """Clear the read-only flag of this one mount; the kernel refuses (EPERM) where the flag is locked."""
    _mount_setattr(target, 0, _MountAttr(attr_clr=_MOUNT_ATTR_RDONLY))


def _mount_setattr(target: str, flags: int, attr: _MountAttr) -> None:
    size = ctypes.c_size_t(ctypes.sizeof(attr))
    call(_SYS_MOUNT_SETATTR, _AT_FDCWD, target.encode(), ctypes.c_uint(flags), ctypes.byref(attr), size, what=target)


def sethostname(name: str) -> None:
    """Host name of this thread's UTS namespace."""
    encoded = name.encode()
    _check(_libc.sethostname(encoded, ctypes.c_size_t(len(encoded))), name)


def name_process(name: str) -> None:
    """What `ps` calls this process; 15 characters of it."""
    _check(_libc.prctl(_PR_SET_NAME, name.encode(), 0, 0, 0), "prctl")


def die_with_parent(signal: int) -> None:
    """Ask the kernel to send `signal` to this process when the *thread* that made it ends."""
    _check(_libc.prctl(_PR_SET_PDEATHSIG, ctypes.c_ulong(signal), 0, 0, 0), "prctl")


def adopt_orphans() -> None:
    """Become the parent of all processes below this one whose own parent ends."""
    _check(_libc.prctl(_PR_SET_CHILD_SUBREAPER, ctypes.c_ulong(1), 0, 0, 0), "prctl")


def trace_me() -> None:
    """Let the parent trace this process, which is how User-Mode Linux runs its processes (man 2 ptrace)."""
    _check(_libc.ptrace(0, 0, None, None), "ptrace")


def no_new_privileges() -> None:
    """Neither this process nor any that it starts can gain privileges (man 2 prctl)."""
    _check(_libc.prctl(_PR_SET_NO_NEW_PRIVS, ctypes.c_ulong(1), 0, 0, 0), "prctl")


def share_memory(pid: int, other: int) -> bool:
    """Whether two processes are one address space (kcmp(2)); False where the kernel does not tell."""
    same: int = _libc.syscall(ctypes.c_long(_SYS_KCMP), pid, other, _KCMP_VM, 0, 0)
    return same == 0
