"""The garbage collector: what an object owned goes after it.

Source: kubernetes/pkg/controller/garbagecollector (background deletion).
"""

from __future__ import annotations

from collections.abc import Iterable

from labkit.control.store import Store, key_of
from labkit.control.watch import Event


class GarbageCollector:
    """Looks, for each uid that is gone, at what names it as an owner. Keys are uids."""

    name = "garbage-collector"
    kinds = None

    def __init__(self, store: Store) -> None:
        self._store = store

    def keys(self, event: Event) -> Iterable[str]:
        return [event.object["metadata"]["uid"]] if event.type == "DELETED" else []

    def reconcile(self, key: str) -> None:
        """Delete what has no other owner; take the owner's name from the rest."""
        for child in self._store.indexed("owner", key):
            if any(ref["uid"] != key for ref in child["metadata"]["ownerReferences"]):
                self._store.disown(child, key)
            else:
                self._store.delete(*key_of(child))
