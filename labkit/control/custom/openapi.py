"""What a CustomResourceDefinition's schema may not say, keyword by keyword: list types, defaults, things not supported.

Source: apiextensions-apiserver/pkg/apis/apiextensions/validation/validation.go,
ValidateCustomResourceDefinitionOpenAPISchema; pkg/apiserver/schema/defaulting/validation.go for the defaults' values.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

from labkit.api.problem import Problem, forbidden, invalid, required, unsupported
from labkit.control.custom import complete, lists, values

Schema = dict[str, Any]

TYPES = ("array", "boolean", "integer", "number", "object", "string")
LIST_TYPE, LIST_KEYS, MAP_TYPE = "x-kubernetes-list-type", "x-kubernetes-list-map-keys", "x-kubernetes-map-type"
UNSUPPORTED = ("id", "additionalItems", "patternProperties", "definitions", "dependencies", "$ref")
META = ("metadata", "kind", "apiVersion")
JUNCTIONS = ("allOf", "anyOf", "oneOf")
TOO_SLOW = "uniqueItems cannot be set to true since the runtime complexity becomes quadratic"


def problems(
    schema: Schema, path: str, root: bool = True, no_default: str = "", in_meta: bool = False
) -> list[Problem]:
    """All faults of one schema and of those in it. `no_default` says where no default may be, `in_meta` that this is
    a resource's own metadata.
    """
    found = [*_keywords(schema, path, no_default, in_meta), *_lists(schema, path), *_default_value(schema, path)]
    rest, known = schema.get("additionalProperties"), schema.get("properties") or {}
    if isinstance(rest, dict):
        why = "inside additionalProperties applying to object metadata" if in_meta else no_default
        found += problems(rest, f"{path}.additionalProperties", False, why, in_meta)
    for name, child in known.items():
        meta = (root or bool(schema.get(complete.EMBEDDED))) and name in META
        why = f"in top-level {name}" if meta and root else no_default
        found += problems(child, f"{path}.properties[{name}]", False, why, meta or in_meta)
    if isinstance(schema.get("items"), dict):
        found += problems(schema["items"], f"{path}.items", False, no_default, in_meta)
    for keyword in JUNCTIONS:
        for index, part in enumerate(schema.get(keyword) or []):
            found += problems(part, f"{path}.{keyword}[{index}]", False, no_default, in_meta)
    if schema.get("not") is not None:
        found += problems(schema["not"], f"{path}.not", False, no_default, in_meta)
    return found


def _keywords(schema: Schema, path: str, no_default: str, in_meta: bool) -> Iterator[Problem]:
    kind = schema.get("type") or ""
    if kind == "null":
        yield forbidden(f"{path}.type", "type cannot be set to null, use nullable as an alternative")
    if kind and kind not in TYPES:
        yield unsupported(f"{path}.type", kind, TYPES)
    if schema.get("default") is not None and no_default:
        yield forbidden(f"{path}.default", f"must not be set {no_default}")
    for name in UNSUPPORTED:
        if schema.get(name):
            yield forbidden(f"{path}.{name}", f"{name} is not supported")
    if isinstance(schema.get("items"), list):
        yield forbidden(f"{path}.items", "items must be a schema object and not an array")
    if in_meta and schema.get(complete.EMBEDDED):
        yield forbidden(f"{path}.{complete.EMBEDDED}", "must not be used inside of resource meta")
    if schema.get("uniqueItems"):
        yield forbidden(f"{path}.uniqueItems", TOO_SLOW)
    rest = schema.get("additionalProperties")
    if schema.get("properties") and rest is not None and rest is not True:
        yield forbidden(f"{path}.additionalProperties", "additionalProperties and properties are mutual exclusive")
    if schema.get(complete.PRESERVE) is False:
        yield invalid(f"{path}.{complete.PRESERVE}", False, "must be true or undefined", "Remove it.")
    for name, wanted, allowed in ((MAP_TYPE, "object", ("atomic", "granular")),
                                  (LIST_TYPE, "array", ("atomic", "map", "set"))):  # fmt: skip
        if schema.get(name) is None:
            continue
        if not kind:
            yield required(f"{path}.type", f"must be {wanted} if {name} is specified")
        elif kind != wanted:
            yield invalid(f"{path}.type", kind, f"must be {wanted} if {name} is specified", f"Write {wanted}.")
        if schema[name] not in allowed:
            yield unsupported(f"{path}.{name}", schema[name], allowed)


def _lists(schema: Schema, path: str) -> Iterator[Problem]:
    kind, keys, items = schema.get(LIST_TYPE), schema.get(LIST_KEYS) or [], schema.get("items")
    if keys and kind != "map":
        why = f"must be map if {LIST_KEYS} is non-empty"
        yield invalid(f"{path}.{LIST_TYPE}", kind, why, "Write map.") if kind else required(f"{path}.{LIST_TYPE}", why)
    if kind == "map":
        yield from _map(keys, items, path)
    if isinstance(items, dict) and kind in ("map", "set") and items.get("nullable"):
        yield forbidden(f"{path}.items.nullable", f"cannot be nullable when {LIST_TYPE} is {kind}")
    if isinstance(items, dict) and kind == "set":
        why = f"must be atomic as item of a list with {LIST_TYPE}=set"
        if items.get("type") == "array" and items.get(LIST_TYPE) not in (None, "atomic"):
            yield invalid(f"{path}.items.{LIST_TYPE}", items[LIST_TYPE], why, "Write atomic.")
        if items.get("type") == "object" and items.get(MAP_TYPE) != "atomic":
            yield invalid(f"{path}.items.{MAP_TYPE}", items.get(MAP_TYPE), why, "Write atomic.")


def _map(keys: list[str], items: Any, path: str) -> Iterator[Problem]:
    if not keys:
        yield required(f"{path}.{LIST_KEYS}", f"must not be empty if {LIST_TYPE} is map")
    if not isinstance(items, dict):
        yield required(f"{path}.items", f"must have a schema if {LIST_TYPE} is map")
        return
    if items.get("type") != "object":
        why = f"must be object if parent array's {LIST_TYPE} is map"
        yield invalid(f"{path}.items.type", items.get("type", ""), why, "Write object.")
        return
    known = items.get("properties") or {}
    for index, key in enumerate(keys):
        field, where = known.get(key), f"{path}.items.properties[{key}]"
        if key in keys[:index]:
            yield invalid(f"{path}.{LIST_KEYS}", keys, "must not contain duplicate entries", "Remove one.")
        if field is None:
            why = "entries must all be names of item properties"
            yield invalid(f"{path}.{LIST_KEYS}", keys, why, f"Define {key}.")
            continue
        if field.get("type") in ("array", "object"):
            why = f"must be a scalar type if parent array's {LIST_TYPE} is map"
            yield invalid(f"{where}.type", items["type"], why, "Choose a scalar type.")
        if key not in (items.get("required") or []) and field.get("default") is None:
            why = f"this property is in {LIST_KEYS}, so it must have a default or be a required property"
            yield required(f"{where}.default", why)
        if field.get("nullable"):
            yield forbidden(f"{where}.nullable", f"this property is in {LIST_KEYS}, so it cannot be nullable")


def _default_value(schema: Schema, path: str) -> Iterator[Problem]:
    """A default must itself be what its schema asks for."""
    given = schema.get("default")
    if given is None:
        return
    where, pruned = f"{path}.default", copy.deepcopy(given)
    if isinstance(given, dict | list) and complete.prune_part(pruned, schema):
        yield invalid(where, given, "must not have unknown fields", "Define these fields, or leave them out.")
    yield from values.problems(given, schema, where)
    yield from lists.problems(given, schema, where)
