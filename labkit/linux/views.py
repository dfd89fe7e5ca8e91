"""What the processes of a place see: its network, its host name, its /etc/resolv.conf, /etc/hosts and /sys.

    thread ── setns(net) ──┬── hostname given ───────── own UTS namespace
                           └── resolv.conf, hosts given ─ own mount namespace: files bound over /etc, own /sys and /tmp

A view is made on first use and kept by descriptors; no process holds it. Everything not listed is the sandbox's own.
"""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from labkit.linux.filesystem import Filesystem
from labkit.net.place import Place
from labkit.sandbox import syscalls
from labkit.sandbox.mounts import empty

_SYSFS_FLAGS = syscalls.MS_RDONLY | syscalls.MS_NOSUID | syscalls.MS_NODEV | syscalls.MS_NOEXEC


@dataclass(frozen=True)
class _View:
    place: Place
    network: int  # inode: a namespace made anew at the same path is another one
    descriptors: tuple[tuple[int, int], ...]  # (descriptor, CLONE_NEW… kind)


_views: dict[str, _View] = {}  # by the place's name: pods on the host's network share their node's namespace
_lock = threading.Lock()


def enter(place: Place, filesystem: Filesystem | None = None) -> None:
    """Move this thread into the place, for good: call it in a thread that ends afterwards.

    filesystem: of the container to move into; without one the place's own files are seen.

    Raises `OSError` where the network namespace is gone or the kernel refuses.
    """
    syscalls.unshare(syscalls.CLONE_FS)  # setns(mnt) gives EINVAL to a thread that shares its root and cwd
    network = os.open(place.netns, os.O_RDONLY | os.O_CLOEXEC)
    try:
        syscalls.setns(network, syscalls.CLONE_NEWNET)
        inode = os.fstat(network).st_ino
    finally:
        os.close(network)
    with _lock:
        view = _views.get(place.name)
        if view is None or view.place != place or view.network != inode:
            _close(place)
            _views[place.name] = _View(place, inode, _make(place))
        else:
            for descriptor, kind in view.descriptors:
                syscalls.setns(descriptor, kind)
    if filesystem:
        filesystem.enter()


def forget(place: Place) -> None:
    """Let the view of a place go; it ends with its last process."""
    with _lock:
        if (view := _views.get(place.name)) and view.place == place:  # another one may have the name by now
            _close(place)


def mounts(place: Place) -> int | None:
    """Inode of the place's own mount namespace; None while it has none."""
    with _lock:
        view = _views.get(place.name)
        descriptor = next((d for d, kind in view.descriptors if kind == syscalls.CLONE_NEWNS), None) if view else None
        return None if descriptor is None else os.fstat(descriptor).st_ino


def _close(place: Place) -> None:
    if view := _views.pop(place.name, None):
        for descriptor, _ in view.descriptors:
            os.close(descriptor)


def _make(place: Place) -> tuple[tuple[int, int], ...]:
    """New namespaces for this thread, which is in the place's network already."""
    kinds: list[tuple[str, int]] = []
    if place.hostname:
        syscalls.unshare(syscalls.CLONE_NEWUTS)
        syscalls.sethostname(place.hostname)
        kinds.append(("uts", syscalls.CLONE_NEWUTS))
    if place.resolv_conf or place.hosts:
        syscalls.unshare(syscalls.CLONE_NEWNS)
        syscalls.mount("none", "/", flags=syscalls.MS_REC | syscalls.MS_PRIVATE)
        _files(place)
        _own_directories()
        kinds.append(("mnt", syscalls.CLONE_NEWNS))
    return tuple((os.open(f"/proc/thread-self/ns/{name}", os.O_RDONLY | os.O_CLOEXEC), kind) for name, kind in kinds)


def name_machines(hosts: str) -> None:
    """Give a text to /etc/hosts wherever a place has none of its own."""
    source = Path("/run", "labkit-hosts")  # stays: over a mount whose file is gone, no other can be mounted
    source.write_text(hosts)
    _bind(source, "/etc/hosts")


def _files(place: Place) -> None:
    texts = {
        "/etc/resolv.conf": place.resolv_conf,
        "/etc/hosts": place.hosts,
        "/etc/hostname": place.hostname and f"{place.hostname}\n",
    }
    for path, text in texts.items():
        if text:
            source = Path("/run", f"labkit-{os.getpid()}-{threading.get_ident()}")
            source.write_text(text)
            try:
                _bind(source, path)
            finally:
                source.unlink()  # the mount keeps the file


def _bind(source: Path, path: str) -> None:
    """Put a file in another's place, where that is there or can be made."""
    target = Path(os.path.realpath(path))  # often a link into /run, which is empty in the sandbox
    if not target.exists():
        with suppress(OSError):
            target.parent.mkdir(parents=True, exist_ok=True)
            target.touch()
    if target.exists():
        syscalls.mount(str(source), str(target), flags=syscalls.MS_BIND)


def _own_directories() -> None:
    # refused where parts of the host's /sys are masked, as in containers: /sys/class/net then shows the sandbox's
    with suppress(PermissionError):
        syscalls.mount("sysfs", "/sys", "sysfs", _SYSFS_FLAGS)
    empty("/tmp")  # noqa: S108 - the pod's own, not the host's
