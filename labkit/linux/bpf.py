"""eBPF through libbpf: an object file's maps and programs in the kernel, read, written and attached.

    loaded = Loaded(image)
    loaded.maps["cilium_lb4_backends_v3"].update({key: value})
    loaded.attach_cgroup(directory, "cil_sock4_connect")        # until `close`, or the end of this process
    loaded.attach_interface(netns, "eth0", {"ingress": "cil_from_netdev"})

libbpf (Debian's libbpf1, on which iproute2 depends) knows what an object file means: sections, relocations, and what to
leave out on a kernel without BTF. Bytes go in and come out; what they mean is the caller's business.
Source: libbpf's bpf.h and libbpf.h, man 2 bpf.
"""

from __future__ import annotations

import ctypes
import errno
import os
import socket
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from labkit.errors import RuleError
from labkit.linux import netns
from labkit.linux.bpf_map import Map, Table
from labkit.linux.libbpf import Filter, Hook, check, library, said

POINTS = {"ingress": 1, "egress": 2}  # enum bpf_tc_attach_point
_BOTH = 3
_REPLACE = 1  # BPF_TC_F_REPLACE
_HASH_OF_MAPS = 13  # enum bpf_map_type
_NETNS_COOKIE = 71  # SO_NETNS_COOKIE, Linux 5.14


class Loaded:
    """An object file in the kernel: `maps` by name, those in `sized` with room for `room` entries.

    Raises `RuleError`, with the verifier's last words, where the kernel refuses a program, and `MissingFeature` without
    libbpf.
    """

    def __init__(self, image: bytes, room: int = 0, sized: Collection[str] = ()) -> None:
        lib = library()
        self._object = lib.bpf_object__open_mem(image, len(image), None)
        if not self._object:
            raise RuleError(f"this is no eBPF object file: {os.strerror(ctypes.get_errno())}\n{said()}")
        self._links: list[Any] = []
        self._filters: list[tuple[str, Hook]] = []
        for each in self._each():
            if lib.bpf_map__name(each).decode() in sized:
                check(lib.bpf_map__set_max_entries(each, room), "make a map of that size")
        if (result := lib.bpf_object__load(self._object)) < 0:
            lib.bpf_object__close(self._object)
            raise RuleError(f"the kernel refuses an eBPF program: {os.strerror(-result)}\n{said()}")
        self.maps: dict[str, Map] = {}
        for each in self._each():
            kind = Table if lib.bpf_map__type(each) == _HASH_OF_MAPS else Map
            sizes = lib.bpf_map__key_size(each), lib.bpf_map__value_size(each)
            self.maps[lib.bpf_map__name(each).decode()] = kind(lib.bpf_map__fd(each), *sizes)

    def attach_cgroup(self, directory: str, *programs: str) -> None:
        """Run programs for the sockets of a cgroup and of all below it, beside others that do so already."""
        lib = library()
        cgroup = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            for name in programs:
                link = lib.bpf_program__attach_cgroup(self._program(name), cgroup)
                if not link:
                    check(-ctypes.get_errno(), f"attach the eBPF program {name} to {directory}")
                self._links.append(link)
        finally:
            os.close(cgroup)

    def attach_interface(self, path: str, name: str, programs: Mapping[str, str]) -> None:
        """Run programs for what an interface of the namespace at `path` receives ("ingress") or sends ("egress")."""
        lib = library()
        with netns.entered(path):
            index = socket.if_nametoindex(name)
            both = Hook(ctypes.sizeof(Hook), index, _BOTH)
            if (result := lib.bpf_tc_hook_create(both)) != -errno.EEXIST:
                check(result, f"add the qdisc clsact to {name}")
            self._filters.append((path, both))
            for point, program in programs.items():
                hook = Hook(ctypes.sizeof(Hook), index, POINTS[point])
                fd = lib.bpf_program__fd(self._program(program))
                what = Filter(size=ctypes.sizeof(Filter), program=fd, flags=_REPLACE, handle=1, priority=1)
                check(lib.bpf_tc_attach(hook, what), f"attach the eBPF program {program} to {name}")

    def close(self) -> None:
        """Take the programs and the maps away."""
        lib = library()
        for path, hook in self._filters:
            with netns.entered(path):
                lib.bpf_tc_hook_destroy(hook)
        for link in self._links:
            lib.bpf_link__destroy(link)
        lib.bpf_object__close(self._object)
        self._filters, self._links, self.maps = [], [], {}

    def _each(self) -> Iterator[Any]:
        each = None
        while each := library().bpf_object__next_map(self._object, each):
            yield each

    def _program(self, name: str) -> Any:
        program = library().bpf_object__find_program_by_name(self._object, name.encode())
        if not program:
            raise RuleError(f"the eBPF object has no program {name}")
        return program


def cookie(path: str) -> int:
    """By what programs know the network namespace at `path` (bpf_get_netns_cookie)."""
    with netns.socket_in(path, socket.AF_INET, socket.SOCK_DGRAM) as sock:
        return int.from_bytes(sock.getsockopt(socket.SOL_SOCKET, _NETNS_COOKIE, 8), "little")
