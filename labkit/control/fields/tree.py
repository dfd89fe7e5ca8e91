"""Sets of fields as trees in FieldsV1 form, the one in which `metadata.managedFields` shows them.

    {"f:spec": {"f:ports": {".": {}, 'k:{"port":80,"protocol":"TCP"}': {".": {}, "f:port": {}}}}}

A node that is empty, or has ".", is in the set itself; every other key is a child. A step is "f:" with a field's name,
"k:" with the keys of a list's item, "v:" with a value of a set, "i:" with an index. The empty set is the root `{}`.
Trees are never changed once they are made, so they may share parts.
Source: sigs.k8s.io/structured-merge-diff/v6/fieldpath/{set,serialize,element}.go.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

Tree = dict[str, Any]

MEMBER: Tree = {}
"""A node in the set without children."""
_RANKS = {"f": 0, "k": 1, "v": 2, "i": 3}


def union(one: Tree, other: Tree) -> Tree:
    """The fields of either; both are roots."""
    if not one or not other or one is other:
        return one or other
    return _union(one, other)


def difference(one: Tree, other: Tree) -> Tree:
    """The fields of `one` that are not in `other`, field by field: what is below a field is a matter of its own."""
    if not one or not other:
        return one
    return _difference(one, other) or {}


def intersection(one: Tree, other: Tree) -> Tree:
    """The fields of both."""
    if not one or not other:
        return {}
    return _intersection(one, other) or {}


def paths(tree: Tree) -> Iterator[str]:
    """Every field of the set as messages write it, `.spec.containers[name="web"].image`, in the order of the original:
    at each level first what is in the set there, then what is below.
    """
    yield from _paths(tree, "")


def is_tree(value: Any) -> bool:
    """Whether a client's value has the form of a tree."""
    return type(value) is dict and all(_is_step(step) and is_tree(child) for step, child in value.items())


def _union(one: Tree, other: Tree) -> Tree:
    if not one and not other:
        return MEMBER
    merged = {**one} if one else {".": MEMBER}
    for step, child in (other or {".": MEMBER}).items():
        mine = merged.get(step)
        merged[step] = child if mine is None or mine is child else _union(mine, child)
    return merged


def _difference(one: Tree, other: Tree) -> Tree | None:
    left = {}
    for step, child in one.items():
        if step == ".":
            continue
        against = other.get(step)
        kept = child if against is None else _difference(child, against)
        if kept is not None:
            left[step] = kept
    if (not one or "." in one) and other and "." not in other:
        return {".": MEMBER, **left} if left else MEMBER
    return left or None


def _intersection(one: Tree, other: Tree) -> Tree | None:
    both = {}
    for step, child in one.items():
        against = other.get(step)
        if against is not None and step != "." and (kept := _intersection(child, against)) is not None:
            both[step] = kept
    if (not one or "." in one) and (not other or "." in other):
        return {".": MEMBER, **both} if both else MEMBER
    return both or None


def _paths(tree: Tree, prefix: str) -> Iterator[str]:
    steps = sorted((step for step in tree if step != "."), key=lambda step: (_RANKS[step[0]], step))
    for step in steps:
        if not tree[step] or "." in tree[step]:
            yield prefix + _text(step)
    for step in steps:
        yield from _paths(tree[step], prefix + _text(step))


def _text(step: str) -> str:
    kind, _, rest = step.partition(":")
    match kind:
        case "f":
            return f".{rest}"
        case "k":
            keys = msgspec.json.decode(rest)
            return "[" + ",".join(f"{name}={msgspec.json.encode(keys[name]).decode()}" for name in sorted(keys)) + "]"
        case "v":
            return f"[={rest}]"
        case _:
            return f"[{rest}]"


def _is_step(step: str) -> bool:
    kind, colon, rest = step.partition(":")
    if step == "." or (colon and kind == "f"):
        return True
    if not colon or kind not in _RANKS:
        return False
    try:
        value = msgspec.json.decode(rest)
    except msgspec.DecodeError:
        return False
    return type(value) is {"k": dict, "i": int}.get(kind, type(value))
