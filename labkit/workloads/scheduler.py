"""The scheduler: a node for every pod that has none.

    pod -> nodes that may take it -> the one with the fewest pods of the same owner, then the fewest pods -> binding

Deterministic, unlike the real one, which draws among equal scores. Source: kubernetes/pkg/scheduler/framework
(plugins nodeunschedulable, nodeaffinity, tainttoleration, podtopologyspread; types.go FitError) of v1.34.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from labkit.api.objects import Node, Pod
from labkit.control.deletion import timestamp
from labkit.control.store import Raw, Store
from labkit.control.watch import Event
from labkit.workloads.ownership import controller_of

SCHEDULER = "default-scheduler"


def obstacle(pod: Pod, node: Node) -> str:
    """Why the node cannot take the pod, in the scheduler's words; empty where it can."""
    if node.spec.unschedulable:
        return "node(s) were unschedulable"
    if not pod.spec.node_selector.items() <= node.metadata.labels.items():
        return "node(s) didn't match Pod's node affinity/selector"
    if any(c.type == "Ready" and c.status != "True" for c in node.status.conditions):
        return "node(s) had untolerated taint {node.kubernetes.io/not-ready: }"
    return ""


def choose(nodes: Sequence[Node], owned: Mapping[str, int], load: Mapping[str, int]) -> Node:
    """The node of the first rank: fewest pods of the same owner, also in its zone, then fewest of all, then by name.

    owned, load: pods on each node, by its name: those of the same owner, and all.
    """

    def per_zone(pods: Mapping[str, int]) -> Counter[str]:
        zones: Counter[str] = Counter()
        for node in nodes:
            zones[node.zone] += pods.get(node.name, 0)
        return zones

    owned_in_zone, load_in_zone = per_zone(owned), per_zone(load)

    def rank(node: Node) -> tuple[int, int, int, int, str]:
        mine, all_pods = owned.get(node.name, 0), load.get(node.name, 0)
        return mine, owned_in_zone[node.zone], all_pods, load_in_zone[node.zone], node.name

    return min(nodes, key=rank)


def unschedulable(obstacles: Iterable[str]) -> str:
    """The message of a pod that no node takes: how many nodes there are, and what each kind of obstacle stops."""
    counts = Counter(obstacles)
    total = counts.total()
    if not total:
        return "no nodes available to schedule pods"
    reasons = ", ".join(sorted(f"{count} {reason}" for reason, count in counts.items()))
    hopeless = f"preemption: 0/{total} nodes are available: {total} Preemption is not helpful for scheduling."
    return f"0/{total} nodes are available: {reasons}. {hopeless}"


class Scheduler:
    """Binds pods to nodes. Keys are `namespace/name` of pods."""

    name = "scheduler"
    kinds = frozenset({"Node", "Pod"})

    def __init__(self, store: Store) -> None:
        self._store = store

    def keys(self, event: Event) -> Iterable[str]:
        if event.object["kind"] == "Pod":
            return [_key(event.object)] if not event.object["spec"].get("nodeName") else []
        if event.old and _decisive(event.old) == _decisive(event.object) and event.type == "MODIFIED":
            return []
        return [_key(pod) for pod in self._store.indexed("node", "")]

    def reconcile(self, key: str) -> None:
        namespace, _, name = key.partition("/")
        pod = self._store.view(Pod, namespace, name)
        if pod is None or pod.spec.node_name or pod.terminating:
            return
        raw = self._store.get("Pod", namespace, name)
        if raw["spec"].get("schedulerName", SCHEDULER) != SCHEDULER:
            return
        obstacles = {node.name: obstacle(pod, node) for node in self._store.views(Node)}
        fitting = [node for node in self._store.views(Node) if not obstacles[node.name]]
        if not fitting:
            self._refuse(pod, unschedulable(obstacles.values()))
            return
        self._bind(pod, choose(fitting, *self._counts(raw, fitting)).name)

    def _counts(self, raw: Raw, nodes: Sequence[Node]) -> tuple[Counter[str], dict[str, int]]:
        """Pods on each node that stay: those of the same owner, and all."""
        owner = controller_of(raw)
        siblings = self._store.indexed("owner", owner["uid"]) if owner else ()
        pods = [pod for pod in siblings if pod["kind"] == "Pod" and _stays(pod)]
        owned = Counter(pod["spec"].get("nodeName", "") for pod in pods)
        load = {node.name: sum(map(_stays, self._store.indexed("node", node.name))) for node in nodes}
        return owned, load

    def _bind(self, pod: Pod, node: str) -> None:
        def change(raw: Raw) -> None:
            raw["spec"]["nodeName"] = node
            _set_condition(raw, {"type": "PodScheduled", "status": "True"}, timestamp(self._store.now()))

        self._store.update("Pod", pod.namespace, pod.name, change)

    def _refuse(self, pod: Pod, message: str) -> None:
        condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}
        now = timestamp(self._store.now())
        self._store.update("Pod", pod.namespace, pod.name, lambda raw: _set_condition(raw, condition, now))


def _set_condition(raw: Raw, wanted: Raw, now: str) -> None:
    """Put a condition in place of the one of its type; its time changes with its status only."""
    conditions = raw.setdefault("status", {}).setdefault("conditions", [])
    before = next((c for c in conditions if c["type"] == wanted["type"]), None)
    since = before["lastTransitionTime"] if before and before["status"] == wanted["status"] else now
    new = {**wanted, "lastTransitionTime": since}
    if before is None:
        conditions.append(new)
    else:
        conditions[conditions.index(before)] = new


def _decisive(node: Raw) -> tuple[object, ...]:
    """What of a node decides which pods it can take."""
    conditions = node.get("status", {}).get("conditions", ())
    ready = [c["status"] for c in conditions if c["type"] == "Ready"]
    return node["metadata"].get("labels"), node.get("spec", {}).get("unschedulable"), ready


def _stays(pod: Raw) -> bool:
    return "deletionTimestamp" not in pod["metadata"]


def _key(raw: Raw) -> str:
    return f"{raw['metadata']['namespace']}/{raw['metadata']['name']}"
