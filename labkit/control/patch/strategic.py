"""Strategic merge patch: a merge patch that knows from the schema which lists merge by which key.

    $patch: replace | delete            of a map or of an item of a list; as an item of its own: of the whole list
    $retainKeys: [names]                nothing else stays in this map
    $setElementOrder/LIST: [...]        the order of a list
    $deleteFromPrimitiveList/LIST: [..] values that leave a list of scalars

Source: apimachinery/pkg/util/strategicpatch/patch.go (mergeMap, mergeSlice).
"""

from __future__ import annotations

from typing import Any

from labkit.api.schema import Schema
from labkit.control.patch import refusals
from labkit.control.patch.lists import check_order, identity, ordered
from labkit.control.patch.shape import field, merge_key, resolved, strategies

PATCH, RETAIN = "$patch", "$retainKeys"
ORDER, DELETE = "$setElementOrder/", "$deleteFromPrimitiveList/"

Raw = dict[str, Any]


def patched(live: Raw, patch: Any, schema: Schema) -> Raw:
    """The object with the patch merged into it. Raises `ApiError` (400, 422)."""
    if type(patch) is not dict:
        raise refusals.malformed("invalid JSON document")
    return _map(live, patch, resolved(schema))


def _map(original: Raw, patch: Raw, schema: Schema) -> Raw:
    if PATCH in patch:
        return _directed(patch)
    merged, patch = {**original}, {**patch}
    if RETAIN in patch:
        _retain(merged, patch)
    for directive in [name for name in patch if name.startswith(ORDER)]:
        _order(merged, patch, directive, schema)
    for name, value in patch.items():
        if name.startswith(DELETE):
            _delete(merged, name.removeprefix(DELETE), value)
        elif name.startswith("$") and name not in schema.get("properties", {name: {}}):
            raise refusals.malformed("strategic merge patch format is not supported")
        elif value is None or (type(merged.get(name)) is not dict and _directs(value)):
            merged.pop(name, None)  # with nothing there that a directive could be about, it stands for nothing
        elif type(merged.get(name)) is not type(value):
            merged[name] = _plain(value)
        elif type(value) in (dict, list):
            merged[name] = _value(merged[name], value, field(schema, name))
        else:
            merged[name] = value
    return merged


def _value(original: Any, patch: Any, schema: Schema) -> Any:
    """Two maps, or two lists."""
    how = strategies(schema)
    if type(patch) is dict:
        return patch if "replace" in how else _map(original, patch, resolved(schema))
    return _list(original, patch, schema) if "merge" in how else patch


def _list(original: list[Any], patch: list[Any], schema: Schema) -> list[Any]:
    kinds = {type(item) for item in (*original, *patch)}
    if list in kinds:
        raise refusals.impossible()  # lists of lists
    if dict not in kinds:
        both = list({identity(value, ""): value for value in (*original, *patch)}.values())
        return ordered(both, patch, original, "")
    if kinds != {dict}:
        raise refusals.malformed("list element types are not identical")
    key = merge_key(schema)
    if not key:
        raise refusals.malformed("cannot merge lists without merge key")
    original, patch = _special(original, patch, key)
    item_schema = resolved(schema.get("items", {}))
    merged = [*original]
    for item in patch:
        if item.get(key) is None:
            raise refusals.no_key(item, key)
        me = identity(item, key)
        place = next((i for i, there in enumerate(merged) if identity(there, key) == me), None)
        if place is None:
            merged.append(_plain(item))
        else:
            merged[place] = _map(merged[place], item, item_schema)
    return ordered(merged, patch, original, key)


def _special(original: list[Raw], patch: list[Raw], key: str) -> tuple[list[Raw], list[Raw]]:
    """Both lists after the items of the patch that say what to do with others."""
    rest: list[Raw] = []
    replaced = False
    for item in patch:
        match item.get(PATCH, ""):
            case "":
                rest.append(item)
            case "delete":
                if key not in item:
                    raise refusals.no_key(item, key)
                gone = identity(item, key)
                original = [there for there in original if identity(there, key) != gone]
            case "replace":
                replaced = True
            case "merge":
                raise refusals.malformed("merging list cannot yet be specified in the patch")
            case unknown:
                raise refusals.no_directive(unknown, item)
    return ([] if replaced else original), rest


def _directed(patch: Raw) -> Raw:
    match patch[PATCH]:
        case "replace":
            return {name: value for name, value in patch.items() if name != PATCH}
        case "delete":
            return {}
        case unknown:
            raise refusals.no_directive(unknown, patch)


def _retain(merged: Raw, patch: Raw) -> None:
    kept = patch.pop(RETAIN)
    if type(kept) is not list or not all(type(name) is str for name in kept):
        raise refusals.malformed("invalid patch format of retainKeys")
    for name, value in patch.items():
        if value is not None and not name.startswith((ORDER, DELETE)) and name not in kept:
            raise refusals.malformed("invalid patch format of retainKeys")
    for name in merged.keys() - set(kept):
        del merged[name]


def _order(merged: Raw, patch: Raw, directive: str, schema: Schema) -> None:
    """Merge the list that the directive is about, in its order, and take both from the patch."""
    name = directive.removeprefix(ORDER)
    of_field = field(schema, name)
    key = merge_key(of_field)
    wanted = patch.pop(directive)
    listed = name in patch
    changes = patch.pop(name, [])
    original = merged.get(name)
    if type(changes) is not list or (original is not None and type(original) is not list):
        raise refusals.malformed("invalid patch format of setElementOrder list")
    order = check_order(changes, wanted, key)
    if original is None and not listed:
        return
    if original is None:
        result = _plain(changes)
    elif not listed:
        result = original
    else:
        result = _value(original, changes, of_field)
    merged[name] = ordered(result, order, original or [], key)


def _delete(merged: Raw, name: str, values: Any) -> None:
    if type(values) is not list:
        raise refusals.malformed("invalid patch format of primitive list")
    if type(merged.get(name)) is list:
        gone = {identity(value, "") for value in values}
        merged[name] = [value for value in merged[name] if identity(value, "") not in gone]


def _plain(value: Any) -> Any:
    """What a part of a patch comes to where there is nothing to merge it with: no directives, no nulls."""
    if type(value) is list:
        return [_plain(item) for item in value if not _directs(item)]
    if type(value) is not dict:
        return value
    kept = {
        name: below for name, below in value.items() if not (below is None or _directs(below) or _is_directive(name))
    }
    return {name: _plain(below) for name, below in kept.items()}


def _directs(value: Any) -> bool:
    return type(value) is dict and PATCH in value


def _is_directive(name: str) -> bool:
    return name in (PATCH, RETAIN) or name.startswith((ORDER, DELETE))
