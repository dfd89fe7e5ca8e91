"""PodDisruptionBudget -> its status, by which evictions are allowed or refused.

Source: kubernetes/pkg/controller/disruption/disruption.go of v1.34.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from labkit.control.recorder import Recorder
from labkit.control.store import Raw, Store
from labkit.control.watch import Event
from labkit.workloads.disruption.budget import covers, expected, failed_status, new_status
from labkit.workloads.ownership import controller_of, key
from labkit.workloads.pods import has_ended

SCALED = ("Deployment", "ReplicaSet", "StatefulSet")


class DisruptionBudgets:
    """Keeps the status of budgets. Keys are `namespace/name`."""

    name = "disruption"
    kinds = frozenset({"PodDisruptionBudget", "Pod", *SCALED})

    def __init__(self, store: Store) -> None:
        self._store = store
        self._recorder = Recorder(store, "controllermanager")

    def keys(self, event: Event) -> Iterable[str]:
        raw = event.object
        if raw["kind"] == "PodDisruptionBudget":
            return [key(raw)]
        budgets = self._store.list("PodDisruptionBudget", raw["metadata"]["namespace"])
        if raw["kind"] != "Pod":
            return [key(pdb) for pdb in budgets]
        return [key(pdb) for pdb in budgets for pod in (raw, event.old) if pod and covers(pdb, pod)]

    def reconcile(self, key: str) -> float | None:
        """Write the status. Returns when a remembered eviction is to be forgotten."""
        namespace, _, name = key.partition("/")
        pdb = self._store.find("PodDisruptionBudget", namespace, name)
        if pdb is None:
            return None
        found = [pod for pod in self._store.list("Pod", namespace) if covers(pdb, pod) and not has_ended(pod)]
        now, again = self._store.now(), None
        try:
            status, again = new_status(pdb, found, expected(pdb, found, lambda: self._scale(found)), now)
        except ValueError as error:
            self._recorder.event(pdb, "Warning", "CalculateExpectedPodCountFailed", str(error))
            status = failed_status(pdb, str(error), now)
        self._store.replace_status({**pdb, "status": status})
        return again

    def _scale(self, found: Sequence[Raw]) -> int:
        """The replicas of all controllers of these pods together. Raises `ValueError` for one that has none."""
        totals: dict[str, int] = {}
        for pod in found:
            name, owner = pod["metadata"]["name"], self._top(pod)
            if owner is None:
                raise ValueError(f'found no controllers for pod "{name}"')
            if owner["kind"] not in SCALED:
                raise ValueError(
                    f"{owner['kind'].lower()}s.{owner['apiVersion'].rpartition('/')[0]} does not implement the scale "
                    "subresource"
                )
            totals[owner["metadata"]["uid"]] = owner["spec"].get("replicas", 1)
        return sum(totals.values())

    def _top(self, pod: Raw) -> Raw | None:
        """What controls a pod; for a ReplicaSet of a Deployment, the Deployment."""
        owner = self._controller(pod)
        above = self._controller(owner) if owner and owner["kind"] == "ReplicaSet" else None
        return above or owner

    def _controller(self, raw: Raw) -> Raw | None:
        ref = controller_of(raw)
        return self._store.find(ref["kind"], raw["metadata"]["namespace"], ref["name"]) if ref else None
