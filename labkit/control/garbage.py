"""The garbage collector: what an object owned goes after it, before it, or not at all.

    owner deleted in the background -> it goes, then its dependents
    in the foreground (finalizer foregroundDeletion) -> dependents, then the owner
    orphan (finalizer orphan) -> dependents forget it, then it goes

Source: kubernetes/pkg/controller/garbagecollector (garbagecollector.go, graph_builder.go) of v1.34.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Literal

from labkit.control.deletion import FOREGROUND, ORPHAN, Propagation
from labkit.control.recorder import Recorder
from labkit.control.store import Raw, Store, key_of
from labkit.control.watch import Event

State = Literal["solid", "waiting", "absent"]

MATTER = ("ownerReferences", "finalizers", "deletionTimestamp")
"""Metadata of an object that decides whether it, or its owner, may go."""


class GarbageCollector:
    """Looks at what owns and what is owned. Keys are uids, also of objects that are gone."""

    name = "garbage-collector"
    kinds = None

    def __init__(self, store: Store) -> None:
        self._store = store
        self._recorder = Recorder(store, "garbage-collector-controller")
        store.add_index("uid", lambda raw: [raw["metadata"]["uid"]])

    def keys(self, event: Event) -> Iterable[str]:
        """The object, where owners or deletion have changed; its owners, which may wait for it."""
        new, old = event.object["metadata"], event.old["metadata"] if event.old else {}
        if event.type == "DELETED":
            return [new["uid"], *_owners(new)]
        if all(new.get(field) == old.get(field) for field in MATTER):
            return []
        return [new["uid"], *_owners(old)]

    def reconcile(self, key: str) -> None:
        """Do for an object what its owners' state asks for; for one that is gone, the same for its dependents."""
        found = self._store.indexed("uid", key)
        for item in found or self._store.indexed("owner", key):
            self._attend(item)

    def _attend(self, item: Raw) -> None:
        metadata = item["metadata"]
        finalizers = metadata.get("finalizers", ())
        if "deletionTimestamp" not in metadata:
            if "ownerReferences" in metadata:
                self._judge(item)
        elif ORPHAN in finalizers:
            for child in self._store.indexed("owner", metadata["uid"]):
                self._store.disown(child, metadata["uid"])
            self._release(item, ORPHAN)
        elif FOREGROUND in finalizers:
            self._empty(item)

    def _empty(self, owner: Raw) -> None:
        """Delete the dependents; let the owner go when none is left that blocks its deletion."""
        uid = owner["metadata"]["uid"]
        for child in self._store.indexed("owner", uid):
            if (current := self._store.find(*key_of(child))) is not None:
                self._attend(current)
        if not any(_blocks(child, uid) for child in self._store.indexed("owner", uid)):
            self._release(owner, FOREGROUND)

    def _judge(self, item: Raw) -> None:
        """Keep an object that has a living owner, and take the names of the others from it; else delete it."""
        states: dict[State, list[str]] = {"solid": [], "waiting": [], "absent": []}
        for ref in item["metadata"]["ownerReferences"]:
            states[self._state(item, ref)].append(ref["uid"])
        if states["solid"]:
            for uid in states["absent"] + states["waiting"]:
                self._store.disown(self._store.get(*key_of(item)), uid)
            return
        dependents = self._store.indexed("owner", item["metadata"]["uid"])
        propagation: Propagation | None = "Foreground" if states["waiting"] and dependents else None
        if any(_deletes_dependents(child) for child in dependents):
            propagation = "Background"  # it would wait for a dependent that waits for it
        self._store.delete(*key_of(item), propagation=propagation)

    def _state(self, item: Raw, ref: dict[str, Any]) -> State:
        """What an owner is: there, about to go after its dependents, or absent (also: in another namespace)."""
        resource = self._store.catalogue.of_kind(ref["apiVersion"], ref["kind"])
        namespace = item["metadata"].get("namespace", "")
        if resource is None or (resource.namespaced and not namespace):
            return "solid"  # cannot be resolved: never collected
        owner = self._store.find(resource.key, namespace if resource.namespaced else "", ref["name"])
        if owner is None or owner["metadata"]["uid"] != ref["uid"]:
            if self._store.indexed("uid", ref["uid"]):
                self._misplaced(item, ref, namespace)
            return "absent"
        return "waiting" if _deletes_dependents(owner) else "solid"

    def _misplaced(self, item: Raw, ref: dict[str, Any], namespace: str) -> None:
        where = f"{ref['apiVersion']}/{ref['kind']}, namespace: {namespace}, name: {ref['name']}, uid: {ref['uid']}"
        why = f'ownerRef [{where}] does not exist in namespace "{namespace}"'
        self._recorder.event(item, "Warning", "OwnerRefInvalidNamespace", why)

    def _release(self, item: Raw, finalizer: str) -> None:
        def change(raw: Raw) -> None:
            raw["metadata"]["finalizers"].remove(finalizer)
            if not raw["metadata"]["finalizers"]:
                del raw["metadata"]["finalizers"]

        self._store.update(*key_of(item), change)


def _owners(metadata: dict[str, Any]) -> Iterator[str]:
    return (ref["uid"] for ref in metadata.get("ownerReferences", ()))


def _blocks(child: Raw, uid: str) -> bool:
    return any(ref["uid"] == uid and ref.get("blockOwnerDeletion") for ref in child["metadata"]["ownerReferences"])


def _deletes_dependents(raw: Raw) -> bool:
    metadata = raw["metadata"]
    return "deletionTimestamp" in metadata and FOREGROUND in metadata.get("finalizers", ())
