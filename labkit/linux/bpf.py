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
PRIORITIES = (1, 2)  # that objects may take on an interface; a program that says TC_ACT_UNSPEC leaves it to the next
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
        self._filters: list[tuple[str, Hook, int]] = []

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

    def attach_interface(self, path: str, name: str, programs: Mapping[str, str], priority: int = 1) -> None:
        """Run programs for what an interface of the namespace at `path` receives ("ingress") or sends ("egress").

        priority: one of PRIORITIES, in whose order the objects of an interface have their turn
        """
        with netns.entered(path):
            index = socket.if_nametoindex(name)
            if (result := library().bpf_tc_hook_create(_hook(index, _BOTH))) != -errno.EEXIST:
                check(result, f"add the qdisc clsact to {name}")
            for point, program in programs.items():
                hook = _hook(index, POINTS[point])
                self._filters.append((path, hook, priority))
                what = _filter(priority)
                what.program, what.flags = self._programs[program].fd, _REPLACE
                check(library().bpf_tc_attach(hook, what), f"attach the eBPF program {program} to {name}")

    def pin(self, root: Path, folder: str) -> None:
        """Let others open the maps by name in a folder below `root`, which has such folders only, until `close`."""
        if not root.is_mount():
            root.mkdir(parents=True, exist_ok=True)
            syscalls.mount("none", str(root), "bpf")
        pins = root / folder
        pins.mkdir(parents=True)
        self._pins = pins
        for each, about in self.maps.items():
            check(library().bpf_obj_pin(about.fd, str(pins / each).encode()), f"pin the map {each}")

    def close(self) -> None:
        """Take the programs and the maps away."""
        if self._pins:
            for pin in self._pins.iterdir():
                pin.unlink()
            self._pins.rmdir()
            if not any(self._pins.parent.iterdir()):
                self._pins.parent.rmdir()
            self._pins = None
        for path, hook, priority in self._filters:
            with netns.entered(path):
                library().bpf_tc_detach(hook, _filter(priority))
                if not _in_use(hook.ifindex):
                    library().bpf_tc_hook_destroy(_hook(hook.ifindex, _BOTH))
        fds = [*self._links, *(p.fd for p in self._programs.values()), *(m.fd for m in self.maps.values())]
        self._filters, self._links, self._programs, self.maps = [], [], {}, {}
        for fd in fds:
            os.close(fd)


def _hook(index: int, point: int) -> Hook:
    return Hook(ctypes.sizeof(Hook), index, point)


def _filter(priority: int) -> Filter:
    return Filter(size=ctypes.sizeof(Filter), handle=1, priority=priority)


def _in_use(index: int) -> bool:
    """Whether the interface has a program of any object."""
    hooks = [_hook(index, point) for point in POINTS.values()]
    return any(library().bpf_tc_query(hook, _filter(priority)) == 0 for hook in hooks for priority in PRIORITIES)


def cookie(path: str) -> int:
    """By what programs know the network namespace at `path` (bpf_get_netns_cookie)."""
    with netns.socket_in(path, socket.AF_INET, socket.SOCK_DGRAM) as sock:
        return int.from_bytes(sock.getsockopt(socket.SOL_SOCKET, _NETNS_COOKIE, 8), "little")
