"""Whether a program can be started, in the words in which runc says that it cannot.

Source: libcontainer/standard_init_linux.go and setns_init_linux.go of runc, os/exec of Go.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Sequence
from pathlib import Path

from labkit.errors import CommandError

NOT_FOUND, NOT_EXECUTABLE = 127, 126  # as sh has them


def check(argv: Sequence[str], cwd: str, path: str) -> None:
    """Look for the program as execvp does, in what this thread sees. Raises `CommandError` (code 126 or 127).

    path: value of PATH.
    """
    name = argv[0]
    if not Path(cwd).is_dir():
        why = "not a directory" if Path(cwd).exists() else "no such file or directory"
        raise CommandError(_sentence(f'chdir to cwd ("{cwd}") set in config.json failed: {why}'), code=NOT_EXECUTABLE)
    if "/" in name:
        error = _obstacle(Path(cwd, name))
        if error == errno.ENOENT:
            raise CommandError(failed(argv, f"stat {name}: no such file or directory"), code=NOT_FOUND)
        if error:
            raise CommandError(failed(argv, _text(error)), code=NOT_EXECUTABLE)
        return
    found = [_obstacle(Path(cwd, folder or ".", name)) for folder in path.split(":")] if name else []
    if 0 not in found:
        refused = errno.EACCES in found
        why = "permission denied" if refused else "executable file not found in $PATH"
        raise CommandError(failed(argv, why), code=NOT_EXECUTABLE if refused else NOT_FOUND)


def failed(argv: Sequence[str], why: str) -> str:
    """What runc says of a program that could not be started."""
    return _sentence(f'exec: "{argv[0]}": {why}')


def _sentence(why: str) -> str:
    return f"OCI runtime exec failed: exec failed: unable to start container process: {why}: unknown"


def _obstacle(path: Path) -> int:
    """The error of executing a file; 0 where there is none."""
    try:
        kind = path.stat().st_mode
    except OSError as error:
        return errno.ENOENT if error.errno == errno.ENOTDIR else error.errno or errno.ENOENT
    if stat.S_ISDIR(kind):
        return errno.EISDIR
    return 0 if os.access(path, os.X_OK) else errno.EACCES


def _text(error: int) -> str:
    return os.strerror(error).lower()
