"""What a write changed: two trees, of what is new or different, and of what is gone.

Source: structured-merge-diff/v6/typed/compare.go; apimachinery/pkg/util/managedfields/internal/stripmeta.go.
"""

from __future__ import annotations

from typing import Any

from labkit.api import remembered
from labkit.control.fields.shapes import BORN, Fields, Items, Kind, Raw, Shape, Values
from labkit.control.fields.tree import MEMBER, Tree

STRIPPED = tuple(
    f"f:{name}"
    for name in (
        "name", "namespace", "creationTimestamp", "selfLink", "uid", "clusterName", "generation", "managedFields",
        "resourceVersion",
    )
)  # fmt: skip
"""Of the metadata nobody owns these."""

_specs: remembered.Remembered[Tree] = remembered.Remembered()
"""What the creators of specs own of them, by kind."""


def created(kind: Kind, new: Raw, subresource: str = "") -> Tree:
    """What whoever created the object owns: all of it, but for what every object has from birth."""
    if not kind.born:
        return owned(kind, kind.root.tree(new), subresource)
    tree = kind.root.tree({**new, "spec": None})
    _unborn(tree)
    return owned(kind, tree | _spec(kind, new), subresource)


def _spec(kind: Kind, new: Raw) -> Tree:
    """The tree of a new object's spec alone, remembered by its text: trees are never changed."""
    of, text = f"{new['apiVersion']} {new['kind']}", remembered.text(new.get("spec"))
    tree = _specs.get(of, text)
    if tree is None:
        tree = kind.root.tree({"spec": new.get("spec")})
        _unborn(tree)
        _specs.put(of, text, tree)
    return tree


def compare(kind: Kind, old: Raw, new: Raw, subresource: str = "") -> tuple[Tree, Tree]:
    """The trees of what `new` has that `old` had not, or had otherwise; and of what only `old` had."""
    changed, gone = _fields(old, new, kind.root)
    return owned(kind, changed, subresource), owned(kind, gone, subresource)


def owned(kind: Kind, tree: Tree, subresource: str) -> Tree:
    """What of a tree can be owned through a resource or one of its subresources."""
    tree = {step: child for step, child in tree.items() if step not in ("f:apiVersion", "f:kind", ".")}
    if subresource == "status":
        return {"f:status": tree["f:status"]} if "f:status" in tree else {}
    if kind.status:
        tree.pop("f:status", None)
    metadata = tree.get("f:metadata")
    if metadata is not None:
        kept = {step: child for step, child in metadata.items() if step not in STRIPPED and step != "."}
        if kept:
            tree["f:metadata"] = kept
        else:
            del tree["f:metadata"]
    return tree


def _unborn(tree: Tree) -> None:
    """Take the parts that an object has from birth from a tree that nobody else has yet."""
    for step in [step for step in tree if step[2:] in BORN and step[0] == "f"]:
        child = tree[step]
        if child:
            del child["."]
            _unborn(child)
        if not child:
            del tree[step]


def _value(old: Any, new: Any, shape: Shape) -> tuple[Tree | None, Tree | None]:
    """Of two values that differ; None where nothing was changed, or nothing is gone."""
    if isinstance(shape, Fields) and type(old) is dict and type(new) is dict:
        changed, gone = _fields(old, new, shape)
        return changed or None, gone or None
    if isinstance(shape, Items | Values) and type(old) is list and type(new) is list:
        changed, gone = _items(old, new, shape)
        return changed or None, gone or None
    below = {} if shape is None else {step: child for step, child in shape.tree(old).items() if step != "."}
    return (MEMBER if shape is None else shape.tree(new)), below or None


def _fields(old: Raw, new: Raw, shape: Fields) -> tuple[Tree, Tree]:
    changed, gone = {}, {}
    for name, value in new.items():
        before = old.get(name)
        if value is None or value == before:
            continue
        step, below = shape.field(name)
        if before is None:
            changed[step] = MEMBER if below is None else below.tree(value)
            continue
        more, less = _value(before, value, below)
        if more is not None:
            changed[step] = more
        if less is not None:
            gone[step] = less
    for name, before in old.items():
        if before is not None and new.get(name) is None:
            step, below = shape.field(name)
            gone[step] = MEMBER if below is None else below.tree(before)
    return changed, gone


def _items(old: list[Any], new: list[Any], shape: Items | Values) -> tuple[Tree, Tree]:
    before, after = _indexed(old, shape), _indexed(new, shape)
    changed, gone = {}, {}
    for step, items in after.items():
        was = before.get(step)
        if was is None:
            changed[step] = _tree(items, shape.item)
        elif was != items:
            more, less = _value(was[0], items[0], shape.item) if len(was) == len(items) == 1 else (MEMBER, None)
            if more is not None:
                changed[step] = more
            if less is not None:
                gone[step] = less
    gone |= {step: _tree(items, shape.item) for step, items in before.items() if step not in after}
    return changed, gone


def _indexed(items: list[Any], shape: Items | Values) -> dict[str, list[Any]]:
    """Items by their step; those with the same step are owned together, as a whole."""
    found: dict[str, list[Any]] = {}
    for item in items:
        found.setdefault(shape.step(item), []).append(item)
    return found


def _tree(items: list[Any], shape: Shape) -> Tree:
    return MEMBER if shape is None or len(items) > 1 else shape.tree(items[0])
