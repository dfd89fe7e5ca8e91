"""What belongs to a workload: it adopts orphans that its selector matches, and releases what it no longer matches.

Source: kubernetes/pkg/controller/controller_ref_manager.go.
"""

from __future__ import annotations

from typing import Any

from labkit.api import selectors
from labkit.api.selectors import Selector
from labkit.control.store import Raw, Store, key_of
from labkit.control.watch import Event


def reference(owner: Raw) -> dict[str, Any]:
    """The ownerReference by which an object says that `owner` controls it."""
    return {
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }


def key(raw: Raw) -> str:
    """`namespace/name`, by which controllers name what they reconcile."""
    return f"{raw['metadata']['namespace']}/{raw['metadata']['name']}"


def controller_of(raw: Raw) -> dict[str, Any] | None:
    """The reference to the object that controls this one."""
    references = raw["metadata"].get("ownerReferences")
    return next((ref for ref in references if ref.get("controller")), None) if references else None


def orphans(kind: str, namespace: str) -> str:
    """The value of the index "controller" for objects that nothing controls."""
    return f"{kind} {namespace}"


def controllers(raw: Raw) -> list[str]:
    """The index "controller": uid of what controls an object."""
    owner = controller_of(raw)
    return [owner["uid"] if owner else orphans(raw["kind"], raw["metadata"].get("namespace", ""))]


def owners(store: Store, kind: str, event: Event) -> set[str]:
    """Keys of the owners of this kind that control the object of an event, did before, or may adopt it."""
    metadata = event.object["metadata"]
    namespace = metadata["namespace"]
    controller, before = controller_of(event.object), controller_of(event.old) if event.old else None
    found = {f"{namespace}/{owner['name']}" for owner in (controller, before) if owner and owner["kind"] == kind}
    if controller is None and (candidates := store.list(kind, namespace)):
        labels = metadata.get("labels", {})
        found |= {key(owner) for owner in candidates if selectors.matches(owner["spec"].get("selector"), labels)}
    return found


def claim(store: Store, owner: Raw, kind: str, selector: Selector) -> list[Raw]:
    """The objects of a kind that belong to `owner`, after adoption and release; the adopted ones last."""
    wanted = selectors.requirements(selector or {})
    uid = owner["metadata"]["uid"]
    mine = []
    for raw in store.indexed("controller", uid):
        if raw["kind"] != kind:
            continue
        if selectors.matches(wanted, raw["metadata"].get("labels", {})):
            mine.append(raw)
        elif "deletionTimestamp" not in raw["metadata"]:
            store.disown(raw, uid)
    for raw in store.indexed("controller", orphans(kind, owner["metadata"]["namespace"])):
        if "deletionTimestamp" not in raw["metadata"] and selectors.matches(wanted, raw["metadata"].get("labels", {})):
            mine.append(store.update(*key_of(raw), lambda new: _adopt(new, owner)))
    return mine


def _adopt(raw: Raw, owner: Raw) -> None:
    raw["metadata"].setdefault("ownerReferences", []).append(reference(owner))
