"""Server-side apply: an object as somebody wants it, merged into what there is.

    live + configuration ── merge ──> ── prune what it set the last time, and nobody owns now ──> new
                                                           │
    what others own, and is different now: a conflict, or taken from them by force

Source: structured-merge-diff/v6/merge/update.go (Apply); apimachinery/pkg/util/managedfields/internal.
"""

from __future__ import annotations

from labkit.control.fields import last_applied
from labkit.control.fields.compare import compare, created, owned
from labkit.control.fields.conflict import conflict
from labkit.control.fields.managers import APPLY, BEFORE, UPDATE, Managers, Owned, capped, identity, read, written
from labkit.control.fields.merge import merge, prune
from labkit.control.fields.shapes import Kind, Raw, builtin
from labkit.control.fields.tree import difference, intersection, union
from labkit.control.fields.typed import tree_of
from labkit.control.status import bad_request
from labkit.errors import ApiError


def server_side_apply(
    live: Raw | None,
    applied: Raw,
    manager: str,
    force: bool,
    now: str,
    subresource: str = "",
    types: Kind | None = None,
) -> Raw:
    """The object to store when `manager` applies a configuration; `live` itself where nothing changes.

    live     the stored object, in the version of the configuration; None where there is none
    applied  the configuration, an object with `metadata`
    now      RFC 3339, whole seconds
    types    the shape of a custom kind (`shapes.custom`); built-in ones are known
    Raises `ApiError`: 400 where the configuration is not one, 409 with the fields that others own and that would
    change, unless by `force`. Nothing that is given is changed.
    """
    version = applied["apiVersion"]
    kind = types or builtin(version, applied["kind"])
    wanted = _part(kind, applied, subresource)
    tree, errors = tree_of(wanted, kind.root)
    if applied["metadata"].get("managedFields") is not None:
        raise bad_request("metadata.managedFields must be nil")
    if errors:
        raise _untyped(applied, errors)
    mine = Owned(owned(kind, tree, subresource), version, now)
    who = identity(manager, APPLY, version, subresource)
    if live is None:
        return _stamped(merge({}, wanted, kind.root), {who: mine})
    before = read(live["metadata"].get("managedFields")) or {}
    if not before:
        everything = Owned(created(kind, live, subresource), version, now)
        before = {identity(BEFORE, UPDATE, version, subresource): everything}
    last = before.get(who)
    plain = _stamped(live, {})
    made = merge(plain, wanted, kind.root)
    if last is not None and last.tree:
        trees = [mine.tree, *(each.tree for name, each in before.items() if name != who)]
        pruned = prune(made, last.tree, trees, kind.root)
        had = last.tree.get("f:metadata") or {}
        # A name, a uid are nobody's: they stay whatever else of the metadata goes.
        kept = {name: value for name, value in made["metadata"].items() if f"f:{name}" not in had}
        made = {**pruned, "metadata": {**kept, **pruned.get("metadata", {})}}
    after = _settle(kind, plain, made, before | {who: mine}, force, manager, subresource)
    if manager == last_applied.MANAGER:
        made = last_applied.renewed(applied, made)
    if made == plain and _sets(after) == _sets(read(live["metadata"].get("managedFields")) or {}):
        return live
    return _stamped(made, capped(after))


def _settle(
    kind: Kind, live: Raw, made: Raw, managers: Managers, force: bool, manager: str, subresource: str
) -> Managers:
    """Who owns what afterwards. Raises Conflict."""
    changed, gone = compare(kind, live, made, subresource)
    others = {who: each for who, each in managers.items() if who != identity(manager, APPLY, "", subresource)}
    conflicts = {who: lost for who, each in others.items() if (lost := intersection(each.tree, changed))}
    if conflicts and not force and manager == last_applied.MANAGER:
        own = last_applied.still_true(kind, live, subresource)
        if all(not difference(lost, own) for lost in conflicts.values()):
            force = True
        else:
            conflicts = {who: left for who, lost in conflicts.items() if (left := difference(lost, own))}
    if conflicts and not force:
        raise conflict(conflicts)
    lost = union(changed, gone)
    kept = {who: each._replace(tree=difference(each.tree, lost)) for who, each in others.items()}
    return {**managers, **kept}


def _part(kind: Kind, applied: Raw, subresource: str) -> Raw:
    """What of a configuration counts, for this resource or subresource."""
    if subresource == "status":
        return {name: applied[name] for name in ("apiVersion", "kind", "metadata", "status") if name in applied}
    return {name: value for name, value in applied.items() if name != "status"} if kind.status else applied


def _stamped(raw: Raw, managers: Managers) -> Raw:
    metadata = {name: value for name, value in raw["metadata"].items() if name != "managedFields"}
    if entries := written(managers):
        metadata["managedFields"] = entries
    return {**raw, "metadata": metadata}


def _sets(managers: Managers) -> dict[object, object]:
    return {who: (each.tree, each.api_version) for who, each in managers.items() if each.tree}


def _untyped(applied: Raw, errors: list[str]) -> ApiError:
    metadata = applied["metadata"]
    group, _, version = applied["apiVersion"].rpartition("/")
    about = f"{metadata.get('namespace', '')}/{metadata.get('name', '')}; {group}/{version}, Kind={applied['kind']}"
    text = errors[0] if len(errors) == 1 else "errors:" + "".join(f"\n  {error}" for error in errors)
    return bad_request(f"failed to create typed patch object ({about}): {text}")
