"""The rules that make a custom resource's schema structural (KEP-1693): every field has its type outside of junctions.

As there, completeness is asked of the root's junctions only.
Source: apiextensions-apiserver/pkg/apiserver/schema/validation.go, complete.go.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from labkit.api.problem import Problem, forbidden, invalid, required
from labkit.control.custom import patterns

Schema = dict[str, Any]

ROOT, ITEM, FIELD = "at the root", "for specified array items", "for specified object fields"
INT_OR_STRING = [{"type": "integer"}, {"type": "string"}]
PRESERVE = "x-kubernetes-preserve-unknown-fields"
EMBEDDED = "x-kubernetes-embedded-resource"
EITHER = "x-kubernetes-int-or-string"
JUNCTIONS = ("allOf", "anyOf", "oneOf")
UNSTRUCTURAL = {
    "type": "must be empty to be structural",
    "additionalProperties": "must be undefined to be structural",
    "default": "must be undefined to be structural",
    "title": "must be empty to be structural",
    "description": "must be empty to be structural",
    "nullable": "must be false to be structural",
    PRESERVE: "must be false to be structural",
    EMBEDDED: "must be false to be structural",
    EITHER: "must be false to be structural",
    "x-kubernetes-list-map-keys": "must be empty to be structural",
    "x-kubernetes-list-type": "must be undefined to be structural",
    "x-kubernetes-map-type": "must be undefined to be structural",
    "x-kubernetes-validations": "must be empty to be structural",
}
"""What may not stand within a junction, and why."""


def problems(schema: Schema, path: str) -> list[Problem]:
    """All that keeps a version's schema from being structural, in order of field."""
    found = [*_structure(schema, ROOT, path), *_completeness(schema, path)]
    return sorted(found, key=lambda p: (p.field, p.message))


def _structure(schema: Schema, level: str, path: str) -> Iterator[Problem]:
    items, rest = schema.get("items"), schema.get("additionalProperties")
    if schema.get("type") == "array" and not isinstance(items, dict):
        yield required(f"{path}.items", "must be specified")
    if isinstance(items, dict):
        yield from _structure(items, ITEM, f"{path}.items")
    for name, child in (schema.get("properties") or {}).items():
        yield from _structure(child, FIELD, f"{path}.properties[{name}]")
    if rest is not None:
        if level == ROOT:
            yield forbidden(f"{path}.additionalProperties", "must not be used at the root")
        if isinstance(rest, dict):
            yield from _structure(rest, FIELD, f"{path}.additionalProperties")
    yield from _extensions(schema, level, path)
    yield from _value_rules(schema, path)
    yield from _meta_fields(schema, level, path)


def _extensions(schema: Schema, level: str, path: str) -> Iterator[Problem]:
    kind = schema.get("type") or ""
    if schema.get(EITHER):
        for name in (PRESERVE, EMBEDDED):
            if schema.get(name):
                yield invalid(f"{path}.{name}", True, f"must be false if {EITHER} is true", "Remove one of the two.")
    if schema.get(EMBEDDED):
        if not kind:
            yield required(f"{path}.type", f"must be object if {EMBEDDED} is true")
        elif kind != "object":
            yield invalid(f"{path}.type", kind, f"must be object if {EMBEDDED} is true", "Write object.")
        if schema.get("additionalProperties") is not None:
            yield forbidden(f"{path}.additionalProperties", f"must not be used if {EMBEDDED} is set")
        if not schema.get(PRESERVE) and not schema.get("properties"):
            why = f"must not be empty if {EMBEDDED} is true without {PRESERVE}"
            yield required(f"{path}.properties", why)
    elif not kind and not schema.get(EITHER) and not schema.get(PRESERVE):
        yield required(f"{path}.type", f"must not be empty {level}")
    if level == ROOT and kind and kind != "object":
        yield invalid(f"{path}.type", kind, "must be object at the root", "Write object.")


def _meta_fields(schema: Schema, level: str, path: str) -> Iterator[Problem]:
    """A resource's own kind, apiVersion and metadata: only the names may be restricted."""
    known = schema.get("properties") or {}
    is_resource = level == ROOT or bool(schema.get(EMBEDDED))
    for name in ("kind", "apiVersion"):
        if is_resource and name in known and known[name].get("type") != "string":
            where = f"{path}.properties[{name}].type"
            yield invalid(where, known[name].get("type", ""), "must be string", "Write string.")
    meta = known.get("metadata")
    if meta is None:
        return
    where = f"{path}.properties[metadata]"
    if is_resource and meta.get("type") != "object":
        yield invalid(f"{where}.type", meta.get("type", ""), "must be object", "Write object.")
    rest = {name: value for name, value in meta.items() if name not in ("type", "default", "properties", "description")}
    if level == ROOT and (rest or not set(meta.get("properties") or ()) <= {"name", "generateName"}):
        why = "must not specify anything other than name and generateName, but metadata is implicitly specified"
        yield forbidden(where, why)


def _value_rules(schema: Schema, path: str) -> Iterator[Problem]:
    """The junctions of a schema, but for the two spellings of integer-or-string."""
    any_of, all_of = schema.get("anyOf") or [], schema.get("allOf") or []
    if any_of != INT_OR_STRING:
        for index, part in enumerate(any_of):
            yield from _nested(part, f"{path}.anyOf[{index}]")
    for index, part in enumerate(all_of):
        excused = index == 0 and part.get("anyOf") == INT_OR_STRING
        yield from _nested({**part, "anyOf": []} if excused else part, f"{path}.allOf[{index}]")
    for index, part in enumerate(schema.get("oneOf") or []):
        yield from _nested(part, f"{path}.oneOf[{index}]")
    if schema.get("not") is not None:
        yield from _nested(schema["not"], f"{path}.not")
    if schema.get("pattern") and (why := patterns.fault(schema["pattern"])):
        detail = f"must be a valid regular expression, but isn't: {why}"
        yield invalid(f"{path}.pattern", schema["pattern"], detail, "Correct it: the syntax is RE2's.")


def _nested(part: Schema, path: str) -> Iterator[Problem]:
    yield from _value_rules(part, path)
    if isinstance(part.get("items"), dict):
        yield from _nested(part["items"], f"{path}.items")
    for name, child in (part.get("properties") or {}).items():
        yield from _nested(child, f"{path}.properties[{name}]")
    for name, why in UNSTRUCTURAL.items():
        if part.get(name) not in (None, "", False, []):
            yield forbidden(f"{path}.{name}", why)
    if "metadata" in (part.get("properties") or {}):
        yield forbidden(f"{path}.properties[metadata]", "must not be specified in a nested context")


def _completeness(schema: Schema, path: str) -> Iterator[Problem]:
    """What the junctions at the root speak of must be specified outside of them too."""
    yield from _specified({k: v for k, v in schema.items() if k in (*JUNCTIONS, "not")}, schema, path, path)


def _specified(part: Schema, schema: Schema | None, path: str, where: str) -> Iterator[Problem]:
    if schema is None:
        yield required(path, f"because it is defined in {where}", "Define it outside of the junction too.")
        return
    known = schema.get("properties") or {}
    for name, child in (part.get("properties") or {}).items():
        yield from _specified(child, known.get(name), f"{path}.properties[{name}]", f"{where}.properties[{name}]")
    if isinstance(part.get("items"), dict):
        items = schema.get("items")
        below = items if isinstance(items, dict) else None
        yield from _specified(part["items"], below, f"{path}.items", f"{where}.items")
    for keyword in JUNCTIONS:
        for index, inner in enumerate(part.get(keyword) or []):
            yield from _specified(inner, schema, path, f"{where}.{keyword}[{index}]")
    if part.get("not") is not None:
        yield from _specified(part["not"], schema, path, f"{where}.not")
