"""A map of eBPF: entries as bytes, many in one system call where the kernel takes them so."""

from __future__ import annotations

import ctypes
import errno
import os
from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Self

from labkit.errors import RuleError
from labkit.linux.libbpf import check, library

_BATCH = 4096  # entries that are read or written in one call
_ARRAY = 2  # enum bpf_map_type
_FIRST = bytes(4)  # key of an array's first entry
_LONGEST_KEY = 64


class Map:
    """A hash map, an LRU hash map, a trie of prefixes."""

    @classmethod
    def pinned(cls, path: str) -> Self:
        """The map at a path. Raises `RuleError` where none is. To be closed."""
        fd = check(library().bpf_obj_get(path.encode()), f"open the map {path}")
        return cls(fd, *_sizes(fd))

    def __init__(self, fd: int, key_size: int, value_size: int) -> None:
        self.fd, self.key_size, self.value_size = fd, key_size, value_size

    def close(self) -> None:
        os.close(self.fd)

    def update(self, entries: Mapping[bytes, bytes]) -> None:
        """Write entries. Raises `RuleError` (a map that is full); those that were written before it stay."""
        rest = iter(entries.items())
        while some := list(islice(rest, _BATCH)):
            count = ctypes.c_uint32(len(some))
            keys, values = b"".join(k for k, _ in some), b"".join(v for _, v in some)
            result = library().bpf_map_update_batch(self.fd, keys, values, count, None)
            if result == -errno.E2BIG:
                raise RuleError(f"an eBPF map is full: {len(some) - count.value} entries found no room in it")
            check(result, "take entries of a map")

    def delete(self, keys: Iterable[bytes]) -> None:
        """Delete entries; one that is not there is passed over."""
        for key in keys:
            if (result := library().bpf_map_delete_elem(self.fd, key)) != -errno.ENOENT:
                check(result, "delete an entry of a map")

    def items(self) -> dict[bytes, bytes]:
        """All entries."""
        found: dict[bytes, bytes] = {}
        keys = ctypes.create_string_buffer(self.key_size * _BATCH)
        values = ctypes.create_string_buffer(self.value_size * _BATCH)
        place, before, result = ctypes.create_string_buffer(_LONGEST_KEY), None, 0
        while result != -errno.ENOENT:
            count = ctypes.c_uint32(_BATCH)
            result = library().bpf_map_lookup_batch(self.fd, before, place, keys, values, count, None)
            if result != -errno.ENOENT:
                check(result, "read a map")
            all_keys, all_values = keys.raw, values.raw
            for n in range(count.value):
                key = all_keys[n * self.key_size : (n + 1) * self.key_size]
                found[key] = all_values[n * self.value_size : (n + 1) * self.value_size]
            before = place
        return found


class Table(Map):
    """A map of maps whose values are arrays of one entry each: `update` and `items` are about that entry.

    An array is replaced as a whole, so that programs see the old one or the new one.
    """

    def update(self, entries: Mapping[bytes, bytes]) -> None:
        for key, value in entries.items():
            inner = check(library().bpf_map_create(_ARRAY, b"", 4, len(value), 1, None), "make a map")
            try:
                check(library().bpf_map_update_elem(inner, _FIRST, value, 0), "fill a map")
                check(library().bpf_map_update_elem(self.fd, key, inner.to_bytes(4, "little"), 0), "take a map")
            finally:
                os.close(inner)

    def items(self) -> dict[bytes, bytes]:
        return {key: _first(int.from_bytes(number, "little")) for key, number in super().items().items()}


def _sizes(fd: int) -> tuple[int, int]:
    """Of a map's keys and values."""
    about = (ctypes.c_uint32 * 4)()  # struct bpf_map_info: type, id, key_size, value_size
    check(library().bpf_obj_get_info_by_fd(fd, about, ctypes.c_uint32(ctypes.sizeof(about))), "describe a map")
    return about[2], about[3]


def _first(number: int) -> bytes:
    """The entry of the array that the kernel has under this number."""
    inner = check(library().bpf_map_get_fd_by_id(number), "open a map")
    try:
        value = ctypes.create_string_buffer(_sizes(inner)[1])
        check(library().bpf_map_lookup_elem(inner, _FIRST, value), "read a map")
        return value.raw
    finally:
        os.close(inner)
