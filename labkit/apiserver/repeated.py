"""Keys that stand twice in one object of a JSON body: the last one counts, and strict clients hear of it. Pure.

Source: sigs.k8s.io/json (UnmarshalStrict), apimachinery/pkg/runtime/serializer/json.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import msgspec

ESCAPED_COLON = re.compile(rb"\\u003[aA]")
MOST = 20  # of them are told

_encode = msgspec.json.Encoder().encode


class _Object(dict[str, Any]):
    """An object that remembers which of its keys stood there again."""

    again: tuple[str, ...] = ()


def repeated(body: bytes, value: Any) -> list[str]:
    """The paths of repeated keys of a body that was read as `value`, as "spec.containers[0].name".

    Nearly always there are none, and counting colons tells: there is one for each key, and those within texts, which
    are written as themselves. Only where it does not tell is the body read again.
    """
    if body.count(b":") == _encode(value).count(b":") and not ESCAPED_COLON.search(body):
        return []
    try:
        found = json.loads(body, object_pairs_hook=_object)
        return [path for path, _ in zip(_paths(found, ""), range(MOST), strict=False)]
    except (ValueError, RecursionError):  # numbers and depths that only the other reader takes
        return []


def _object(pairs: list[tuple[str, Any]]) -> _Object:
    made = _Object()
    again = []
    for name, value in pairs:
        if name in made:
            again.append(name)
        made[name] = value
    made.again = tuple(dict.fromkeys(again))
    return made


def _paths(value: Any, path: str) -> Iterator[str]:
    if isinstance(value, _Object):
        for name in value.again:
            yield f"{path}.{name}".lstrip(".")[:200]
        for name, child in value.items():
            yield from _paths(child, f"{path}.{name}".lstrip("."))
    elif isinstance(value, list):
        for index, child in enumerate(value):
            yield from _paths(child, f"{path}[{index}]")
