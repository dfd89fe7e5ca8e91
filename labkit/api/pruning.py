"""Fields that a kind does not have, and an object without them.

Source: the field validation of apiserver's handlers: `fieldValidation=Warn` and `Ignore` drop what they do not know.
"""

from __future__ import annotations

from typing import Any

from labkit.api.problem import Problem
from labkit.api.schema import Schema, definition, definitions


def is_unknown_field(problem: Problem) -> bool:
    return problem.message.startswith('unknown field "')


def pruned(raw: dict[str, Any]) -> dict[str, Any]:
    """A copy of an object of a known kind without the fields that its schema does not name."""
    found = definition(raw["apiVersion"], raw["kind"])
    copy: dict[str, Any] = _pruned(raw, found or {})
    return copy


def _pruned(value: Any, schema: Schema) -> Any:
    if "$ref" in schema:
        schema = definitions()[schema["$ref"]]
    if isinstance(value, list):
        return [_pruned(item, schema.get("items", {})) for item in value]
    if not isinstance(value, dict):
        return value
    known = schema.get("properties")
    if known is None:
        rest = schema.get("additionalProperties")
        return {name: _pruned(child, rest) for name, child in value.items()} if isinstance(rest, dict) else value
    return {name: _pruned(child, known[name]) for name, child in value.items() if name in known}
