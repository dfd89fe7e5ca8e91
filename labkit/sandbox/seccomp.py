"""A filter of system calls: what Landlock leaves open, changing the mode, the owner and the times of files.

User-Mode Linux sets the mode of its own memory file, 0777 and no file type with it: that one call passes. When a guest
changes a file's mode, the type is in the number. Source: linux/seccomp.h, linux/filter.h; UML's mem.c, hostfs_user.c.
"""

from __future__ import annotations

import ctypes
import errno
import struct

from labkit.sandbox import syscalls

# Numbers of x86-64, the one architecture that User-Mode Linux is packaged for.
FCHMOD = 91
REFUSED = {
    "chmod": 90, "chown": 92, "fchown": 93, "lchown": 94, "utime": 132, "setxattr": 188, "lsetxattr": 189,
    "fsetxattr": 190, "removexattr": 197, "lremovexattr": 198, "fremovexattr": 199, "utimes": 235, "fchownat": 260,
    "futimesat": 261, "fchmodat": 268, "utimensat": 280, "fchmodat2": 452, "setxattrat": 463, "removexattrat": 466,
    "file_setattr": 469,
}  # fmt: skip
MEMORY_FILE_MODE = 0o777

_SECCOMP, _SET_MODE_FILTER = 317, 1
_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000
_NUMBER, _SECOND_ARGUMENT = 0, 24  # where they are in struct seccomp_data
_LOAD, _JUMP_IF_EQUAL, _RETURN = 0x20, 0x15, 0x06

_Instruction = struct.Struct("=HBBI")


class _Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_char_p)]


def keep_metadata() -> None:
    """From now on this process, and all that it starts, cannot change modes, owners, times or attributes of files.

    Raises `OSError` where the kernel has no seccomp filters.
    """
    program = _program()
    filter_ = _Program(len(program) // _Instruction.size, program)
    syscalls.no_new_privileges()
    syscalls.call(_SECCOMP, _SET_MODE_FILTER, 0, ctypes.byref(filter_))


def _program() -> bytes:
    refused = sorted(REFUSED.values())
    code = [(_LOAD, 0, 0, _NUMBER)]
    # Each number jumps over the rest of them, the check of fchmod and the return that allows, to the refusal.
    code += [(_JUMP_IF_EQUAL, len(refused) - i + 3, 0, number) for i, number in enumerate(refused)]
    code += [
        (_JUMP_IF_EQUAL, 0, 2, FCHMOD),
        (_LOAD, 0, 0, _SECOND_ARGUMENT),
        (_JUMP_IF_EQUAL, 0, 1, MEMORY_FILE_MODE),
        (_RETURN, 0, 0, _ALLOW),
        (_RETURN, 0, 0, _ERRNO | errno.EPERM),
    ]
    return b"".join(_Instruction.pack(*each) for each in code)
