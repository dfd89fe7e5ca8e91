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
    """Keys of the objects, or those of some kinds, by the values that a function of the object gives."""

    def __init__(self, values: Callable[[dict[str, Any]], Iterable[str]], kinds: frozenset[str] = frozenset()) -> None:
        self._values = values
        self._kinds = kinds
        self._keys: dict[str, set[Key]] = {}

    def covers(self, kind: str) -> bool:
        """Whether it is of objects that are kept under this kind."""
        return not self._kinds or kind in self._kinds

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


class Indexes:
    """The indexes of a store by name; and by kind, so that a change only comes to those that it may be in."""

    def __init__(self) -> None:
        self._named: dict[str, Index] = {}
        self._of_kind: dict[str, list[Index]] = {}

    def add(self, name: str, index: Index, objects: Iterable[tuple[Key, dict[str, Any]]]) -> None:
        """One more, of the objects that there are."""
        self._named[name] = index
        self._of_kind.clear()
        for key, raw in objects:
            if index.covers(key[0]):
                index.move(key, None, raw)

    def keys(self, name: str, value: str) -> list[Key]:
        return self._named[name].keys(value)

    def move(self, key: Key, old: dict[str, Any] | None, new: dict[str, Any] | None) -> None:
        """The object of `key` was `old` and is `new`; None where there is none."""
        if (indexes := self._of_kind.get(key[0])) is None:
            indexes = self._of_kind[key[0]] = [index for index in self._named.values() if index.covers(key[0])]
        for index in indexes:
            index.move(key, old, new)
