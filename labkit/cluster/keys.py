"""The keys of a lab that is kept: with them its kubeconfigs and tokens are good when it comes back.

    ca.key, ca.crt   the lab's authority        sa.key   signs the tokens of ServiceAccounts

Each is written whole or not at all, for its owner alone. One that cannot be read is refused and stays as it is.
Source: kubeadm's certificates (cmd/kubeadm/app/phases/certs), for the names of the files.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from labkit.apiserver.access.certificates import Authority
from labkit.apiserver.access.tokens import Tokens
from labkit.control.store import Store
from labkit.errors import StateError

Made = TypeVar("Made")
CA_KEY, CA, SA_KEY = "ca.key", "ca.crt", "sa.key"


def authority(folder: str) -> Authority:
    """The authority of the lab with this folder: the one kept there, else a new one. Raises `StateError`."""
    if not folder:
        return Authority()
    kept = _read(folder, CA_KEY), _read(folder, CA)
    if kept[1] and not kept[0]:
        raise _unusable(folder, CA_KEY, "it is missing")
    found = _checked(folder, CA_KEY, lambda: Authority(*kept))
    _write(folder, CA_KEY, found.key)
    _write(folder, CA, found.certificate)
    return found


def tokens(folder: str, store: Store) -> Tokens:
    """Signs with the key kept in the folder, else with a new one. Raises `StateError`."""
    if not folder:
        return Tokens(store)
    kept = _read(folder, SA_KEY)
    found = _checked(folder, SA_KEY, lambda: Tokens(store, kept))
    _write(folder, SA_KEY, found.key)
    return found


def _checked(folder: str, name: str, make: Callable[[], Made]) -> Made:
    try:
        return make()
    except ValueError as error:
        raise _unusable(folder, name, str(error)) from None


def _read(folder: str, name: str) -> bytes:
    """The file's content, empty where there is none."""
    try:
        content = (Path(folder) / name).read_bytes()
    except FileNotFoundError:
        return b""
    except OSError as error:
        raise _unusable(folder, name, str(error.strerror)) from None
    if not content:
        raise _unusable(folder, name, "it is empty")
    return content


def _write(folder: str, name: str, content: bytes) -> None:
    """Write a file that is not there yet."""
    path = Path(folder) / name
    if path.exists():
        return
    draft = path.with_suffix(path.suffix + ".new")
    try:
        draft.unlink(missing_ok=True)
        fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(fd, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        draft.rename(path)
    except OSError as error:
        raise _unusable(folder, name, str(error.strerror)) from None


def _unusable(folder: str, name: str, why: str) -> StateError:
    path = Path(folder) / name
    remedy = f"Put it back, or move {CA_KEY}, {CA} and {SA_KEY} away: clients then need the lab's new kubeconfig."
    return StateError(f"{path} cannot be used: {why}. {remedy}", path=str(path))
