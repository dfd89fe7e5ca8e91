"""The files of pods' volumes, in a directory of the lab's own; what a container mounts of them.

    <pod>/<volume>/key -> ..data/key      ..data -> ..2026_01_31_…      the links turn to a new version in one step

Source: pkg/volume/util/atomic_writer.go.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path, PurePosixPath
from stat import S_ISBLK, S_ISCHR, S_ISDIR, S_ISREG, S_ISSOCK

from labkit.api.objects import Container, Pod
from labkit.errors import CommandError
from labkit.linux.filesystem import LAB, Mount
from labkit.workloads.environment import expand
from labkit.workloads.volumes import Contents, Directory, Files, Source

_DATA, _NEW = "..data", "..data_tmp"
_TYPES = {
    "Directory": (S_ISDIR, "a directory"),
    "File": (S_ISREG, "a file"),
    "Socket": (S_ISSOCK, "a socket file"),
    "CharDevice": (S_ISCHR, "a character device"),
    "BlockDevice": (S_ISBLK, "a block device"),
}


class VolumeFiles:
    """The volumes of one pod below `root`."""

    def __init__(self, pod: Pod, root: Path = LAB) -> None:
        self._pod = pod
        self._root = root
        self._own = root / pod.metadata.uid
        self._places: dict[str, tuple[Path, bool]] = {}

    def write(self, plan: Mapping[str, Source]) -> None:
        """Make the volumes, or bring their files up to date. Raises `CommandError` (details: volume), `OSError`."""
        for name, source in plan.items():
            if isinstance(source, Files):
                path = self._own / name
                path.mkdir(parents=True, exist_ok=True)
                update(path, source.contents)
                self._places[name] = path, False
            elif name not in self._places:
                self._places[name] = self._directory(name, source), source.read_only

    def mounts(self, container: Container, variables: Mapping[str, str]) -> list[Mount]:
        """What the container mounts. Raises `CommandError` for a subPath that leads out of its volume."""
        found = []
        for each in container.volume_mounts:
            if each.name not in self._places:
                raise CommandError(f'unmounted volume "{each.name}" in container "{container.name}"')
            path, read_only = self._places[each.name]
            if below := expand(each.sub_path_expr, variables) if each.sub_path_expr else each.sub_path:
                path = _below(path, below, each.name, container.name)
            files = path.is_relative_to(self._own) and (self._own / each.name / _DATA).is_symlink()
            found.append(Mount(str(path), each.mount_path, each.read_only or read_only or files))
        return found

    def remove(self) -> None:
        """Nothing of the pod's own volumes is left; what claims hold stays."""
        shutil.rmtree(self._own, ignore_errors=True)
        self._places.clear()

    def _directory(self, name: str, source: Directory) -> Path:
        if source.owner == "host":
            return self._of_host(name, source)
        path = self._own / name
        if source.owner == "claim":
            path = self._root / "claims" / self._pod.namespace / source.name
        path.mkdir(parents=True, exist_ok=True)
        path.chmod(0o777)
        return path

    def _of_host(self, name: str, source: Directory) -> Path:
        """A path of the node: the machine's own, read-only; one that the machine has not is made for this node."""
        path = Path(source.name)
        if not path.exists() and source.kind in ("", "DirectoryOrCreate", "FileOrCreate"):
            path = self._root / "hosts" / self._pod.spec.node_name / source.name.lstrip("/")
            if source.kind == "FileOrCreate":
                path.parent.mkdir(parents=True, exist_ok=True)
                path.touch()
            else:
                path.mkdir(parents=True, exist_ok=True)
            return path
        right, what = _TYPES.get(source.kind.replace("OrCreate", ""), (None, ""))
        if right and not (path.exists() and right(path.stat().st_mode)):
            raise CommandError(f"hostPath type check failed: {source.name} is not {what}", volume=name)
        return path


def update(directory: Path, contents: Contents) -> None:
    """Let the directory hold exactly these files. A reader sees the old ones or the new ones, never some of both."""
    data = directory / _DATA
    old = data.readlink() if data.is_symlink() else None
    if old is not None and _read(directory / old) == contents:
        return
    new = directory / f"..{time.strftime('%Y_%m_%d_%H_%M_%S', time.gmtime())}.{time.time_ns() % 10**9:09}"
    for path, (content, mode) in contents.items():
        file = new / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        file.chmod(mode)
    new.mkdir(exist_ok=True)
    (directory / _NEW).symlink_to(new.name)
    (directory / _NEW).replace(data)
    shown = {PurePosixPath(path).parts[0] for path in contents}
    for name in shown:
        with suppress(FileExistsError):
            (directory / name).symlink_to(f"{_DATA}/{name}")
    for entry in directory.iterdir():
        if not entry.name.startswith("..") and entry.name not in shown:
            entry.unlink()
    if old is not None:
        shutil.rmtree(directory / old)


def _read(version: Path) -> Contents:
    return {
        str(file.relative_to(version)): (file.read_bytes(), file.stat().st_mode & 0o7777)
        for file in version.rglob("*")
        if file.is_file()
    }


def _below(volume: Path, path: str, name: str, container: str) -> Path:
    """A subPath of a volume; a directory is made where there is nothing."""
    whole = volume / path
    if ".." in PurePosixPath(path).parts or path.startswith("/") or not _inside(whole, volume):
        raise CommandError(f'failed to prepare subPath for volumeMount "{name}" of container "{container}"')
    if not whole.exists():
        with suppress(FileExistsError):
            whole.mkdir(parents=True)
    return whole.resolve()


def _inside(path: Path, volume: Path) -> bool:
    return Path(os.path.realpath(path)).is_relative_to(os.path.realpath(volume))
