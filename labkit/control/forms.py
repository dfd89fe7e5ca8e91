"""Other forms of stored objects, made once for each version: as structs, as JSON."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, TypeVar

import msgspec

from labkit.api import objects
from labkit.control.index import Key, key_of

T = TypeVar("T", bound=objects.Object)
Raw = dict[str, Any]

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode


def copy(raw: Raw) -> Raw:
    """A copy that shares nothing with the original."""
    value: Raw = _decode(_encode(raw))
    return value


class Forms:
    """What was made of the objects under their keys. An entry counts for the very object that it was made of."""

    def __init__(self) -> None:
        self._structs: dict[Key, tuple[Raw, objects.Object]] = {}
        self._texts: dict[Key, tuple[Raw, bytes]] = {}

    def struct(self, key: Key, raw: Raw, cls: type[T], keep: bool) -> T:
        """The object as its struct; `keep` where it is the stored one."""
        cached = self._structs.get(key)
        if cached and cached[0] is raw and isinstance(cached[1], cls):
            return cached[1]
        made = objects.view(raw, cls)
        if keep:
            self._structs[key] = raw, made
        return made

    def text(self, key: Key, raw: Raw, keep: bool) -> bytes:
        """The object as JSON; `keep` where it is the stored one."""
        cached = self._texts.get(key)
        if cached and cached[0] is raw:
            return cached[1]
        made = _encode(raw)
        if keep:
            self._texts[key] = raw, made
        return made

    def forget(self, key: Key) -> None:
        self._structs.pop(key, None)
        self._texts.pop(key, None)


class Formed(ABC):
    """What a store gives of its objects in other forms."""

    def __init__(self) -> None:
        self._forms = Forms()

    @abstractmethod
    def find(self, kind: str, namespace: str, name: str) -> Raw | None: ...

    @abstractmethod
    def list(self, kind: str, namespace: str | None = None) -> tuple[Raw, ...]: ...

    def view(self, cls: type[T], namespace: str, name: str) -> T | None:
        """The object as its struct, made once for each version; None where there is no such object."""
        raw = self.find(cls.__name__, namespace, name)
        return None if raw is None else self.typed(cls, raw)

    def views(self, cls: type[T], namespace: str | None = None) -> tuple[T, ...]:
        """All objects of a kind as structs, in order of namespace and name."""
        return tuple(self.typed(cls, raw) for raw in self.list(cls.__name__, namespace))

    def typed(self, cls: type[T], raw: Raw) -> T:
        """An object of this store, or one that was in it, as its struct."""
        key = key_of(raw)
        return self._forms.struct(key, raw, cls, keep=self.find(*key) is raw)

    def encoded(self, raw: Raw) -> bytes:
        """An object of this store, or one that was in it, as JSON."""
        key = key_of(raw)
        return self._forms.text(key, raw, keep=self.find(*key) is raw)
