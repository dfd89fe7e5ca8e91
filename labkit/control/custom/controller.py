"""The controller of CustomResourceDefinitions: their status, and their objects' end before their own.

Source: apiextensions-apiserver/pkg/controller/{status,establish,finalizer}.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from labkit.api.kinds import store_kind
from labkit.control.custom import naming
from labkit.control.deletion import CLEANUP, timestamp
from labkit.control.store import Raw, Store, key_of
from labkit.control.watch import Event

DEFINITION = "CustomResourceDefinition"


class Definitions:
    """Gives definitions their names, in the order in which they came. Keys are groups: names differ within one."""

    name = "customresourcedefinition"
    kinds = None

    def __init__(self, store: Store) -> None:
        self._store = store

    def keys(self, event: Event) -> Iterable[str]:
        if event.object["kind"] == DEFINITION:
            return [event.object["spec"]["group"]]
        custom = "." in store_kind(event.object["apiVersion"], event.object["kind"])
        return [event.object["apiVersion"].partition("/")[0]] if custom and event.type == "DELETED" else []

    def reconcile(self, key: str) -> None:
        crds = [crd for crd in self._store.list(DEFINITION) if crd["spec"]["group"] == key]
        for crd in sorted(crds, key=self._store.created):
            if "deletionTimestamp" in crd["metadata"]:
                self._empty(crd)
            else:
                others = [self._store.find(*key_of(other)) for other in crds if other is not crd]
                present = [other for other in others if other is not None]
                self._set(crd, naming.status(crd, present, timestamp(self._store.now())))

    def _empty(self, crd: Raw) -> None:
        """Delete the objects of a definition; with the last of them goes what holds it."""
        if CLEANUP not in crd["metadata"].get("finalizers", ()):
            return
        kind = f"{crd['spec']['names']['kind']}.{crd['spec']['group']}"
        for raw in self._store.list(kind):
            if "deletionTimestamp" not in raw["metadata"] and self._store.find(*key_of(raw)) is not None:
                self._store.delete(*key_of(raw))
        left = bool(self._store.list(kind))
        self._set(crd, naming.terminating(crd, left, timestamp(self._store.now())))
        if not left:
            self._store.update(*key_of(crd), _release)

    def _set(self, crd: Raw, status: Raw) -> None:
        if status != crd.get("status"):
            self._store.update(*key_of(crd), partial(_put, status))


def _put(status: Raw, crd: Raw) -> None:
    crd["status"] = status


def _release(crd: Raw) -> None:
    crd["metadata"]["finalizers"] = [name for name in crd["metadata"]["finalizers"] if name != CLEANUP]
