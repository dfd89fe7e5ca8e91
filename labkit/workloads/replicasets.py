"""ReplicaSet -> pods: as many as it asks for, from its template.

Source: kubernetes/pkg/controller/replicaset/replica_set.go, replica_set_utils.go of v1.34.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from labkit.api.objects import Pod, ReplicaSet
from labkit.control.namespaces import leaving
from labkit.control.store import Raw, Store, key_of
from labkit.control.watch import Event
from labkit.workloads.ownership import claim, controller_of, controllers, owners, reference
from labkit.workloads.ranking import is_active, victims


class ReplicaSets:
    """Keeps the number of pods. Keys are `namespace/name`.

    create: stores a new pod, after admission; what it refuses is retried by the loop.
    """

    name = "replicaset"
    kinds = frozenset({"Pod", "ReplicaSet"})

    def __init__(self, store: Store, create: Callable[[Raw], Raw]) -> None:
        self._store = store
        self._create = create
        store.add_index("controller", controllers)

    def keys(self, event: Event) -> Iterable[str]:
        if event.object["kind"] == "Pod":
            return owners(self._store, ReplicaSet, event)
        return [f"{event.object['metadata']['namespace']}/{event.object['metadata']['name']}"]

    def reconcile(self, key: str) -> float | None:
        """Create or delete pods, then write the status. Returns when the next pod becomes available by age alone."""
        namespace, _, name = key.partition("/")
        rs = self._store.view(ReplicaSet, namespace, name)
        if rs is None or rs.metadata.deletion_timestamp is not None or leaving(self._store, namespace):
            return None
        raw = self._store.get("ReplicaSet", namespace, name)
        active = [pod for pod in claim(self._store, raw, "Pod", rs.spec.selector) if is_active(pod)]
        missing = rs.spec.replicas - len(active)
        for _ in range(missing):
            self._create(new_pod(raw))
        if missing < 0:
            for pod in victims(active, self._related(raw, active), -missing, self._store.created):
                self._store.delete(*key_of(pod))
        pods = [self._store.typed(Pod, pod) for pod in active]
        status, again = new_status(rs, pods, self._store.now())
        self._store.replace_status({**raw, "status": {**_conditions(raw), **status}})
        return again

    def _related(self, raw: Raw, active: Sequence[Raw]) -> list[Raw]:
        """The active pods of all ReplicaSets of the same owner."""
        owner = controller_of(raw)
        if owner is None:
            return list(active)
        sets = [child["metadata"]["uid"] for child in self._store.indexed("owner", owner["uid"])]
        pods = [pod for uid in sets for pod in self._store.indexed("owner", uid) if pod["kind"] == "Pod"]
        return [pod for pod in pods if is_active(pod)]


def new_pod(rs: Raw) -> Raw:
    """A pod from a ReplicaSet's template."""
    template = rs["spec"]["template"]
    given = template.get("metadata", {})
    metadata: dict[str, Any] = {
        "generateName": f"{rs['metadata']['name']}-",
        "namespace": rs["metadata"]["namespace"],
        "ownerReferences": [reference(rs)],
    }
    metadata |= {field: given[field] for field in ("labels", "annotations", "finalizers") if field in given}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]}


def new_status(rs: ReplicaSet, pods: Sequence[Pod], now: datetime) -> tuple[dict[str, int], float | None]:
    """The counts of the active pods, and in how many seconds the next ready one is available."""
    ready = [pod for pod in pods if pod.ready]
    waits = [_wait(pod, rs.spec.min_ready_seconds, now) for pod in ready]
    wanted = rs.spec.template.metadata.labels.items()
    counts = {
        "replicas": len(pods),
        "fullyLabeledReplicas": sum(wanted <= pod.metadata.labels.items() for pod in pods),
        "readyReplicas": len(ready),
        "availableReplicas": sum(wait <= 0 for wait in waits),
        "observedGeneration": rs.metadata.generation,
    }
    pending = [wait for wait in waits if wait > 0]
    shown = {name: count for name, count in counts.items() if count or name == "replicas"}
    return shown, min(pending, default=None)


def _wait(pod: Pod, seconds: int, now: datetime) -> float:
    """Seconds until a ready pod is available: it has to be ready for `minReadySeconds`."""
    since = next((c.last_transition_time for c in pod.status.conditions if c.type == "Ready"), None)
    if not seconds or since is None:
        return 0.0
    return (datetime.fromisoformat(since) + timedelta(seconds=seconds) - now).total_seconds()


def _conditions(raw: Raw) -> dict[str, Any]:
    status = raw.get("status", {})
    return {"conditions": status["conditions"]} if "conditions" in status else {}
