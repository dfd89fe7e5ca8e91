"""Namespaces: those that every cluster has, what each of them has, and how they go with all that is in them.

Source: kubernetes/pkg/controller/namespace, pkg/controller/serviceaccount/serviceaccounts_controller.go.
"""

from __future__ import annotations

from collections.abc import Iterable

from labkit.control import conditions
from labkit.control.admission import Admission
from labkit.control.emptying import remaining
from labkit.control.status import named
from labkit.control.store import Store, key_of
from labkit.control.watch import Event

INITIAL = ("default", "kube-node-lease", "kube-public", "kube-system")


def create_initial(admission: Admission) -> None:
    """The namespaces that a cluster starts with, those that it has not yet."""
    for name in INITIAL:
        if admission.store.find("Namespace", "", name) is None:
            admission.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})


def leaving(store: Store, name: str) -> bool:
    """Whether a namespace takes nothing new, because it is being deleted or gone."""
    namespace = store.find("Namespace", "", name)
    return namespace is None or "deletionTimestamp" in namespace["metadata"]


class Namespaces:
    """Empties a namespace that is being deleted, says what it waits for, then lets it go. Keys are names."""

    name = "namespace"
    kinds = None

    def __init__(self, store: Store) -> None:
        self._store = store

    def keys(self, event: Event) -> Iterable[str]:
        metadata = event.object["metadata"]
        if event.object["kind"] == "Namespace":
            return [metadata["name"]] if "deletionTimestamp" in metadata else []
        name = metadata.get("namespace", "")
        return [name] if name and (event.type == "DELETED" or leaving(self._store, name)) else []

    def reconcile(self, key: str) -> None:
        namespace = self._store.find("Namespace", "", key)
        if namespace is None or "deletionTimestamp" not in namespace["metadata"]:
            return
        for raw in self._store.indexed("namespace", key):
            # Deleting one may have taken others with it.
            if "deletionTimestamp" not in raw["metadata"] and self._store.find(*key_of(raw)) is not None:
                self._store.delete(*key_of(raw))
        left = self._store.indexed("namespace", key)
        if left:
            known = self._store.catalogue.named
            conditions.write(self._store, namespace, *remaining(left, lambda raw: named(known(key_of(raw)[0]))))
        else:
            self._store.finalize("Namespace", "", key)


class ServiceAccounts:
    """Sees to it that every namespace has its ServiceAccount `default`. Keys are namespaces."""

    name = "serviceaccount"
    kinds = frozenset({"Namespace", "ServiceAccount"})

    def __init__(self, store: Store) -> None:
        self._store = store

    def keys(self, event: Event) -> Iterable[str]:
        metadata = event.object["metadata"]
        return [metadata.get("namespace") or metadata["name"]]

    def reconcile(self, key: str) -> None:
        if not leaving(self._store, key) and self._store.find("ServiceAccount", key, "default") is None:
            metadata = {"name": "default", "namespace": key}
            self._store.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata})
