"""Landlock: this process and all that it starts can write below some directories and nowhere else, for good.

No privilege is needed, and none gives it back: not even root inside a User-Mode Linux, whose system calls on files are
this process's own. Source: linux/landlock.h, Documentation/userspace-api/landlock.rst.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Sequence
from pathlib import Path

from labkit.sandbox import syscalls

_CREATE, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446  # the same numbers on every architecture (added in Linux 5.13)
_VERSION = 1  # LANDLOCK_CREATE_RULESET_VERSION
_PATH_BENEATH = 1
_WRITE_FILE = 1 << 1
_CHANGE_DIRECTORIES = sum(1 << bit for bit in range(4, 13))  # remove and make, of every kind
_REFER, _TRUNCATE, _IOCTL_DEV = 1 << 13, 1 << 14, 1 << 15  # since versions 2, 3 and 5
_TCP = 3  # bind and connect, since version 4
_SCOPES = 3  # abstract Unix sockets and signals of processes outside, since version 6


class _Ruleset(ctypes.Structure):
    _fields_ = [(name, ctypes.c_uint64) for name in ("fs", "net", "scoped")]


class _PathBeneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = [("access", ctypes.c_uint64), ("parent", ctypes.c_int32)]


def version() -> int:
    """The kernel's version of Landlock; 0 where it has none, or has it switched off."""
    try:
        return syscalls.call(_CREATE, None, 0, _VERSION)
    except OSError:
        return 0


def only_below(paths: Sequence[str]) -> None:
    """From now on, these files and what is below these directories can be changed only, and no TCP port be used.

    Reading and executing stay as they are. Raises `OSError` where the kernel has no Landlock.
    """
    have = version()
    access = _WRITE_FILE | _CHANGE_DIRECTORIES
    access |= (_REFER if have >= 2 else 0) | (_TRUNCATE if have >= 3 else 0)
    ruleset = _Ruleset(access, _TCP if have >= 4 else 0, _SCOPES if have >= 6 else 0)
    fd = syscalls.call(_CREATE, ctypes.byref(ruleset), ctypes.sizeof(ruleset), 0)
    try:
        for path in paths:
            parent = os.open(path, os.O_PATH | os.O_CLOEXEC)
            try:
                rule = _PathBeneath(access if Path(path).is_dir() else access & (_WRITE_FILE | _TRUNCATE), parent)
                syscalls.call(_ADD_RULE, fd, _PATH_BENEATH, ctypes.byref(rule), 0)
            finally:
                os.close(parent)
        syscalls.no_new_privileges()
        syscalls.call(_RESTRICT_SELF, fd, 0)
    finally:
        os.close(fd)
