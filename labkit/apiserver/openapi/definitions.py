"""The definitions of types as OpenAPI v3 publishes them: shapes from `labkit.api.schema`, with their descriptions.

Descriptions are nine tenths of the text, and nobody but a reader of OpenAPI wants them: they have a file of their own,
`descriptions.json.gz` (made by `reduce_descriptions`), loaded with the first document.
"""

from __future__ import annotations

import gzip
from functools import cache
from pathlib import Path
from typing import Any

import msgspec

from labkit.api import schema
from labkit.api.resources import Resource

Raw = dict[str, Any]

DESCRIPTIONS = Path(__file__).with_name("descriptions.json.gz")
META = "io.k8s.apimachinery.pkg.apis.meta.v1."
INT_OR_STRING = "io.k8s.apimachinery.pkg.util.intstr.IntOrString"
GVK = "x-kubernetes-group-version-kind"
TYPE_META = {
    "apiVersion": {"type": "string", "description": "The version of this object's shape: group and version."},
    "kind": {"type": "string", "description": "The kind of this object, in CamelCase."},
}


class Described(msgspec.Struct, frozen=True, array_like=True):
    """The description of a type, and those of its fields."""

    text: str
    fields: dict[str, str]


@cache
def descriptions() -> dict[str, Described]:
    return msgspec.json.decode(gzip.decompress(DESCRIPTIONS.read_bytes()), type=dict[str, Described])


@cache
def names() -> dict[tuple[str, str], str]:
    """The name of a built-in kind's definition, by apiVersion and kind."""
    return {
        (f"{gvk['group']}/{gvk['version']}".lstrip("/"), gvk["kind"]): reference.removeprefix(schema.PREFIX)
        for reference, definition in schema.definitions().items()
        for gvk in definition.get(GVK, ())
    }


def name_of(resource: Resource) -> str:
    """The definition's name: as published for a built-in kind, else the group backwards, version and kind."""
    known = None if resource.custom else names().get((resource.api_version, resource.kind))
    return known or ".".join([*reversed(resource.group.split(".")), resource.version, resource.kind])


def published(name: str) -> Raw:
    """A built-in definition with its descriptions, in OpenAPI v3: what describes a reference stands beside `allOf`."""
    shape, words = schema.definitions()[schema.PREFIX + name], descriptions()[name]
    found = {"description": words.text, **shape} if words.text else dict(shape)
    if name == INT_OR_STRING:
        found["format"] = "int-or-string"
    if "properties" in shape:
        found["properties"] = {key: _field(each, words.fields.get(key)) for key, each in shape["properties"].items()}
    return found


def _field(shape: Raw, description: str | None) -> Raw:
    if description is None:
        return shape
    return {"description": description, **({"allOf": [shape]} if "$ref" in shape else shape)}


@cache
def encoded(name: str) -> msgspec.Raw:
    """`published`, as JSON: documents of several groups share it."""
    return msgspec.Raw(msgspec.json.encode(published(name)))


@cache
def referred(name: str) -> frozenset[str]:
    """The names of all definitions that a built-in one is made of, itself included."""
    found: set[str] = set()
    waiting = [name]
    while waiting:
        each = waiting.pop()
        if each not in found:
            found.add(each)
            waiting += references(schema.definitions()[schema.PREFIX + each])
    return frozenset(found)


def references(shape: Any) -> list[str]:
    """The names that a schema refers to, wherever in it."""
    if isinstance(shape, list):
        return [name for each in shape for name in references(each)]
    if not isinstance(shape, dict):
        return []
    if isinstance(shape.get("$ref"), str):
        return [shape["$ref"].removeprefix(schema.PREFIX)]
    return [name for each in shape.values() for name in references(each)]


def kind_of(resource: Resource, kind: str = "") -> list[dict[str, str]]:
    """The value of x-kubernetes-group-version-kind."""
    return [{"group": resource.group, "kind": kind or resource.kind, "version": resource.version}]


def list_of(resource: Resource) -> Raw:
    """The definition of a resource's list."""
    item = {"$ref": schema.PREFIX + name_of(resource)}
    return {
        "description": f"{resource.list_kind} is a list of {resource.kind}",
        "type": "object",
        "required": ["items"],
        "properties": {
            **TYPE_META,
            "items": {"type": "array", "items": item, "description": f"List of {resource.plural}."},
            "metadata": {"allOf": [{"$ref": schema.PREFIX + META + "ListMeta"}], "description": "The list's metadata."},
        },
        GVK: kind_of(resource, resource.list_kind),
    }


def custom(resource: Resource, written: Raw | None) -> Raw:
    """The definition of a custom kind: its own schema, with what every object has. None: nothing is known of it."""
    if written is None:
        return {"type": "object", "x-kubernetes-preserve-unknown-fields": True, GVK: kind_of(resource)}
    meta = {"allOf": [{"$ref": schema.PREFIX + META + "ObjectMeta"}], "description": "Standard object's metadata."}
    known = {**(written.get("properties") or {}), **TYPE_META, "metadata": meta}
    return {**written, "type": "object", "properties": known, GVK: kind_of(resource)}
