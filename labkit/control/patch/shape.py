"""What the schema says about how a field is patched: `x-kubernetes-patch-strategy` and `-merge-key`."""

from __future__ import annotations

from labkit.api.schema import Schema, definitions

STRATEGY = "x-kubernetes-patch-strategy"
MERGE_KEY = "x-kubernetes-patch-merge-key"


def field(schema: Schema, name: str) -> Schema:
    """The schema of a field, empty where nothing is known of it. Keywords beside a reference stay beside it."""
    rest = schema.get("additionalProperties")
    found: Schema = schema.get("properties", {}).get(name) or (rest if isinstance(rest, dict) else {})
    return found


def resolved(schema: Schema) -> Schema:
    return definitions()[schema["$ref"]] if "$ref" in schema else schema


def strategies(schema: Schema) -> list[str]:
    """Of a field: some of merge, replace, retainKeys."""
    found: str = schema.get(STRATEGY, "")
    return found.split(",")


def merge_key(schema: Schema) -> str:
    key: str = schema.get(MERGE_KEY, "")
    return key
