"""The fields that an applied object sets, and what keeps it from being applied: the strict reading of a configuration.

Source: structured-merge-diff/v6/typed/{tofieldset,validate,helpers}.go.
"""

from __future__ import annotations

from typing import Any

from labkit.control.fields.shapes import Fields, Items, Raw, Shape, Values
from labkit.control.fields.tree import MEMBER, Tree, paths

MOST_ERRORS = 100


def tree_of(applied: Raw, shape: Fields) -> tuple[Tree, list[str]]:
    """The tree of an object that is applied (levels that have fields below are no members, but for items of lists and
    entries of maps), and what is wrong with it, each as ".spec.x: why".
    """
    errors: list[str] = []
    return _value(applied, shape, "", errors), errors[:MOST_ERRORS]


def _value(value: Any, shape: Shape, path: str, errors: list[str]) -> Tree:
    if shape is None or value is None:
        return MEMBER
    if isinstance(shape, Fields):
        return _fields(value, shape, path, errors)
    if type(value) is not list:
        errors.append(f"{path}: expected list, got {_shown(value)}")
        return MEMBER
    return _items(value, shape, path, errors)


def _fields(value: Any, shape: Fields, path: str, errors: list[str]) -> Tree:
    if type(value) is not dict:
        if shape.names:
            errors.append(f"{path}: expected map, got {_shown(value)}")
        return MEMBER
    tree: Tree = {}
    for name, child in value.items():
        if shape.closed and name not in shape.names:
            errors.append(f"{path}.{name}: field not declared in schema")
            continue
        step, below = shape.field(name)
        found = _value(child, below, f"{path}.{name}", errors)
        tree[step] = found if name in shape.names or not found else {".": MEMBER, **found}
    return tree


def _items(value: list[Any], shape: Items | Values, path: str, errors: list[str]) -> Tree:
    tree: Tree = {}
    for index, item in enumerate(value):
        if isinstance(shape, Items) and (why := _keyless(item, shape)):
            errors.append(f"{path}: element {index}: {why}")
            continue
        step = shape.step(item)
        where = next(paths({step: MEMBER}))
        if step in tree:
            errors.append(f"{path}: duplicate entries for key {where}")
            continue
        found = _value(item, shape.item, path + where, errors)
        tree[step] = {".": MEMBER, **found} if found else MEMBER
    return tree


def _keyless(item: Any, shape: Items) -> str:
    """Why an item has no keys; empty where it has."""
    if type(item) is not dict:
        return "associative list with keys may not have non-map elements"
    for key, default in zip(shape.keys, shape.defaults, strict=True):
        if item.get(key, default) is None:
            why = f'omits key field "{key}" (and doesn\'t have default value)'
            return f"associative list with keys has an element that {why}"
    return ""


def _shown(value: Any) -> str:
    return f"&{{{value}}}"[:100]
