"""ReplicaSet -> pods: as many as it asks for, from its template.

Source: kubernetes/pkg/controller/replicaset/replica_set.go, replica_set_utils.go of v1.34.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from labkit.control import conditions
from labkit.control.deletion import timestamp
from labkit.control.namespaces import leaving
from labkit.control.store import Raw, Store
from labkit.control.watch import Event
from labkit.errors import ApiError
from labkit.workloads import pods
from labkit.workloads.making import Create, PodControl
from labkit.workloads.ownership import claim, controller_of, controllers, key, owners
from labkit.workloads.pods import is_active
from labkit.workloads.ranking import victims


class ReplicaSets:
    """Keeps the number of pods. Keys are `namespace/name`. What admission refuses is retried by the loop."""

    name = "replicaset"
    kinds = frozenset({"Pod", "ReplicaSet"})

    def __init__(self, store: Store, create: Create) -> None:
        self._store = store
        self._pods = PodControl(store, create, "replicaset-controller")
        store.add_index("controller", controllers)

    def keys(self, event: Event) -> Iterable[str]:
        if event.object["kind"] == "Pod":
            return owners(self._store, "ReplicaSet", event)
        return [key(event.object)]

    def reconcile(self, key: str) -> float | None:
        """Create or delete pods, then write the status. Returns when the next pod becomes available by age alone."""
        namespace, _, name = key.partition("/")
        rs = self._store.find("ReplicaSet", namespace, name)
        if rs is None or leaving(self._store, namespace):
            return None
        if "deletionTimestamp" in rs["metadata"]:
            return None
        active = [pod for pod in claim(self._store, rs, "Pod", rs["spec"]["selector"]) if is_active(pod)]
        failure: ApiError | None = None
        try:
            self._resize(rs, active)
        except ApiError as error:
            failure = error
        again = self._write_status(rs, active, failure)
        if failure is not None:
            raise failure
        return again

    def _resize(self, rs: Raw, active: Sequence[Raw]) -> None:
        missing = rs["spec"].get("replicas", 1) - len(active)
        for _ in range(missing):
            self._pods.create(rs, pods.from_template(rs, rs["spec"]["template"]))
        if missing < 0:
            for pod in victims(active, self._related(rs, active), -missing, self._store.created):
                self._pods.delete(rs, pod)

    def _related(self, rs: Raw, active: Sequence[Raw]) -> list[Raw]:
        """The active pods of all ReplicaSets of the same owner."""
        owner = controller_of(rs)
        if owner is None:
            return list(active)
        sets = [child["metadata"]["uid"] for child in self._store.indexed("owner", owner["uid"])]
        owned = [pod for uid in sets for pod in self._store.indexed("owner", uid) if pod["kind"] == "Pod"]
        return [pod for pod in owned if is_active(pod)]

    def _write_status(self, rs: Raw, active: Sequence[Raw], failure: ApiError | None) -> float | None:
        now = self._store.now()
        status, again = new_status(rs, active, now)
        before = [c for c in rs.get("status", {}).get("conditions", ()) if c["type"] != "ReplicaFailure"]
        if failure is not None:
            reason = "FailedCreate" if rs["spec"].get("replicas", 1) > len(active) else "FailedDelete"
            wanted = [conditions.make("ReplicaFailure", "True", reason, str(failure))]
            before = conditions.merged(rs.get("status", {}).get("conditions", ()), wanted, timestamp(now))
        if before:
            status["conditions"] = before
        self._store.replace_status({**rs, "status": status})
        return again


def new_status(rs: Raw, active: Sequence[Raw], now: datetime) -> tuple[dict[str, Any], float | None]:
    """The counts of the active pods, and in how many seconds the next ready one is available."""
    waits = [pods.available_in(pod, rs["spec"].get("minReadySeconds", 0), now) for pod in active]
    wanted = rs["spec"]["template"].get("metadata", {}).get("labels", {}).items()
    counts = {
        "replicas": len(active),
        "fullyLabeledReplicas": sum(wanted <= pod["metadata"].get("labels", {}).items() for pod in active),
        "readyReplicas": sum(wait is not None for wait in waits),
        "availableReplicas": sum(wait == 0 for wait in waits),
        "observedGeneration": rs["metadata"].get("generation", 0),
    }
    shown = {name: count for name, count in counts.items() if count or name == "replicas"}
    return shown, min((wait for wait in waits if wait), default=None)
