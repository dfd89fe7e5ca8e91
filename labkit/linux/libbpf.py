"""libbpf as a library of this process: its functions with their types, and what it says when something fails."""

from __future__ import annotations

import ctypes
import os
from functools import cache
from typing import Any

from labkit.errors import MissingFeature, RuleError

LIBRARY, PACKAGE = "libbpf.so.1", "libbpf1"
_LONGEST = 200  # lines that are kept of what it said
_LINE = 4096
_WARNING = 0  # LIBBPF_WARN

_lines: list[str] = []
_Print = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p)


class Hook(ctypes.Structure):
    """struct bpf_tc_hook"""

    _fields_ = [
        ("size", ctypes.c_size_t),
        ("ifindex", ctypes.c_int),
        ("point", ctypes.c_int),
        ("parent", ctypes.c_uint32),
    ]


class Filter(ctypes.Structure):
    """struct bpf_tc_opts"""

    _fields_ = [
        ("size", ctypes.c_size_t),
        ("program", ctypes.c_int),
        ("flags", ctypes.c_uint32),
        ("id", ctypes.c_uint32),
        ("handle", ctypes.c_uint32),
        ("priority", ctypes.c_uint32),
    ]


_FD, _P, _S, _I, _U = ctypes.c_int, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int, ctypes.c_uint32
_COUNT, _HOOK = ctypes.POINTER(ctypes.c_uint32), ctypes.POINTER(Hook)
_FUNCTIONS: dict[str, tuple[Any, list[Any]]] = {
    "bpf_object__open_mem": (_P, [_S, ctypes.c_size_t, _P]),
    "bpf_object__load": (_I, [_P]),
    "bpf_object__close": (None, [_P]),
    "bpf_object__next_map": (_P, [_P, _P]),
    "bpf_object__next_program": (_P, [_P, _P]),
    "bpf_map__name": (_S, [_P]),
    "bpf_map__type": (_I, [_P]),
    "bpf_map__key_size": (_U, [_P]),
    "bpf_map__value_size": (_U, [_P]),
    "bpf_map__set_max_entries": (_I, [_P, _U]),
    "bpf_map__fd": (_I, [_P]),
    "bpf_program__fd": (_I, [_P]),
    "bpf_program__name": (_S, [_P]),
    "bpf_program__expected_attach_type": (_I, [_P]),
    "bpf_link_create": (_I, [_FD, _FD, _I, _P]),
    "bpf_tc_hook_create": (_I, [_HOOK]),
    "bpf_tc_hook_destroy": (_I, [_HOOK]),
    "bpf_tc_attach": (_I, [_HOOK, ctypes.POINTER(Filter)]),
    "bpf_tc_detach": (_I, [_HOOK, ctypes.POINTER(Filter)]),
    "bpf_tc_query": (_I, [_HOOK, ctypes.POINTER(Filter)]),
    "bpf_map_create": (_I, [_I, _S, _U, _U, _U, _P]),
    "bpf_map_update_elem": (_I, [_FD, _S, _S, ctypes.c_uint64]),
    "bpf_map_lookup_elem": (_I, [_FD, _S, _P]),
    "bpf_map_delete_elem": (_I, [_FD, _S]),
    "bpf_map_update_batch": (_I, [_FD, _S, _S, _COUNT, _P]),
    "bpf_map_lookup_batch": (_I, [_FD, _P, _P, _P, _P, _COUNT, _P]),
    "bpf_map_get_fd_by_id": (_I, [_U]),
    "bpf_obj_pin": (_I, [_FD, _S]),
    "bpf_obj_get": (_I, [_S]),
    "bpf_obj_get_info_by_fd": (_I, [_FD, _P, _COUNT]),
}


@cache
def library() -> Any:
    """The library. Raises `MissingFeature` where it is not there."""
    try:
        lib = ctypes.CDLL(LIBRARY, use_errno=True)
    except OSError as error:
        raise MissingFeature(
            f"eBPF programs are loaded by libbpf, which is not here ({error}): sudo apt-get install {PACKAGE}",
            missing={"libbpf": str(error)},
        ) from error
    for name, (result, arguments) in _FUNCTIONS.items():
        function = getattr(lib, name)
        function.restype, function.argtypes = result, arguments
    lib.libbpf_set_print(_listener)
    return lib


def check(result: int, what: str) -> int:
    """A function's result. Raises `RuleError` where it is an error."""
    if result < 0:
        raise RuleError(f"the kernel refuses to {what}: {os.strerror(-result)}")
    return result


def said() -> str:
    """What the library, and the kernel's verifier through it, have said last; it is forgotten with that."""
    text = "".join(_lines)
    _lines.clear()
    return text


def _listen(level: int, form: bytes, arguments: int) -> int:
    """What libbpf prints by: a format of printf, and its arguments as a va_list."""
    line = ctypes.create_string_buffer(_LINE)
    ctypes.CDLL(None).vsnprintf(line, ctypes.c_size_t(_LINE), form, ctypes.c_void_p(arguments))
    if level == _WARNING:
        _lines.append(line.value.decode(errors="replace"))
        del _lines[:-_LONGEST]
    return 0


_listener = _Print(_listen)
