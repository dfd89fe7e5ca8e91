"""The structural check: does an object have the shape that the API's OpenAPI definitions give it?

    object ──► definition by kind ──► walk both side by side ──► [Problem, …]

A null counts as absent, as in Kubernetes' decoder, except inside maps and lists, where it has no meaning.
The definitions (`schema.json.gz`, made by `reduce_schema`) are loaded at first use, in about a millisecond.
"""

from __future__ import annotations

import gzip
import re
from binascii import Error as Base64Error
from binascii import a2b_base64
from functools import cache
from pathlib import Path
from typing import Any

import msgspec

from labkit.api import kinds, remembered
from labkit.api.problem import TYPE_INVALID, Problem, duplicate, nearest, required, shown, wrong_type

FILE = Path(__file__).with_name("schema.json.gz")
PREFIX = "#/components/schemas/"
MAX_PROBLEMS = 100  # per object: enough to read, and a hostile object cannot ask for a million remedies
MAX_DEPTH = 60  # the deepest published type, a pod's affinity within a workload, has about 20 levels

INTEGERS = {"int32": (-(2**31), 2**31 - 1), "int64": (-(2**63), 2**63 - 1)}
# apimachinery/pkg/api/resource/quantity.go; the longest suffix is an exponent.
# Digits are bounded: no amount needs a hundred of them, and an exponent of millions would take the machine's memory.
QUANTITY = re.compile(r"[+-]?(\d{1,100}(\.\d{0,100})?|\.\d{1,100})([numkMGTPE]|[KMGTPE]i|[eE][+-]?\d{1,2})?", re.ASCII)
TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
# Listed as required by the published schema, while the server takes their absence for an empty value.
NOT_REQUIRED = {"endpoints", "apiGroup", "eventTime"}
# Map-lists (name, first key) in which the server tolerates a repeated key, at most with a warning.
REPEATABLE = {
    ("env", "name"),
    ("ports", "containerPort"),
    ("imagePullSecrets", "name"),
    ("hostAliases", "ip"),
    ("secrets", "name"),
    ("addresses", "type"),
}
OBJECT_META = PREFIX + "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
PROPS = PREFIX + "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaProps"
SCHEMA_OR_LIST = PROPS + "OrArray"
SCHEMA_OR: dict[str, tuple[str, type]] = {
    SCHEMA_OR_LIST: (PROPS, list),
    PROPS + "OrBool": (PROPS, bool),
    PROPS + "OrStringArray": (PROPS, list),
}
"""Published without a type: reference -> (the schema of an object, the other type)."""
KEY_DEFAULTS = {"protocol": "TCP"}

Schema = dict[str, Any]
Found = list[Problem]

_right: remembered.Remembered[bool] = remembered.Remembered()
"""Specs without a fault, by kind."""


@cache
def definitions() -> dict[str, Schema]:
    """All definitions by reference ("#/components/schemas/io.k8s.api.core.v1.Pod")."""
    named: dict[str, Schema] = msgspec.json.decode(gzip.decompress(FILE.read_bytes()))
    return {PREFIX + name: schema for name, schema in named.items()}


@cache
def _roots() -> dict[tuple[str, str], Schema]:
    return {
        (f"{gvk['group']}/{gvk['version']}".lstrip("/"), gvk["kind"]): schema
        for schema in definitions().values()
        for gvk in schema.get("x-kubernetes-group-version-kind", ())
    }


def definition(api_version: str, kind: str) -> Schema | None:
    """The definition of a kind, or None where the lab does not know it."""
    return _roots().get((api_version, kind))


def problems(obj: dict[str, Any]) -> list[Problem]:
    """All structural faults of an object, `status` included: unknown and missing fields, types, repeated map keys.

    An unknown kind or version is one fault, and nothing below it is checked.
    """
    found = kinds.problems(obj) or shape_problems(obj)
    # Components write a status piece by piece; its required fields are theirs to know.
    return [p for p in found if not (p.reason == "FieldValueRequired" and p.field.startswith("status."))]


def shape_problems(obj: dict[str, Any]) -> list[Problem]:
    """The structural faults of an object of a kind that the API knows, be it stored or only asked with: a review.

    A `spec` that is left out is an empty one, as it is to the server, where it is no pointer.
    """
    found: Found = []
    version, kind = obj["apiVersion"], obj["kind"]
    root = _roots()[version, kind]
    if obj.get("spec") is not None:
        obj = _without_right_spec(obj, root)
    elif has_spec(version, kind):
        obj = {**obj, "spec": {}}
    _check(obj, root, "", found, 0)
    return found


def _without_right_spec(obj: dict[str, Any], root: Schema) -> dict[str, Any]:
    """The object, without its spec where that has no fault: what is left then has the same faults as the whole."""
    schema = root["properties"].get("spec")
    if schema is None or "spec" in root.get("required", ()):
        return obj
    of, text = f"{obj['apiVersion']} {obj['kind']}", remembered.text(obj["spec"])
    if text and not _right.get(of, text):
        found: Found = []
        _check(obj["spec"], schema, "spec", found, 1)
        if not found:
            _right.put(of, text, True)
    return {**obj, "spec": None} if _right.get(of, text) else obj


def has_spec(api_version: str, kind: str) -> bool:
    """Whether objects of this kind have a field `spec`."""
    definition = _roots().get((api_version, kind))
    return definition is not None and "spec" in definition.get("properties", ())


def metadata_problems(obj: dict[str, Any]) -> list[Problem]:
    """The structural faults of the metadata of an object of any kind, a custom one too."""
    found: list[Problem] = []
    if obj.get("metadata") is not None:
        _check(obj["metadata"], definitions()[OBJECT_META], "metadata", found, 0)
    return found


def _check(value: Any, schema: Schema, path: str, found: Found, depth: int) -> None:
    reference = schema.get("$ref")
    if reference is not None:
        if reference in SCHEMA_OR and type(value) is not dict:
            _check_schema_or(value, reference, path, found, depth)
            return
        schema = definitions()[SCHEMA_OR.get(reference, (reference, ()))[0]]
    match schema.get("type"):
        case "string" if type(value) is str:
            if "format" in schema:
                _check_format(value, schema["format"], path, found)
        case "object" if type(value) is dict:
            _check_object(value, schema, path, found, depth)
        case "array" if type(value) is list:
            _check_list(value, schema, path, found, depth)
        case "integer" if type(value) is int:
            low, high = INTEGERS[schema.get("format", "int64")]
            if not low <= value <= high:
                found.append(wrong_type(path, value, f"must fit into {schema['format']}", "Write a smaller number."))
        case "boolean" if type(value) is bool:
            pass
        case "number" if type(value) in (int, float):
            pass
        case None if "oneOf" in schema:
            _check_choice(value, schema, path, found)
        case None:
            pass  # any JSON: a default, an example
        case expected:
            found.append(_mistyped(value, str(expected), path))


def _check_schema_or(value: Any, reference: str, path: str, found: Found, depth: int) -> None:
    """What a CustomResourceDefinition's schema allows in place of a schema: a boolean, or a list."""
    other = SCHEMA_OR[reference][1]
    if type(value) is not other:
        found.append(_mistyped(value, f"object or {JSON_NAMES[other]}", path))
    elif reference == SCHEMA_OR_LIST and isinstance(value, list):
        for index, child in enumerate(value):
            _check(child, definitions()[PROPS], f"{path}[{index}]", found, depth + 1)


def _check_object(value: dict[str, Any], schema: Schema, path: str, found: Found, depth: int) -> None:
    if depth > MAX_DEPTH:
        found.append(wrong_type(path, "…", "is nested too deeply", "No Kubernetes object is nested so deeply."))
        return
    known = schema.get("properties")
    if known is None:
        item = schema.get("additionalProperties")
        if isinstance(item, dict):
            plain = item.get("type") == "string" and "format" not in item
            for name, child in value.items():
                if type(child) is not str or not plain:
                    _check(child, item, f"{path}[{name}]", found, depth + 1)
        return
    for name, child in value.items():
        if len(found) >= MAX_PROBLEMS:
            return
        field = known.get(name)
        if field is None:
            name = name[:100]
            found.append(_unknown(name, f"{path}.{name}" if path else name, known))
        elif type(child) is str and field.get("type") == "string" and "format" not in field:
            pass  # most of what there is
        elif child is not None:
            _check(child, field, f"{path}.{name}" if path else name, found, depth + 1)
    for name in schema.get("required", ()):
        if value.get(name) is None and name not in NOT_REQUIRED:
            found.append(required(f"{path}.{name}" if path else name))


def _check_list(value: list[Any], schema: Schema, path: str, found: Found, depth: int) -> None:
    item = schema["items"]
    for index, child in enumerate(value):
        _check(child, item, f"{path}[{index}]", found, depth + 1)
    keys = schema.get("x-kubernetes-list-map-keys")
    if keys is not None and len(value) > 1 and (path.rpartition(".")[2], keys[0]) not in REPEATABLE:
        _check_keys(value, keys, path, found)


def _check_keys(items: list[Any], keys: list[str], path: str, found: Found) -> None:
    """Items of a map-list must differ in their keys. Items without a key are another check's."""
    seen: set[str] = set()
    for index, item in enumerate(items):
        if type(item) is not dict:
            continue
        key = {name: item.get(name, KEY_DEFAULTS.get(name)) for name in keys}
        if None in key.values():
            continue
        text = repr(sorted(key.items()))
        if text in seen:
            single = len(keys) == 1
            field = f"{path}[{index}].{keys[0]}" if single else f"{path}[{index}]"
            found.append(duplicate(field, key[keys[0]] if single else key))
        seen.add(text)


def _check_format(value: str, name: str, path: str, found: Found) -> None:
    if name == "byte":
        try:
            a2b_base64(value.encode(), strict_mode=bool(value))
        except Base64Error as error:
            remedy = "Encode it with base64, or write it plainly under stringData."
            found.append(wrong_type(path, value, f"must be base64: {error}".lower(), remedy))
    elif name == "date-time" and not TIME.fullmatch(value):
        found.append(wrong_type(path, value, "must be an RFC 3339 time", "Write it like 2025-01-31T12:00:00Z."))


def _check_choice(value: Any, schema: Schema, path: str, found: Found) -> None:
    """The two types with a choice: Quantity (string or number), IntOrString (string or integer)."""
    if {"type": "integer"} in schema["oneOf"]:
        if type(value) is not str and type(value) is not int:
            found.append(_mistyped(value, "integer or string", path))
        elif type(value) is int and not -(2**31) <= value < 2**31:
            found.append(wrong_type(path, value, "must fit into int32", "Write a smaller number."))
    elif type(value) is str:
        if not QUANTITY.fullmatch(value.strip()):
            found.append(_no_quantity(value, path))
    elif type(value) not in (int, float):
        found.append(_mistyped(value, "quantity", path))
    elif not QUANTITY.fullmatch(str(value)):
        found.append(_no_quantity(value, path))


def _no_quantity(value: Any, path: str) -> Problem:
    detail = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
    remedy = "Write a number with a suffix or without, such as 100m, 0.5, 64Mi or 1Gi."
    return wrong_type(path, value, detail, remedy)


def _unknown(name: str, path: str, known: dict[str, Schema]) -> Problem:
    meant = nearest(name, known)
    remedy = f'Did you mean "{meant}"?' if meant else f"Known here: {', '.join(sorted(known)[:12])}…"
    return Problem(path, f'unknown field "{path}"', remedy)


JSON_NAMES = {str: "string", int: "integer", float: "number", bool: "boolean", dict: "object", list: "array"}


def _mistyped(value: Any, expected: str, path: str) -> Problem:
    actual = JSON_NAMES.get(type(value), "null")
    remedy = f"Write it as {expected}."
    if expected == "string" and type(value) in (int, float, bool):
        remedy = f'Put it in quotes: "{str(value).lower()}".'
    elif expected == "integer" and type(value) is str and value.isdecimal():
        remedy = f"Remove the quotes: {value[:20]}."
    elif expected == "array":
        remedy = 'Write a list: each item on a line of its own, beginning with "- ".'
    elif expected == "object":
        remedy = 'Write fields below it, each as "name: value" and further indented.'
    written = actual if isinstance(value, dict | list) else shown(value)
    return Problem(path, f"Invalid value: {written}: must be of type {expected}, not {actual}", remedy, TYPE_INVALID)
