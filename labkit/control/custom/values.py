"""Does a value have the shape of a custom resource's schema? The words are the real validator's.

    value ──► schema of a version ──► walk both side by side ──► [Problem, …]

Source: kube-openapi/pkg/validation/{validate,errors}, apiextensions-apiserver/pkg/apiserver/validation/validation.go.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from labkit.api.problem import TYPE_INVALID, Problem, invalid, required, shown, too_long
from labkit.control.custom import formats, patterns

Schema = dict[str, Any]

MOST_PROBLEMS = 100
JSON_NAMES = {str: "string", int: "integer", float: "number", bool: "boolean", dict: "object", list: "array"}
INT_OR_STRING = ("integer", "string")
NOWHERE = "<nil>"
"""The field of problems that the real validator gives none."""


def problems(value: Any, schema: Schema, path: str = "") -> list[Problem]:
    """All that is wrong with a value, at most `MOST_PROBLEMS`. `path` is empty for a whole object."""
    found = []
    for problem in _check(value, schema, path):
        found.append(problem)
        if len(found) >= MOST_PROBLEMS:
            break
    return found


def kind_of(value: Any) -> str:
    """JSON's name of a value's type; a whole number is an integer however it is written."""
    if type(value) is float and value.is_integer():
        return "integer"
    return JSON_NAMES.get(type(value), "null")


def _check(value: Any, schema: Schema, path: str) -> Iterator[Problem]:
    if value is None:
        if not schema.get("nullable") and (wanted := _types(schema)):
            yield _mistyped(value, ",".join(wanted), path)
        return
    wanted, actual = _types(schema), kind_of(value)
    if wanted and actual not in wanted and not (actual == "integer" and "number" in wanted):
        yield _mistyped(value, ",".join(wanted), path)
        return
    yield from _junctions(value, schema, path)
    if isinstance(value, str):
        yield from _text(value, schema, path)
    elif isinstance(value, dict):
        yield from _object(value, schema, path)
    elif isinstance(value, list):
        yield from _list(value, schema, path)
    elif not isinstance(value, bool):
        yield from _number(value, schema, path)
    if "enum" in schema and not any(_same(value, allowed) for allowed in schema["enum"]):
        listed = ", ".join(f'"{v}"' if isinstance(v, str) else f'"{shown(v)}"' for v in schema["enum"])
        message = f"Unsupported value: {shown(value)}: supported values: {listed}"
        yield Problem(path, message, "Write one of the supported values.", "FieldValueNotSupported")


def _types(schema: Schema) -> tuple[str, ...]:
    if schema.get("x-kubernetes-int-or-string"):
        return INT_OR_STRING
    return (schema["type"],) if schema.get("type") else ()


def _same(value: Any, allowed: Any) -> bool:
    return value == allowed and isinstance(value, bool) == isinstance(allowed, bool)


def _mistyped(value: Any, wanted: str, path: str) -> Problem:
    actual = kind_of(value)
    message = f"Invalid value: {shown(actual)}: {path} in body must be of type {wanted}: {shown(actual)}"
    return Problem(path or NOWHERE, message, f"Write it as {wanted.replace(',', ' or ')}.", TYPE_INVALID)


def _text(value: str, schema: Schema, path: str) -> Iterator[Problem]:
    if "maxLength" in schema and len(value) > schema["maxLength"]:
        yield too_long(path, schema["maxLength"])
    if "minLength" in schema and len(value) < schema["minLength"]:
        yield invalid(
            path, value, f"{path} in body should be at least {schema['minLength']} chars long", "Lengthen it."
        )
    if schema.get("pattern") and not patterns.matches(schema["pattern"], value):
        detail = f"{path} in body should match '{schema['pattern']}'"
        yield invalid(path, value, detail, "Write a value that the pattern fits.")
    if schema.get("format") and not formats.conforms(value, schema["format"]):
        name = schema["format"]
        message = f"Invalid value: {shown(value)}: {path} in body must be of type {name}: {shown(value)}"
        yield Problem(path, message, f"Write it as {name}.", TYPE_INVALID)


RANGES = {"int32": (-(2**31), 2**31 - 1), "int64": (-(2**63), 2**63 - 1)}


def _number(value: float, schema: Schema, path: str) -> Iterator[Problem]:
    low, high = RANGES.get(schema.get("format", ""), (value, value))
    if not low <= value <= high:
        name = f"{schema.get('type', 'integer')} with format {schema['format']}"
        yield Problem(NOWHERE, f'Invalid value: "": Checked value must be of type {name} in {path}', "Write less.")
    if "maximum" in schema:
        limit, strict = schema["maximum"], schema.get("exclusiveMaximum", False)
        if value > limit or (strict and value == limit):
            words = "less than" if strict else "less than or equal to"
            yield invalid(path, value, f"{path} in body should be {words} {limit}", "Write a smaller number.")
    if "minimum" in schema:
        limit, strict = schema["minimum"], schema.get("exclusiveMinimum", False)
        if value < limit or (strict and value == limit):
            words = "greater than" if strict else "greater than or equal to"
            yield invalid(path, value, f"{path} in body should be {words} {limit}", "Write a greater number.")
    factor = schema.get("multipleOf")
    if factor and abs(value / factor - round(value / factor)) > 1e-9:
        yield invalid(path, value, f"{path} in body should be a multiple of {factor}", f"Write a multiple of {factor}.")


def _list(value: list[Any], schema: Schema, path: str) -> Iterator[Problem]:
    yield from _counts(value, schema, path, "Items", "items")
    items = schema.get("items")
    if isinstance(items, dict):
        for index, child in enumerate(value):
            yield from _check(child, items, f"{path}[{index}]")


def _counts(value: Any, schema: Schema, path: str, keyword: str, word: str) -> Iterator[Problem]:
    most, least = schema.get(f"max{keyword}"), schema.get(f"min{keyword}")
    if most is not None and len(value) > most:
        message = f"Too many: {len(value)}: must have at most {most} item{'' if most == 1 else 's'}"
        yield Problem(path, message, f"Keep at most {most}.", "FieldValueTooMany")
    if least is not None and len(value) < least:
        yield invalid(path, len(value), f"{path} in body should have at least {least} {word}", "Add some.")


def _object(value: dict[str, Any], schema: Schema, path: str) -> Iterator[Problem]:
    yield from _counts(value, schema, path, "Properties", "properties")
    for name in schema.get("required", ()):
        if name not in value:
            yield required(_below(path, name))
    known, rest = schema.get("properties", {}), schema.get("additionalProperties")
    for name, child in value.items():
        if name in known:
            yield from _check(child, known[name], _below(path, name))
        elif isinstance(rest, dict):
            yield from _check(child, rest, _below(path, name))
        elif rest is False and not schema.get("x-kubernetes-preserve-unknown-fields"):
            where = _below(path, name)
            yield invalid(where, "", f"{where} in body is a forbidden property", "Remove it.")


def _below(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _junctions(value: Any, schema: Schema, path: str) -> Iterator[Problem]:
    """allOf, anyOf, oneOf, not: the nearest alternative's own problems come after the verdict."""
    name = shown(path)
    for part in schema.get("allOf", ()):
        yield from _check(value, part, path)
    if schema.get("anyOf"):
        results = [problems(value, part, path) for part in schema["anyOf"]]
        if all(results):
            yield _verdict(f"{name} must validate at least one schema (anyOf)")
            yield from min(results, key=len)
    if schema.get("oneOf"):
        results = [problems(value, part, path) for part in schema["oneOf"]]
        valid = results.count([])
        if valid == 0:
            yield _verdict(f"{name} must validate one and only one schema (oneOf). Found none valid")
            yield from min(results, key=len)
        elif valid > 1:
            yield _verdict(f"{name} must validate one and only one schema (oneOf). Found {valid} valid alternatives")
    if schema.get("not") is not None and not problems(value, schema["not"], path):
        yield _verdict(f"{name} must not validate the schema (not)")


def _verdict(text: str) -> Problem:
    return Problem(NOWHERE, f'Invalid value: "": {text}', "Compare with the schema of this kind.")
