"""A small process that loads eBPF objects and hands over the descriptors of their programs and maps.

In User-Mode Linux each piece of memory that the kernel gets for a program or a map costs a walk through the pages of
the process that asked for it: 4 s for an object in a process of 60 MB, 40 ms here, where next to nothing is imported.
It knows what an object file means through libbpf: sections, relocations, what to leave out on a kernel without BTF.

    caller ── size and names of maps, the object ──> loader
           <── names, kinds and sizes, descriptors ── or an error with the verifier's last words
"""

from __future__ import annotations

import json
import os
import socket
import sys

from labkit.errors import RuleError, from_wire, to_wire
from labkit.linux.libbpf import check, library, said

_MOST_FDS = 253  # of one message (SCM_MAX_FD)
_MOST = 65536  # bytes of an answer


class About:
    """A program or a map: its descriptor, and what its user has to know."""

    def __init__(self, fd: int, kind: int, key_size: int = 0, value_size: int = 0) -> None:
        self.fd, self.kind, self.key_size, self.value_size = fd, kind, key_size, value_size

    @property
    def attach_type(self) -> int:
        """Of a program."""
        return self.kind


class _Process:
    """The loader as its caller sees it."""

    def __init__(self) -> None:
        import subprocess
        from pathlib import Path

        self._sock, theirs = socket.socketpair()
        with theirs:
            code = f"from labkit.linux.bpf_loader import serve; serve({theirs.fileno()})"
            self._popen = subprocess.Popen(
                [sys.executable, "-S", "-P", "-c", code],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                env={"PYTHONPATH": str(Path(__file__).parents[2])},
            )

    def load(self, image: bytes, room: dict[str, int]) -> tuple[dict[str, About], dict[str, About]]:
        head = json.dumps({"size": len(image), "room": room}).encode() + b"\n"
        self._sock.sendall(head + image)
        data, fds, _, _ = socket.recv_fds(self._sock, _MOST, _MOST_FDS)
        if not data:
            raise RuleError("the process that loads eBPF objects ended")
        answer = json.loads(data)
        if "type" in answer:
            raise from_wire(answer)
        rest = iter(fds)
        maps = {name: About(next(rest), *about) for name, *about in answer["maps"]}
        return maps, {name: About(next(rest), *about) for name, *about in answer["programs"]}


_process: _Process | None = None


def load(image: bytes, room: dict[str, int]) -> tuple[dict[str, About], dict[str, About]]:
    """Maps and programs of an object, in the kernel; `room`: entries for maps that shall differ from the object's.

    Raises as `labkit.linux.bpf.Loaded` does. The process is there from the first call to the end of the caller.
    """
    global _process
    _process = _process or _Process()
    return _process.load(image, room)


def serve(fd: int) -> None:
    """The process itself: answers until the caller goes."""
    with socket.socket(fileno=fd) as sock, sock.makefile("rb") as stream:
        while head := stream.readline():
            asked = json.loads(head)
            image = stream.read(asked["size"])
            try:
                answer, fds = _load(image, asked["room"])
            except Exception as error:
                answer, fds = to_wire(error), []
            socket.send_fds(sock, [json.dumps(answer).encode()], fds)
            for each in fds:
                os.close(each)


def _load(image: bytes, room: dict[str, int]) -> tuple[dict[str, object], list[int]]:
    lib = library()
    loaded = lib.bpf_object__open_mem(image, len(image), None)
    if not loaded:
        raise RuleError(f"this is no eBPF object file:\n{said()}")
    maps, programs, fds = [], [], []
    try:
        each = None
        while each := lib.bpf_object__next_map(loaded, each):
            if entries := room.get(lib.bpf_map__name(each).decode()):
                check(lib.bpf_map__set_max_entries(each, entries), "make a map of that size")
        if (result := lib.bpf_object__load(loaded)) < 0:
            raise RuleError(f"the kernel refuses an eBPF program: {os.strerror(-result)}\n{said()}")
        while each := lib.bpf_object__next_map(loaded, each):
            fds.append(os.dup(lib.bpf_map__fd(each)))
            sizes = lib.bpf_map__key_size(each), lib.bpf_map__value_size(each)
            maps.append((lib.bpf_map__name(each).decode(), lib.bpf_map__type(each), *sizes))
        while each := lib.bpf_object__next_program(loaded, each):
            fds.append(os.dup(lib.bpf_program__fd(each)))
            programs.append((lib.bpf_program__name(each).decode(), lib.bpf_program__expected_attach_type(each)))
    finally:
        lib.bpf_object__close(loaded)
    return {"maps": maps, "programs": programs}, fds
