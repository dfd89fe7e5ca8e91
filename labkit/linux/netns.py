"""Network namespaces by path: made here, bound below /run/netns as `ip netns` does, entered one thread at a time.

A socket belongs to the namespace in which it was made, so one process can serve every pod:

    with netns.entered("/run/netns/pod"):
        sock = socket.socket()        # this socket lives in the pod for good
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from labkit.sandbox import syscalls

RUN = Path("/run/netns")


def create(name: str) -> str:
    """A new network namespace with its loopback down, bound at /run/netns/`name`; returns the path.

    Raises `FileExistsError` where the name is taken, `OSError` where the kernel refuses.
    """
    path = RUN / name
    try:
        path.touch(exist_ok=False)
    except FileNotFoundError:
        RUN.mkdir(parents=True, exist_ok=True)
        path.touch(exist_ok=False)
    with _away():
        syscalls.unshare(syscalls.CLONE_NEWNET)
        syscalls.mount("/proc/thread-self/ns/net", str(path), flags=syscalls.MS_BIND)
    return str(path)


def delete(path: str) -> None:
    """Unbind the namespace; it ends with its last socket and process."""
    syscalls.umount(path)
    Path(path).unlink()


def skip_detection(path: str) -> None:
    """Let interfaces that the namespace will get use their own IPv6 addresses at once.

    The kernel would ask for a second whether somebody else has them, and find no neighbour meanwhile.
    """
    with entered(path):
        for which in ("all", "default"):
            Path(f"/proc/sys/net/ipv6/conf/{which}/accept_dad").write_text("0")


@contextmanager
def entered(path: str) -> Iterator[None]:
    """Run the block in the namespace at `path`. Only this thread moves; it comes back however the block ends."""
    target = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        with _away():
            syscalls.setns(target, syscalls.CLONE_NEWNET)
            yield
    finally:
        os.close(target)


def socket_in(path: str, family: int, kind: int, protocol: int = 0) -> socket.socket:
    """A socket that lives in the namespace at `path`."""
    with entered(path):
        return socket.socket(family, kind, protocol)


@contextmanager
def _away() -> Iterator[None]:
    """Remember this thread's namespace, and return to it."""
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield
    finally:
        try:
            syscalls.setns(home, syscalls.CLONE_NEWNET)
        finally:
            os.close(home)
