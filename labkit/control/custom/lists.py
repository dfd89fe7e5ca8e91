"""Lists that are sets or maps: no item, no key twice.

Source: apiextensions-apiserver/pkg/apiserver/schema/listtype/validation.go.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from labkit.api.problem import Problem, duplicate, invalid

Schema = dict[str, Any]

_encode = msgspec.json.Encoder(order="sorted").encode


def problems(value: Any, schema: Schema, path: str = "") -> Iterator[Problem]:
    """Repeated items of sets and repeated keys of map-lists, anywhere in a value; each named once."""
    if isinstance(value, list):
        items: Any = schema.get("items")
        match schema.get("x-kubernetes-list-type"):
            case "set":
                yield from _repeated(value, path)
            case "map":
                yield from _map(value, schema.get("x-kubernetes-list-map-keys", ()), path)
        for index, child in enumerate(value if isinstance(items, dict) else ()):
            yield from problems(child, items, f"{path}[{index}]")
    elif isinstance(value, dict):
        known, rest = schema.get("properties", {}), schema.get("additionalProperties")
        for name, child in value.items():
            if name in known:
                yield from problems(child, known[name], f"{path}.{name}" if path else name)
            elif isinstance(rest, dict):
                yield from problems(child, rest, f"{path}[{name}]")


def _map(items: list[Any], names: list[str], path: str) -> Iterator[Problem]:
    for index, item in enumerate(items):
        if item is not None and not isinstance(item, dict):
            yield invalid(f"{path}[{index}]", item, "must be an object for an array of list-type map", "Write fields.")
            return
    keys = [{name: item[name] for name in names if name in item} if item else {} for item in items]
    yield from _repeated(keys, path)


def _repeated(values: list[Any], path: str) -> Iterator[Problem]:
    seen: dict[bytes, int] = {}
    for index, value in enumerate(values):
        text = _encode(value)
        seen[text] = seen.get(text, 0) + 1
        if seen[text] == 2:
            yield duplicate(f"{path}[{index}]", value)
