"""Good objects made strange: each in a few places, with values that its schema allows or that nothing allows."""

from __future__ import annotations

import copy
from random import Random
from typing import Any

from labkit.api import schema

Raw = dict[str, Any]

WORDS = (
    "", "a", "b", "web", "main", "data", "Always", "None", "NodePort", "ExternalName", "ClientIP", "Recreate",
    "OnDelete", "Never", "UDP", "IPv6", "fd00::1", "10.0.0.1", "10.96.0.77", "0.0.0.0/0", "-", "a/b", "A_b", "25%",
    "-1%", "101%", "1e3", "1Ki", " 1 ", "0.1m", "-5", "9e99", "é", "\u0000", "\ud7ff", "x" * 300, "a.b.example",
    "$(A)", "{{}}", "../x", "2025-01-31T12:00:00Z", "2025-13-31T99:00:00Z", "aGk=", "kubernetes.io/x", "*", "true",
    "0", "default", "view",
)  # fmt: skip
NUMBERS = (0, 1, 2, 3, -1, 7, 80, 100, 65535, 65536, 2**31 - 1, 2**31, -(2**31), 2**63 - 1, 2**63, 2**70, 0.5, 1e300)
ODD = (None, True, False, [], {}, [None], {"": None}, "", 0, -1, 1.5, [[]], {"a": {"b": []}}, "null")
KEYS = ("a", "app", "x/y", "a b", "", "kubernetes.io/x", "é", "a" * 300, "cpu", "memory", "pods", "example.com/gpu")


def strange(raw: Raw, definition: Raw | None, chance: Random, places: int) -> Raw:
    """A copy that differs in some places."""
    made: Raw = copy.deepcopy(raw)
    for _ in range(places):
        _spoil(made, definition or {}, chance)
    return made


def _spoil(value: Any, definition: Raw, chance: Random) -> None:
    """Change something in an object or list, or deeper."""
    definition = _resolved(definition)
    if isinstance(value, dict):
        known = definition.get("properties") or {}
        inner = [name for name, child in value.items() if isinstance(child, dict | list) and name != "metadata"]
        if inner and chance.random() < 0.75:
            name = chance.choice(inner)
            _spoil(value[name], known.get(name) or definition.get("additionalProperties") or {}, chance)
            return
        names = [*known, *value] if chance.random() < 0.9 else [*KEYS]
        name = chance.choice(names or KEYS)
        if name in ("apiVersion", "kind", "metadata", "name") and chance.random() < 0.9:
            return
        if name in value and chance.random() < 0.2:
            del value[name]
        else:
            value[name] = typed(known.get(name) or definition.get("additionalProperties") or {}, chance, 5)
    elif isinstance(value, list):
        item = definition.get("items") or {}
        inner_items = [child for child in value if isinstance(child, dict | list)]
        if inner_items and chance.random() < 0.7:
            _spoil(chance.choice(inner_items), item, chance)
        elif value and chance.random() < 0.5:
            value.append(copy.deepcopy(chance.choice(value)))
        else:
            value.append(typed(item, chance, 4))


def typed(definition: Any, chance: Random, depth: int) -> Any:
    """A value that a definition allows, or now and then one that it does not."""
    definition = _resolved(definition)
    if chance.random() < 0.08:
        return copy.deepcopy(chance.choice(ODD))
    match definition.get("type"):
        case "string":
            return chance.choice(definition.get("enum") or WORDS)
        case "integer" | "number":
            return chance.choice(NUMBERS)
        case "boolean":
            return chance.random() < 0.5
        case "array":
            count = chance.choice((0, 1, 1, 2)) if depth > 0 else 0
            return [typed(definition.get("items") or {}, chance, depth - 1) for _ in range(count)]
        case "object":
            return _object(definition, chance, depth)
        case _:
            return chance.choice((*WORDS, *NUMBERS))


def _object(definition: Raw, chance: Random, depth: int) -> Raw:
    known = definition.get("properties")
    if known is None:
        item = definition.get("additionalProperties")
        values = item if isinstance(item, dict) else {}
        return {chance.choice(KEYS): typed(values, chance, depth - 1) for _ in range(chance.choice((0, 1, 2)))}
    if depth <= 0:
        return {}
    names = {*definition.get("required", ()), *chance.sample(sorted(known), min(len(known), chance.choice((0, 1, 3))))}
    return {name: typed(known[name], chance, depth - 1) for name in sorted(names) if name in known}


def _resolved(definition: Any) -> Raw:
    if not isinstance(definition, dict):
        return {}
    reference = definition.get("$ref")
    return schema.definitions().get(reference, {}) if isinstance(reference, str) else definition
