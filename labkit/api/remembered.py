"""What was found out about a value, remembered by its text: pods of equal specs come again and again.

Two values have the same text only if nothing tells them apart, not even the order of fields; so what is remembered of
the one is true of the other.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

import msgspec

T = TypeVar("T")

MOST = 128
LONGEST = 8192  # bytes of a text; specs of pods have one or two thousand

_encode = msgspec.msgpack.Encoder().encode
_encode_json = msgspec.json.Encoder().encode
_decode = msgspec.msgpack.Decoder().decode


def text(value: Any) -> bytes:
    """A value as MessagePack; nothing where it is too long, or has no such form: an integer of more than 64 bits, half
    a surrogate pair, a thousand levels.
    """
    return _text(_encode, value)


def json_text(value: Any) -> bytes:
    """The same as JSON, which tells those values apart that can be read from JSON: not NaN from null."""
    return _text(_encode_json, value)


def _text(encode: Callable[[Any], bytes], value: Any) -> bytes:
    try:
        made = encode(value)
    except (OverflowError, RecursionError, TypeError, UnicodeEncodeError):
        return b""
    return made if len(made) <= LONGEST else b""


def value(text: bytes) -> Any:
    """The value of a text, which shares nothing with others."""
    return _decode(text)


class Remembered(Generic[T]):
    """The latest texts, each of something that is named with it, and what was found out of each."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._found: dict[tuple[str, bytes], T] = {}

    def get(self, of: str, text: bytes) -> T | None:
        return self._found.get((of, text))

    def put(self, of: str, text: bytes, found: T) -> None:
        """Remember it, unless the text is none."""
        if text:
            self._found[of, text] = found
            if len(self._found) > self._most:
                del self._found[next(iter(self._found))]
