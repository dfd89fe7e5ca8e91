"""eBPF: an object file's programs and maps in the kernel, read, written and attached.

    loaded = Loaded(image)
    loaded.maps["cilium_lb4_backends_v3"].update({key: value})
    loaded.attach_cgroup(directory, "cil_sock4_connect")        # until `close`, or the end of this process
    loaded.attach_interface(netns, "eth0", {"ingress": "cil_from_netdev"})

Bytes go in and come out; what they mean is the caller's business. Source: libbpf's bpf.h and libbpf.h, man 2 bpf.
"""

from __future__ import annotations

import ctypes
import errno
import os
import socket
from collections.abc import Collection, Mapping
from pathlib import Path

from labkit.linux import bpf_loader, netns
from labkit.linux.bpf_map import Map, Table
from labkit.linux.libbpf import Filter, Hook, check, library
from labkit.sandbox import syscalls

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
        maps, self._programs = bpf_loader.load(image, dict.fromkeys(sized, room))
        self.maps: dict[str, Map] = {
            name: (Table if about.kind == _HASH_OF_MAPS else Map)(about.fd, about.key_size, about.value_size)
            for name, about in maps.items()
        }
        self._pins: Path | None = None
        self._links: list[int] = []
        self._filters: list[tuple[str, Hook]] = []

    def attach_cgroup(self, directory: str, *programs: str) -> None:
        """Run programs for the sockets of a cgroup and of all below it, beside others that do so already."""
        cgroup = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            for name in programs:
                program = self._programs[name]
                link = library().bpf_link_create(program.fd, cgroup, program.attach_type, None)
                self._links.append(check(link, f"attach the eBPF program {name} to {directory}"))
        finally:
            os.close(cgroup)

    def attach_interface(self, path: str, name: str, programs: Mapping[str, str]) -> None:
        """Run programs for what an interface of the namespace at `path` receives ("ingress") or sends ("egress")."""
        with netns.entered(path):
            index = socket.if_nametoindex(name)
            both = Hook(ctypes.sizeof(Hook), index, _BOTH)
            if (result := library().bpf_tc_hook_create(both)) != -errno.EEXIST:
                check(result, f"add the qdisc clsact to {name}")
            self._filters.append((path, both))
            for point, program in programs.items():
                hook = Hook(ctypes.sizeof(Hook), index, POINTS[point])
                fd = self._programs[program].fd
                what = Filter(size=ctypes.sizeof(Filter), program=fd, flags=_REPLACE, handle=1, priority=1)
                check(library().bpf_tc_attach(hook, what), f"attach the eBPF program {program} to {name}")

    def pin(self, folder: Path) -> None:
        """Let others open the maps by their names in `folder`, until `close`; its parent holds such folders only."""
        if not folder.parent.is_mount():
            folder.parent.mkdir(parents=True, exist_ok=True)
            syscalls.mount("none", str(folder.parent), "bpf")
        folder.mkdir()
        self._pins = folder
        for each, about in self.maps.items():
            check(library().bpf_obj_pin(about.fd, str(folder / each).encode()), f"pin the map {each}")

    def close(self) -> None:
        """Take the programs and the maps away."""
        if self._pins:
            for pin in self._pins.iterdir():
                pin.unlink()
            self._pins.rmdir()
            self._pins = None
        for path, hook in self._filters:
            with netns.entered(path):
                library().bpf_tc_hook_destroy(hook)
        fds = [*self._links, *(p.fd for p in self._programs.values()), *(m.fd for m in self.maps.values())]
        self._filters, self._links, self._programs, self.maps = [], [], {}, {}
        for fd in fds:
            os.close(fd)


def cookie(path: str) -> int:
    """By what programs know the network namespace at `path` (bpf_get_netns_cookie)."""
    with netns.socket_in(path, socket.AF_INET, socket.SOCK_DGRAM) as sock:
        return int.from_bytes(sock.getsockopt(socket.SOL_SOCKET, _NETNS_COOKIE, 8), "little")
