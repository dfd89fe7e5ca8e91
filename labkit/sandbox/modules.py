"""Kernel modules by name, with what they depend on, loaded without a program (finit_module).

The kernel itself asks for further ones by /proc/sys/kernel/modprobe; that costs a process each, these cost none.
Source: man 2 finit_module; modules.dep(5), as depmod writes it.
"""

from __future__ import annotations

import errno
import os
import platform
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

from labkit.sandbox import syscalls

ROOT = Path("/run/labkit/lib/modules")
"""Where the modules of a kernel of the lab's own are, seen from inside; nowhere else is there such a folder."""
FINIT_MODULE = 313  # on x86-64, the one architecture that User-Mode Linux is packaged for


@lru_cache
def provide(*names: str) -> None:
    """Load modules where the kernel is the lab's own; elsewhere the kernel asks for them, or has them not."""
    folder = ROOT / platform.release()
    if folder.is_dir():
        Modules(folder).load(names)


class Modules:
    """The modules below `folder`, which has a `modules.dep`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files: dict[str, list[str]] = {}
        self._loaded: set[str] = set()
        for line in (folder / "modules.dep").read_text().splitlines():
            file, _, needed = line.partition(":")
            self._files[_name(file)] = [*reversed(needed.split()), file]  # the deepest dependency comes last in there

    def load(self, names: Iterable[str]) -> None:
        """Load these modules; one that is loaded, built in or unknown is passed over. Raises `OSError`."""
        for name in names:
            for file in self._files.get(name, ()):
                if file not in self._loaded:
                    self._loaded.add(file)
                    _finit(self._folder / file)


def _name(file: str) -> str:
    return file.rpartition("/")[2].partition(".")[0].replace("-", "_")


def _finit(file: Path) -> None:
    fd = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
    try:
        syscalls.call(FINIT_MODULE, fd, b"", 0, what=str(file))
    except OSError as error:
        if error.errno != errno.EEXIST:
            raise
    finally:
        os.close(fd)
