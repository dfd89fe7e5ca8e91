"""DaemonSet -> a pod on every node that it is meant for.

Source: kubernetes/pkg/controller/daemon (daemon_controller.go, update.go) of v1.34.
"""

from __future__ import annotations

from collections.abc import Iterable

from labkit.control.namespaces import leaving
from labkit.control.store import Raw, Store
from labkit.control.watch import Event
from labkit.workloads import pods
from labkit.workloads.daemonsets.placement import new_pod, node_of, places
from labkit.workloads.daemonsets.plan import Node, Plan, Update, counts, limits, manage, roll
from labkit.workloads.making import Create, PodControl
from labkit.workloads.ownership import claim, controllers, key, owners
from labkit.workloads.revisions import REVISION_LABEL, History

FIRST_BACKOFF, LONGEST_BACKOFF = 1.0, 900.0
"""Seconds before a failed daemon is replaced: doubling, as NewDaemonSetsController's failedPodsBackoff."""


class DaemonSets:
    """Keeps the pods of DaemonSets. Keys are `namespace/name`."""

    name = "daemonset"
    kinds = frozenset({"DaemonSet", "Node", "Pod"})

    def __init__(self, store: Store, create: Create) -> None:
        self._store = store
        self._pods = PodControl(store, create, "daemonset-controller")
        self._history = History(store, REVISION_LABEL)
        self._failures: dict[tuple[str, str], tuple[int, float]] = {}
        store.add_index("controller", controllers)

    def keys(self, event: Event) -> Iterable[str]:
        kind = event.object["kind"]
        if kind == "Pod":
            return owners(self._store, "DaemonSet", event)
        if kind == "DaemonSet":
            return [key(event.object)]
        if event.type == "MODIFIED" and event.old and _decisive(event.old) == _decisive(event.object):
            return []
        return [key(ds) for ds in self._store.list("DaemonSet")]

    def reconcile(self, key: str) -> float | None:
        """Take the next step, then write the status. Returns when to look again though nothing changes."""
        namespace, _, name = key.partition("/")
        ds = self._store.find("DaemonSet", namespace, name)
        if ds is None or "deletionTimestamp" in ds["metadata"] or leaving(self._store, namespace):
            return None
        revision = self._history.current(ds)
        nodes, lost = self._nodes(ds)
        surge, unavailable = limits(ds, sum(node.wanted for node in nodes))
        update = Update(self._history.hash(revision), surge, unavailable, lambda pod: self._wait(ds, pod) == 0)
        for pod in lost:
            self._pods.delete(ds, pod)
        plan, later = self._paced(ds, manage(nodes, update))
        self._apply(ds, plan, update.digest)
        if not plan.create and not plan.delete and ds["spec"].get("updateStrategy", {}).get("type") != "OnDelete":
            self._apply(ds, roll(nodes, update), update.digest)
        self._store.replace_status({**ds, "status": {**counts(ds, nodes, update)}})
        digests = {pod["metadata"].get("labels", {}).get(REVISION_LABEL) for node in nodes for pod in node.pods}
        self._history.truncate(ds, {f"{name}-{digest}" for digest in digests} | {revision["metadata"]["name"]})
        ages = [wait for node in nodes for pod in node.pods if (wait := self._wait(ds, pod))]
        return min([*ages, *later], default=None)

    def _nodes(self, ds: Raw) -> tuple[list[Node], list[Raw]]:
        """All nodes with the set's pods, and the pods of nodes that are not there."""
        found: dict[str, list[Raw]] = {}
        for pod in sorted(claim(self._store, ds, "Pod", ds["spec"]["selector"]), key=self._store.created):
            found.setdefault(node_of(pod), []).append(pod)
        nodes = [
            Node(name, *places(ds, raw), tuple(found.pop(name, ())))
            for raw in self._store.list("Node")
            for name in [raw["metadata"]["name"]]
        ]
        lost = [pod for pods_of in found.values() for pod in pods_of if not pods.is_terminating(pod)]
        return nodes, [pod for pod in lost if not pod["spec"].get("nodeName")]

    def _wait(self, ds: Raw, pod: Raw) -> float | None:
        return pods.available_in(pod, ds["spec"].get("minReadySeconds", 0), self._store.now())

    def _paced(self, ds: Raw, plan: Plan) -> tuple[Plan, list[float]]:
        """The plan with failed pods left alone until their time has come, and the seconds until then."""
        delete, later = [], []
        now = self._store.now().timestamp()
        for pod in plan.delete:
            place = ds["metadata"]["uid"], node_of(pod)
            if pods.phase(pod) != "Failed":
                delete.append(pod)
                continue
            count, until = self._failures.get(place, (0, 0.0))
            if now < until:
                later.append(until - now)
                continue
            pause = min(FIRST_BACKOFF * 2**count, LONGEST_BACKOFF)
            self._failures[place] = count + 1, now + pause
            delete.append(pod)
        return Plan(plan.create, tuple(delete)), later

    def _apply(self, ds: Raw, plan: Plan, digest: str) -> None:
        for pod in plan.delete:
            self._explain(ds, pod)
            self._pods.delete(ds, pod)
        for node in plan.create:
            self._pods.create(ds, new_pod(ds, node, digest))

    def _explain(self, ds: Raw, pod: Raw) -> None:
        where = f"daemon pod {key(pod)} on node {node_of(pod)}, will try to"
        if pods.phase(pod) == "Failed":
            self._pods.recorder.event(ds, "Warning", "FailedDaemonPod", f"Found failed {where} kill it")
        elif pods.phase(pod) == "Succeeded":
            self._pods.recorder.event(ds, "Normal", "SucceededDaemonPod", f"Found succeeded {where} delete it")


def _decisive(node: Raw) -> tuple[object, ...]:
    """What of a node decides whether daemons belong on it."""
    return node["metadata"].get("labels"), node.get("spec", {}).get("taints")
