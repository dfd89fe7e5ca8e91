"""Folders that take long to make, kept from one run to the next."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory


def kept(cache: Path, name: str, make: Callable[[Path], object]) -> Path:
    """The folder `name` of the cache, made first where it is missing: whole, or not at all."""
    finished = cache / name
    if not finished.exists():
        with TemporaryDirectory(dir=cache, prefix="unfinished-") as unfinished:
            make(Path(unfinished, "files"))
            if not finished.exists():  # else another run was quicker
                Path(unfinished, "files").rename(finished)
    return finished
