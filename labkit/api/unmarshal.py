"""What the server's JSON decoder says of a value of a wrong type: names of Go structs, fields and types. Pure.

The names come from the schema, whose definitions are those structs; a type of its own that a string has in Go is known
for the usual fields only. Source: encoding/json/decode.go (UnmarshalTypeError); apimachinery/pkg/util/intstr,
pkg/apis/meta/v1/time.go for what decodes itself.
"""

from __future__ import annotations

from typing import Any

from labkit.api import schema
from labkit.api.problem import TYPE_INVALID, Problem, steps

Raw = dict[str, Any]
Schema = dict[str, Any]

STRINGS = {
    "dnsPolicy": "v1.DNSPolicy", "externalTrafficPolicy": "v1.ServiceExternalTrafficPolicy",
    "imagePullPolicy": "v1.PullPolicy", "internalTrafficPolicy": "v1.ServiceInternalTrafficPolicy",
    "protocol": "v1.Protocol", "restartPolicy": "v1.RestartPolicy", "sessionAffinity": "v1.ServiceAffinity",
    "uid": "types.UID",
}  # fmt: skip
INT_OR_STRING, QUANTITY, TIMES = "intstr.IntOrString", "resource.Quantity", ("v1.Time", "v1.MicroTime")
VALUES = {str: "string", bool: "bool", int: "number", float: "number", list: "array", dict: "object"}


def said(raw: Raw, problem: Problem) -> str:
    """The decoder's words for a problem with an object of a built-in kind; empty where it has none."""
    root = schema.definition(str(raw.get("apiVersion")), str(raw.get("kind")))
    if root is None or problem.reason != TYPE_INVALID or not problem.field:
        return ""
    struct, found = str(raw["kind"]), root
    path: list[str] = []
    value: Any = raw
    for step in steps(problem.field):
        found, name = _resolved(found)
        struct = name.rpartition(".")[2] or struct if "properties" in found and not step.isdecimal() else struct
        child = _child(found, step)
        if child is None or not _holds(value, step):  # the name of a key in a map can look like a path
            return ""
        if step in found.get("properties", ()):
            path.append(step)
        value = value[int(step)] if isinstance(value, list) else value[step]
        found = child
    return _message(value, found, f"{struct}.{'.'.join(path)}", path[-1] if path else "")


def _message(value: Any, wanted: Schema, field: str, name: str) -> str:
    kind = VALUES.get(type(value), "")
    go = _type(wanted, name)
    if not kind or go == QUANTITY:
        return ""
    if go in (INT_OR_STRING, *TIMES):
        if go != INT_OR_STRING and kind == "string":
            return ""
        number = f" {value}" if kind == "number" and go == INT_OR_STRING else ""
        return f"json: cannot unmarshal {kind}{number} into Go value of type {_own(go)}"
    if go.startswith("int") and kind == "number":
        kind = f"number {value}"
    if kind == "string" and (go in ("string", "[]uint8") or go in STRINGS.values()):
        return ""
    return f"json: cannot unmarshal {kind} into Go struct field {field} of type {go}"


def _holds(value: Any, step: str) -> bool:
    if isinstance(value, list):
        return step.isdecimal() and int(step) < len(value)
    return isinstance(value, dict) and step in value


def _own(go: str) -> str:
    return "int32" if go == INT_OR_STRING else "string"


def _child(found: Schema, step: str) -> Schema | None:
    """The schema one step below."""
    if found.get("type") == "array":
        items: Schema = found["items"]
        return items if step.isdecimal() else None
    below: Schema | None = (found.get("properties") or {}).get(step)
    more = found.get("additionalProperties")
    return below if below is not None else more if isinstance(more, dict) else None


def _resolved(found: Schema) -> tuple[Schema, str]:
    """The schema behind a reference, and the last two parts of its name: "v1.Container"."""
    reference = str(found.get("$ref", ""))
    if not reference:
        return found, ""
    return schema.definitions()[reference], ".".join(reference.rsplit(".", 2)[-2:])


def _type(wanted: Schema, name: str) -> str:
    """The type in Go."""
    found, named = _resolved(wanted)
    if named:
        return named
    match found.get("type"):
        case "array":
            return f"[]{_type(found['items'], '')}"
        case "object":
            return f"map[string]{_type(found.get('additionalProperties') or {}, '')}"
        case "integer":
            return str(found.get("format", "int64"))
        case "boolean":
            return "bool"
        case "number":
            return "float64"
        case "string":
            return "[]uint8" if found.get("format") == "byte" else STRINGS.get(name, "string")
    return "interface {}"
