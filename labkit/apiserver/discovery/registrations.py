"""The APIServices: one object for each version of a group that is served, as the aggregator keeps them.

Source: kube-aggregator/pkg/controllers/autoregister/autoregister_controller.go; pkg/controlplane/controller/
crdregistration; kube-aggregator/pkg/controllers/status/local (Local: always available).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from labkit.apiserver.discovery.groups import CUSTOM, PRIORITIES, groups
from labkit.control.deletion import timestamp
from labkit.control.store import Store
from labkit.control.watch import Event

Raw = dict[str, Any]

VERSION = "apiregistration.k8s.io/v1"
MANAGED = "kube-aggregator.kubernetes.io/automanaged"
HIGHEST, STEP = 100, 1
"""The priority of a group's first version, and how much less each further one has."""
AVAILABLE = {
    "type": "Available",
    "status": "True",
    "reason": "Local",
    "message": "Local APIServices are always available",
}


class Registrations:
    """Follows definitions of custom kinds. The one key stands for all versions; what a client deletes comes again."""

    name = "autoregister"
    kinds = frozenset({"APIService", "CustomResourceDefinition"})

    def __init__(self, store: Store) -> None:
        self._store = store

    def keys(self, event: Event) -> Iterable[str]:
        return ["all"] if event.object["kind"] != "APIService" or event.type == "DELETED" else []

    def reconcile(self, _: str) -> None:
        wanted = {raw["metadata"]["name"]: raw for raw in self._wanted()}
        for raw in self._store.list("APIService"):
            name = raw["metadata"]["name"]
            if wanted.pop(name, None) is None and MANAGED in raw["metadata"].get("labels", {}):
                self._store.delete("APIService", "", name)
        for raw in wanted.values():
            self._store.create(raw)

    def _wanted(self) -> Iterator[Raw]:
        now = timestamp(self._store.now())
        for group in groups(self._store.catalogue):
            for place, version in enumerate(group.versions):
                spec: Raw = {"version": version, "versionPriority": HIGHEST - STEP * place}
                if group.name:
                    spec["group"] = group.name
                yield {
                    "apiVersion": VERSION,
                    "kind": "APIService",
                    "metadata": {"name": f"{version}.{group.name}", "labels": {MANAGED: _when(group.name)}},
                    "spec": {**spec, "groupPriorityMinimum": PRIORITIES.get(group.name, CUSTOM)},
                    "status": {"conditions": [{**AVAILABLE, "lastTransitionTime": now}]},
                }


def _when(group: str) -> str:
    """Built-in groups are registered at the start, those of custom kinds as long as there are any."""
    return "onstart" if group in PRIORITIES else "true"
