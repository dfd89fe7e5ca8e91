"""Values of flags that are no text, read as Go's strconv and pflag read them."""

from __future__ import annotations

import re

_TRUE, _FALSE = ("1", "t", "T", "true", "TRUE", "True"), ("0", "f", "F", "false", "FALSE", "False")


def boolean(given: str) -> bool:
    if given not in (*_TRUE, *_FALSE):
        raise ValueError(f'strconv.ParseBool: parsing "{given}": invalid syntax')
    return given in _TRUE


def number(given: str) -> int:
    """A 32-bit number."""
    if not re.fullmatch(r"[+-]?\d+", given, re.ASCII):
        raise ValueError(f'strconv.ParseInt: parsing "{given}": invalid syntax')
    if not -(2**31) <= int(given) < 2**31:
        raise ValueError(f'strconv.ParseInt: parsing "{given}": value out of range')
    return int(given)


def words(given: str) -> tuple[str, ...]:
    """Words with commas between them."""
    return tuple(given.split(",")) if given else ()
