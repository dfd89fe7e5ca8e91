"""What the server takes out of a custom object, and what it puts in: pruning and defaulting.

Source: apiextensions-apiserver/pkg/apiserver/schema/{pruning,defaulting}/algorithm.go, defaulting/prune.go.
"""

from __future__ import annotations

import copy
from typing import Any

Schema = dict[str, Any]

META = frozenset({"apiVersion", "kind", "metadata"})
PRESERVE = "x-kubernetes-preserve-unknown-fields"
EMBEDDED = "x-kubernetes-embedded-resource"


def prune(value: Any, schema: Schema) -> list[str]:
    """Remove from a whole object, in place, what its schema does not know; returns the paths of that, sorted."""
    return prune_part(value, {**schema, EMBEDDED: True})


def prune_part(value: Any, schema: Schema) -> list[str]:
    """The same for a part of an object."""
    gone: list[str] = []
    _prune(value, schema, "", gone)
    return sorted(gone)


def _prune(value: Any, schema: Schema | None, path: str, gone: list[str]) -> None:
    if isinstance(value, dict):
        _prune_object(value, schema, path, gone)
    elif isinstance(value, list):
        items = None if schema is None else schema.get("items")
        if schema is not None and schema.get(PRESERVE) and not isinstance(items, dict):
            return
        for index, child in enumerate(value):
            _prune(child, items if isinstance(items, dict) else None, f"{path}[{index}]", gone)


def _prune_object(value: dict[str, Any], schema: Schema | None, path: str, gone: list[str]) -> None:
    known: Schema = {} if schema is None else schema.get("properties") or {}
    rest = None if schema is None else schema.get("additionalProperties")
    kept = schema is not None and schema.get(PRESERVE)
    embedded = schema is not None and schema.get(EMBEDDED)
    for name in list(value):
        where = f"{path}.{name}" if path else name
        if embedded and name in META:
            continue
        if name in known:
            _prune(value[name], known[name], where, gone)
        elif rest is not None and rest is not False:
            if isinstance(rest, dict):
                _prune(value[name], rest, where, gone)
        elif not kept:
            gone.append(where)
            del value[name]


def default(value: Any, schema: Schema) -> None:
    """Remove nulls that the schema forbids and set its defaults, in place."""
    _drop_nulls(value, schema)
    _default(value, schema)


def _forbidden_null(value: Any, schema: Schema) -> bool:
    return value is None and not schema.get("nullable")


def _drop_nulls(value: Any, schema: Schema) -> None:
    if isinstance(value, dict):
        for name, child in list(value.items()):
            below = _below(schema, name)
            if below is None:
                continue
            if _forbidden_null(child, below) and below.get("default") is None:
                del value[name]
            else:
                _drop_nulls(child, below)
    elif isinstance(value, list) and isinstance(schema.get("items"), dict):
        for child in value:
            _drop_nulls(child, schema["items"])


def _default(value: Any, schema: Schema) -> None:
    if isinstance(value, dict):
        for name, below in (schema.get("properties") or {}).items():
            if below.get("default") is not None and (name not in value or _forbidden_null(value[name], below)):
                value[name] = copy.deepcopy(below["default"])
        for name, child in value.items():
            known = _below(schema, name)
            if known is not None:
                if _forbidden_null(child, known) and known.get("default") is not None:
                    value[name] = copy.deepcopy(known["default"])
                _default(value[name], known)
    elif isinstance(value, list) and isinstance(schema.get("items"), dict):
        items = schema["items"]
        for index, child in enumerate(value):
            if _forbidden_null(child, items) and items.get("default") is not None:
                value[index] = copy.deepcopy(items["default"])
            _default(value[index], items)


def _below(schema: Schema, name: str) -> Schema | None:
    """The schema of a field or map entry, where there is one."""
    known: Schema | None = (schema.get("properties") or {}).get(name)
    if known is not None:
        return known
    rest = schema.get("additionalProperties")
    return rest if isinstance(rest, dict) else None
