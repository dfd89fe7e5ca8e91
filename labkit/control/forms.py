"""Other forms of stored objects, made once for each version: as structs, as JSON."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

from labkit.api import objects
from labkit.control.index import Key

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
