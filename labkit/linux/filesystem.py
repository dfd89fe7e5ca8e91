"""A container's own mount namespace: its pod's view of the files, with volumes mounted in it.

    pod's view ── unshare ──> for each volume: a mount point, made if need be ── bind ──> the volume's files

The host's tree is read-only, so a mount point that is missing cannot simply be made. The directory that it would be in
is then covered by a tmpfs on which everything that was in it shows as before; `/` itself is replaced (pivot_root).
Nothing of this is seen outside the container. Source of the order and the errors: runc's libcontainer/rootfs_linux.go.
"""

from __future__ import annotations

import asyncio
import os
import signal
import stat
import threading
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import msgspec

from labkit.errors import CommandError
from labkit.sandbox import syscalls

LAB = Path("/run/pods")
"""The lab's own files, those of all pods' volumes among them: no container sees it."""
FAILED = 1
_HIDDEN = ("pods", "netns")  # in /run
_OLD = "/.old"
_TMPFS_FLAGS = syscalls.MS_NOSUID | syscalls.MS_NODEV


class Mount(msgspec.Struct, frozen=True):
    """A file or directory of the sandbox that shows at `target`, an absolute path in the container."""

    source: str
    target: str
    read_only: bool = False


class Filesystem:
    """Made on first use, kept by a descriptor until `end`."""

    def __init__(self, mounts: Iterable[Mount] = ()) -> None:
        self._mounts = sorted(mounts, key=lambda mount: mount.target.count("/"))
        self._descriptor = -1
        self._closed = False
        self._lock = threading.Lock()

    @property
    def inode(self) -> int | None:
        """What tells its processes from all others; None before its first use and after its end."""
        return os.fstat(self._descriptor).st_ino if self._descriptor >= 0 else None

    def enter(self) -> None:
        """Move this thread, which is in the pod's view, into it for good. Raises `CommandError` where a mount fails."""
        with self._lock:
            if self._closed:
                raise CommandError("the container has ended", code=FAILED)
            if self._descriptor >= 0:
                syscalls.setns(self._descriptor, syscalls.CLONE_NEWNS)
                return
            syscalls.unshare(syscalls.CLONE_NEWNS)
            try:
                if self._mounts:
                    _Tree().mount(self._mounts)
            except OSError as error:
                raise CommandError(f"failed to mount the container's volumes: {error}", code=FAILED) from error
            self._descriptor = os.open("/proc/thread-self/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)

    async def end(self) -> None:
        """Nobody enters it any more; returns when none of the processes in it is left."""
        self._closed = True
        if (inode := self.inode) is not None:
            await end_members(inode)
        with self._lock:
            if self._descriptor >= 0:
                os.close(self._descriptor)
                self._descriptor = -1


def by_namespace() -> dict[int, list[int]]:
    """Numbers of all processes, by the inode of their mount namespace: that tells one container's from all others."""
    found: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):  # it has just ended
                inode = int(str((entry / "ns" / "mnt").readlink())[len("mnt:[") : -1])
                found.setdefault(inode, []).append(int(entry.name))
    return found


async def end_members(inode: int) -> None:
    """SIGKILL every process in a mount namespace; returns when none is left."""
    while found := by_namespace().get(inode):
        for pid in found:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        await asyncio.sleep(0.001)  # they are not this process's children: nothing tells when they have ended


class _Tree:
    """The files that this thread sees, while mounts are added. `_own`: devices on which directories may be made."""

    def __init__(self) -> None:
        self._own = {os.stat(path).st_dev for path in ("/tmp", LAB) if os.path.exists(path)}  # noqa: S108, PTH110, PTH116

    def mount(self, mounts: list[Mount]) -> None:
        sources = [os.open(mount.source, os.O_PATH | os.O_CLOEXEC) for mount in mounts]
        try:
            self._cover("/run")
            for mount, source in zip(mounts, sources, strict=True):
                target = self._point(mount.target, stat.S_ISDIR(os.fstat(source).st_mode))
                syscalls.mount(f"/proc/thread-self/fd/{source}", target, flags=syscalls.MS_BIND | syscalls.MS_REC)
                if mount.read_only:
                    syscalls.make_read_only(target)
            if Path(_OLD).exists():
                syscalls.umount(_OLD)
                Path(_OLD).rmdir()
        finally:
            for source in sources:
                os.close(source)

    def _point(self, target: str, directory: bool) -> str:
        """The mount point's real path; it is made if need be."""
        point = Path(os.path.realpath(target))
        if point.exists():
            return str(point)
        there = next(parent for parent in point.parents if parent.exists())
        if there.stat().st_dev not in self._own:
            self._cover(str(there))
        if directory:
            point.mkdir(parents=True)
        else:
            point.parent.mkdir(parents=True, exist_ok=True)
            point.touch()
        return str(point)

    def _cover(self, directory: str) -> None:
        """Put a tmpfs in place of a directory, with all that is in it."""
        old = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        new = str(LAB) if directory == "/" else directory
        try:
            mode = stat.S_IMODE(os.fstat(old).st_mode)
            syscalls.mount("tmpfs", new, "tmpfs", _TMPFS_FLAGS, f"mode={mode:o}")
            for name in os.listdir(f"/proc/thread-self/fd/{old}"):  # noqa: PTH208 - names, not paths
                _show(f"/proc/thread-self/fd/{old}/{name}", Path(new, name), directory)
        finally:
            os.close(old)
        if directory == "/":  # the old root stays until the end: what is yet to be mounted comes from there
            Path(f"{new}{_OLD}").mkdir()
            syscalls.pivot_root(new, f"{new}{_OLD}")
            syscalls.umount(new)  # the root itself, which came along with the old root's /run
        self._own.add(Path(directory).stat().st_dev)


def _show(old: str, new: Path, directory: str) -> None:
    """Let an entry of a covered directory show again, unless it is gone meanwhile, as views' files in /run go."""
    try:
        kind = os.lstat(old).st_mode
    except FileNotFoundError:
        return
    if stat.S_ISLNK(kind):
        new.symlink_to(os.readlink(old))  # noqa: PTH115 - the text of the link, whatever it is
    elif stat.S_ISDIR(kind):
        new.mkdir()
        if directory != "/run" or new.name not in _HIDDEN:
            syscalls.mount(old, str(new), flags=syscalls.MS_BIND | syscalls.MS_REC)
    else:
        new.touch()
        try:
            syscalls.mount(old, str(new), flags=syscalls.MS_BIND)
        except FileNotFoundError:  # a file without a name, as a view's resolv.conf is, can be bound once only
            try:
                new.write_bytes(Path(old).read_bytes())
            except FileNotFoundError:
                new.unlink()
