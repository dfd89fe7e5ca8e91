"""What an apply makes of an object: the configuration merged into it, and what nobody owns any more taken out.

Source: structured-merge-diff/v6/typed/{merge,remove}.go, merge/update.go (prune).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Any

from labkit.control.fields.shapes import Fields, Items, Raw, Shape, Values
from labkit.control.fields.tree import MEMBER, Tree, difference, intersection, union


def merge(live: Any, applied: Any, shape: Shape) -> Any:
    """`live` with all that `applied` says; a null in there removes."""
    if isinstance(shape, Fields) and type(applied) is dict:
        merged = {**live} if type(live) is dict else {}
        for name, value in applied.items():
            if value is None:
                merged.pop(name, None)
            else:
                merged[name] = merge(merged.get(name), value, shape.field(name)[1])
        return merged
    if isinstance(shape, Items | Values) and type(applied) is list:
        return _items(live if type(live) is list else [], applied, shape)
    return applied


def _items(live: list[Any], applied: list[Any], shape: Items | Values) -> list[Any]:
    """Items in the order of `applied`, with those of `live` alone where they were among the items that both have."""
    left = [(shape.step(item), item) for item in live]
    right = {shape.step(item): item for item in applied}
    present: dict[str, Any] = {}
    for step, item in left:
        present.setdefault(step, item)
    shared = deque(step for step in right if step in present)
    ahead = deque(right)
    done: set[str] = set()
    merged: list[Any] = []
    i = 0
    while i < len(left) or ahead:
        step, item = left[i] if i < len(left) else ("", None)
        if i < len(left) and step not in right:
            merged.append(item)
            i += 1
        elif i < len(left) and (step in done or (ahead and step != ahead[0] and shared and step != shared[0])):
            i += 1  # it had its turn, or has it later: the order is the applied one
        else:
            step = ahead.popleft()
            merged.append(merge(present.get(step), right[step], shape.item))
            done.add(step)
            if shared and shared[0] == step:
                shared.popleft()
    return merged


def prune(merged: Raw, last: Tree, trees: Iterable[Tree], shape: Fields) -> Raw:
    """Take out what the manager applied the last time (`last`) and that is in none of `trees`, what each manager owns
    now, its own new configuration among them.
    """
    last = _named(last, shape)
    everything = shape.tree(merged)
    left = remove(merged, last, shape) or {}
    kept = shape.tree(left)
    for tree in trees:
        kept = union(kept, _named(tree, shape))
    left = remove(merged, difference(everything, kept), shape) or {}
    pruned: Raw = remove(merged, intersection(difference(everything, shape.tree(left)), last), shape) or {}
    return pruned


def remove(value: Any, tree: Tree, shape: Shape) -> Any:
    """A value without the fields of a tree; None where nothing is left of it."""
    if isinstance(shape, Fields) and type(value) is dict:
        left = {}
        for name, child in value.items():
            step, below = shape.field(name)
            kept = _without(child, tree.get(step), below)
            if kept is not None:
                left[name] = kept
        return left or None
    if isinstance(shape, Items | Values) and type(value) is list:
        kept_items = [_without(item, tree.get(shape.step(item)), shape.item) for item in value]
        return [item for item in kept_items if item is not None] or None
    return value


def _without(value: Any, tree: Tree | None, shape: Shape) -> Any:
    if tree is None:
        return value
    return None if not tree or "." in tree else remove(value, tree, shape)


def _named(tree: Tree, shape: Shape) -> Tree:
    """The tree with each field of a struct in the set that has others in the set below it."""
    named: Tree = {}
    for step, child in tree.items():
        if step == "." or not child:
            named[step] = child
            continue
        if isinstance(shape, Fields):
            name = step[2:]
            found = _named(child, shape.field(name)[1])
            named[step] = {".": MEMBER, **found} if name in shape.names else found
        else:
            named[step] = _named(child, shape.item if shape else None)
    return named
