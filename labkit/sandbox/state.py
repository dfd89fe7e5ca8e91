"""The one folder of the host that a lab may write to: its kept state, shown inside under a path of its own.

One lab at a time has it: the launcher, and what it forks, hold a lock on a file in there until the last of them is
gone. (In User-Mode Linux, SQLite's own lock ends at the guest's border.)
"""

from __future__ import annotations

import fcntl
import os
import time

from labkit.errors import StateError

INSIDE = "/run/labkit/state"
LOCK = "lock"
PATIENCE = 3.0  # seconds that a lab which was killed may take to be gone


def hold(folder: str) -> int:
    """Lock the folder for the life of this process and its children; returns the descriptor, which is not to be closed.

    Raises `StateError` where another lab has it.
    """
    try:
        fd = os.open(os.path.join(folder, LOCK), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)  # noqa: PTH118
    except OSError as error:
        raise StateError(f"the state of this lab cannot be kept in {folder}: {error.strerror}") from None
    until = time.monotonic() + PATIENCE
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return fd
        except BlockingIOError:
            if time.monotonic() > until:
                os.close(fd)
                why = f"the state in {folder} is in use: another lab has it"
                raise StateError(f"{why}. Close that one, or give this one another name.") from None
            time.sleep(0.02)
