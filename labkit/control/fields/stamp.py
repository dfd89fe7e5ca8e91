"""Managed fields for every write but an apply: who wrote owns what the write changed.

Source: apimachinery/pkg/util/managedfields/internal/{fieldmanager,managedfieldsupdater,skipnonapplied}.go,
structured-merge-diff/v6/merge/update.go (Update).
"""

from __future__ import annotations

from typing import Any

from labkit.control.fields.compare import compare, created
from labkit.control.fields.managers import (
    UPDATE,
    Managers,
    Owned,
    capped,
    entry,
    identity,
    is_reset,
    read,
    written,
)
from labkit.control.fields.shapes import Kind, Raw, builtin
from labkit.control.fields.tree import Tree, difference, union


def stamp(
    old: Raw | None,
    new: Raw,
    manager: str,
    now: str,
    subresource: str = "",
    operation: str = UPDATE,
    types: Kind | None = None,
) -> Raw:
    """`new`, with `metadata.managedFields` as the server keeps them when `manager` writes it in place of `old`.

    old    the stored object; None for a new one. One whose fields nobody manages stays so (until it is first applied)
    new    the object as it will be stored: with defaults, and with the old status where that is not written
    now    RFC 3339, whole seconds
    types  the shape of a custom kind (`shapes.custom`); built-in ones are known
    A client may write the field itself; a list with one empty entry forgets all managers. What is not well-formed in
    there does not count. `old` and `new` are not changed.
    """
    version = new["apiVersion"]
    kind = types or builtin(version, new["kind"])
    who = identity(manager, operation, version, subresource)
    if old is None:
        tree = created(kind, new, subresource)
        return _with(new, [entry(who, Owned(tree, version, now))] if tree else [])
    stored = old["metadata"].get("managedFields")
    given = None if subresource else new["metadata"].get("managedFields")
    if is_reset(given):
        return _with(new, [])
    before = (read(given) if given and given is not stored else None) or read(stored) or {}
    if not before:
        return _with(new, [])
    changed, gone = compare(kind, old, new, subresource)
    if not changed and not gone:
        same = not given or given == stored
        return _with(new, stored if same else written(before))
    return _with(new, written(capped(_after(before, changed, gone) | _own(who, before, changed, gone, version, now))))


def _with(new: Raw, entries: Any) -> Raw:
    metadata = {name: value for name, value in new["metadata"].items() if name != "managedFields"}
    if entries:
        metadata["managedFields"] = entries
    return {**new, "metadata": metadata}


def _after(before: Managers, changed: Tree, gone: Tree) -> Managers:
    """What each one owns still after a write of somebody."""
    lost = union(changed, gone)
    return {who: owned._replace(tree=difference(owned.tree, lost)) for who, owned in before.items()}


def _own(who: Any, before: Managers, changed: Tree, gone: Tree, version: str, now: str) -> Managers:
    if not changed:
        return {}
    mine = before.get(who)
    kept = difference(mine.tree, gone) if mine else {}
    return {who: Owned(union(changed, kept), version, now)}
