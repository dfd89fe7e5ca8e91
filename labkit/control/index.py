"""Indexes of the store: from a value that objects have to the objects that have it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from labkit.api.kinds import store_kind

Key = tuple[str, str, str]
"""(kind, namespace, name)"""


def key_of(raw: dict[str, Any]) -> Key:
    """(kind, namespace, name); the kind as the store keeps it, an empty namespace where it has none."""
    metadata = raw["metadata"]
    return store_kind(raw["apiVersion"], raw["kind"]), metadata.get("namespace", ""), metadata.get("name", "")


class Index:
    """Keys of the objects by the values that a function of the object gives."""

    def __init__(self, values: Callable[[dict[str, Any]], Iterable[str]]) -> None:
        self._values = values
        self._keys: dict[str, set[Key]] = {}

    def keys(self, value: str) -> list[Key]:
        """In order, so that what is done with them does not depend on the order of events."""
        found = self._keys.get(value)
        return sorted(found) if found else []

    def move(self, key: Key, old: dict[str, Any] | None, new: dict[str, Any] | None) -> None:
        """The object of `key` was `old` and is `new`; None where there is none."""
        if old is None and new is not None:
            self._add(key, self._values(new))
            return
        before = [] if old is None else list(self._values(old))
        after = [] if new is None else list(self._values(new))
        if before == after:
            return
        for value in {*before}.difference(after):
            self._keys[value].discard(key)
            if not self._keys[value]:
                del self._keys[value]
        self._add(key, after)

    def _add(self, key: Key, values: Iterable[str]) -> None:
        for value in values:
            if (found := self._keys.get(value)) is None:
                self._keys[value] = {key}
            else:
                found.add(key)
