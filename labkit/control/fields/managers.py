"""`metadata.managedFields`: who owns what, read and written.

Source: apimachinery/pkg/util/managedfields/internal/{managedfields,capmanagers,buildmanagerinfo}.go.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from labkit.control.fields.tree import Tree, is_tree, union

MOST_UPDATERS = 10
ANCIENT = "ancient-changes"
BEFORE = "before-first-apply"
APPLY, UPDATE = "Apply", "Update"


class Identity(NamedTuple):
    """Who: of appliers the version plays no part, so that it is empty here."""

    operation: str
    manager: str
    api_version: str
    subresource: str


class Owned(NamedTuple):
    """What, as of which version, since when (RFC 3339; empty where it is not known)."""

    tree: Tree
    api_version: str
    time: str


Managers = dict[Identity, Owned]


def identity(manager: str, operation: str, api_version: str, subresource: str) -> Identity:
    return Identity(operation, manager, "" if operation == APPLY else api_version, subresource)


def is_reset(entries: Any) -> bool:
    """Whether a client asks to forget all managers: a list with one empty entry. (An empty list asks for nothing: it
    comes from clients that do not know the field.)
    """
    return type(entries) is list and entries == [{}]


def read(entries: Any) -> Managers | None:
    """The managers by identity; None where the entries do not make sense."""
    found: Managers = {}
    if entries is None:
        return found
    if type(entries) is not list:
        return None
    for entry in entries:
        if type(entry) is not dict or not is_tree(entry.get("fieldsV1", {})):
            return None
        words = [entry.get(name, "") for name in ("operation", "manager", "apiVersion", "subresource", "time")]
        operation, manager, version, subresource, time = words
        if not all(type(word) is str for word in words) or operation not in (APPLY, UPDATE) or not version:
            return None
        who = identity(manager, operation, version, subresource)
        before = found.get(who)
        tree = entry.get("fieldsV1", {})
        found[who] = Owned(union(before.tree, tree) if before else tree, version, time)
    return found


def written(managers: Managers) -> list[dict[str, Any]]:
    """The entries, appliers first, then by time and name; those who own nothing are left out."""
    listed = sorted(
        (w.operation, o.time, w.manager, o.api_version, w.subresource, w) for w, o in managers.items() if o.tree
    )
    return [entry(who, managers[who]) for *_, who in listed]


def entry(who: Identity, owned: Owned) -> dict[str, Any]:
    written = {"manager": who.manager, "operation": who.operation, "apiVersion": owned.api_version}
    if owned.time:
        written["time"] = owned.time
    shown: dict[str, Any] = {**written, "fieldsType": "FieldsV1", "fieldsV1": owned.tree}
    if who.subresource:
        shown["subresource"] = who.subresource
    return shown


def capped(managers: Managers) -> Managers:
    """The managers, the oldest updaters of a version taken together where there are too many of them."""
    updaters = [who for who in managers if who.operation == UPDATE and managers[who].tree]
    many = len(updaters)
    if many <= MOST_UPDATERS:
        return managers
    kept = dict(managers)
    first: dict[str, Identity] = {}
    for who in sorted(updaters, key=lambda who: (managers[who].time, who)):
        if many <= MOST_UPDATERS:
            break
        version = managers[who].api_version
        bucket = identity(ANCIENT, UPDATE, version, "")
        if version not in first:
            first[version] = who
            continue
        if bucket not in kept:
            kept[bucket] = kept.pop(first[version])
        one = kept.pop(who)
        kept[bucket] = one._replace(tree=union(one.tree, kept[bucket].tree))
        many -= 1
    return kept
