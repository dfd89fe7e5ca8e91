"""JSON patch: a list of operations, each on what the one before it left; all of them or none (RFC 6902).

Source: gopkg.in/evanphx/json-patch.v4, patch.go.
"""

from __future__ import annotations

from typing import Any

import msgspec

from labkit.control.patch import pointer, refusals
from labkit.control.patch.pointer import NoPlace

MOST_OPERATIONS = 10_000
MOST_COPIED = 3 << 20
"""Bytes that the copies of one patch may add up to: they could else double an object again and again."""

Raw = dict[str, Any]
_encode = msgspec.json.Encoder(order="sorted").encode
_NAMES = {str: "string", int: "number", float: "number", bool: "bool", dict: "object", list: "array"}


def patched(live: Raw, patch: Any) -> Raw:
    """The object after all operations. Raises `ApiError`: 400, 413 (too many of them), 422 where one does not apply."""
    operations = _checked(patch)
    document: list[Any] = [msgspec.json.decode(_encode(live))]  # in a list, so that its root is a place as well
    copied = 0
    try:
        for operation in operations:
            copied += _apply(document, operation)
            if copied > MOST_COPIED:
                raise refusals.impossible()
        _encode(document)  # ends by RecursionError where what was made is nested too deeply to be an object
    except (NoPlace, RecursionError):
        raise refusals.impossible() from None
    if type(document[0]) is not dict:
        raise refusals.impossible()
    result: Raw = document[0]
    return result


def _checked(patch: Any) -> list[Raw]:
    if type(patch) is not list:
        text = f"json: cannot unmarshal {_NAMES.get(type(patch), 'null')} into Go value of type jsonpatch.Patch"
        raise refusals.malformed(text)
    for each in patch:
        if type(each) is not dict:
            text = f"json: cannot unmarshal {_NAMES.get(type(each), 'null')} into Go value of type jsonpatch.Operation"
            raise refusals.malformed(text)
    if len(patch) > MOST_OPERATIONS:
        raise refusals.too_many(MOST_OPERATIONS, len(patch))
    return patch


def _apply(document: list[Any], operation: Raw) -> int:
    """One operation; returns how many bytes it copied. Raises `NoPlace`."""
    place = ["0", *pointer.steps(operation.get("path"))]
    match operation.get("op"):
        case "add" if len(place) == 1:
            document[0] = _own(operation.get("value"))
        case "add":
            pointer.add(document, place, _own(operation.get("value")))
        case "replace":
            pointer.replace(document, place, _own(operation.get("value")))
        case "remove" if len(place) > 1:
            pointer.remove(document, place)
        case "move":
            source = ["0", *pointer.steps(operation.get("from"))]
            pointer.add(document, place, pointer.remove(document, source))
        case "copy":
            text = _encode(pointer.peek(document, ["0", *pointer.steps(operation.get("from"))]))
            pointer.add(document, place, msgspec.json.decode(text))
            return len(text)
        case "test":
            _test(document, place, operation.get("value"))
        case _:
            raise NoPlace
    return 0


def _own(value: Any) -> Any:
    """A value of the patch, its own copy: a later operation may change it."""
    return msgspec.json.decode(_encode(value)) if type(value) in (dict, list) else value


def _test(document: list[Any], place: list[str], value: Any) -> None:
    """A field that is not there counts as null. Compared as JSON, where 1 is not true."""
    if _encode(pointer.peek(document, place)) != _encode(value):
        raise NoPlace
