"""Where the state of labs that are kept lies: a folder for each name, for its owner's eyes only.

Source: the XDG Base Directory Specification.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from labkit.errors import LabError, StateError

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")


def folder(name: str) -> Path:
    """The folder of a lab's state, made if there is none. Raises `LabError` for a name that cannot be one's,
    `StateError` where it cannot be made.
    """
    if not NAME.fullmatch(name):
        raise LabError(
            f"name is {name!r}: a lab that is kept is named by letters, digits, '.', '_' and '-', at most 63"
        )
    given = os.environ.get("XDG_STATE_HOME", "")
    base = Path(given) if given.startswith("/") else Path.home() / ".local" / "state"
    path = base / "labkit" / name
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.chmod(0o700)
    except OSError as error:
        raise StateError(f"the state of this lab cannot be kept in {path}: {error.strerror}", path=str(path)) from None
    return path.resolve()
