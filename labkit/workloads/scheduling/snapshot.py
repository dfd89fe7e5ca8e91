"""What the scheduler knows of the cluster: its nodes and the pods on them, kept in step with the store.

Source: pkg/scheduler/backend/cache, pkg/scheduler/framework/types.go (NodeInfo) of v1.34. Pods that have ended occupy
nothing; those that are being deleted still do.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from labkit.api import amounts
from labkit.control.store import Store
from labkit.control.watch import Event
from labkit.workloads.ownership import controller_of
from labkit.workloads.pods import has_ended, is_terminating
from labkit.workloads.scheduling.resources import Port, host_ports, requests, whole

Raw = dict[str, Any]


class NodeState:
    """A node with the pods on it, by uid. `raw` is empty while there is no such node.

    allocatable  what there is to give; None for a node that does not say
    requested, ports  what the pods take
    staying  how many of them are not being deleted; those of DaemonSets apart, of which each node has its own
    affine  uids of the pods that care what is near to them
    """

    def __init__(self) -> None:
        self.raw: Raw = {}
        self.allocatable: Counter[str] | None = None
        self.pods: dict[str, Raw] = {}
        self.requested: Counter[str] = Counter()
        self.ports: list[Port] = []
        self.staying = 0
        self.affine: set[str] = set()

    def see(self, raw: Raw) -> None:
        """The node is as this object says."""
        self.raw = raw
        status = raw.get("status", {})
        self.allocatable = whole(amounts.parsed(status["allocatable"])) if "allocatable" in status else None

    def without(self, uids: Iterable[str]) -> NodeState:
        """The node as it would be without these pods."""
        other = NodeState()
        other.raw, other.allocatable = self.raw, self.allocatable
        for uid in self.pods.keys() - set(uids):
            other.put(self.pods[uid])
        return other

    def put(self, pod: Raw) -> None:
        self.take(pod["metadata"]["uid"])
        self.pods[pod["metadata"]["uid"]] = pod
        self._count(pod, 1)

    def take(self, uid: str) -> None:
        if (pod := self.pods.pop(uid, None)) is not None:
            self._count(pod, -1)

    def _count(self, pod: Raw, sign: int) -> None:
        spec = pod["spec"]
        for name, amount in requests(spec).items():
            self.requested[name] += sign * amount
        for port in host_ports(spec):
            if sign > 0:
                self.ports.append(port)
            else:
                self.ports.remove(port)
        self.staying += 0 if is_terminating(pod) or _is_daemon(pod) else sign
        uid = pod["metadata"]["uid"]
        if sign > 0 and (spec.get("affinity") or {}).keys() & {"podAffinity", "podAntiAffinity"}:
            self.affine.add(uid)
        else:
            self.affine.discard(uid)


def _is_daemon(pod: Raw) -> bool:
    return any(ref["kind"] == "DaemonSet" for ref in pod["metadata"].get("ownerReferences", ()))


class Snapshot:
    """Nodes by name, and how many pods of one owner each node has."""

    def __init__(self, store: Store) -> None:
        self._nodes: dict[str, NodeState] = {}
        self._where: dict[str, str] = {}
        self._owned: dict[str, Counter[str]] = {}
        store.watch(["Node", "Pod"], self._heard)

    def nodes(self) -> dict[str, NodeState]:
        """The nodes that exist, in order of their names."""
        return {name: self._nodes[name] for name in sorted(self._nodes) if self._nodes[name].raw}

    def node(self, name: str) -> NodeState:
        return self._nodes.setdefault(name, NodeState())

    def owned(self, owner: str) -> Counter[str]:
        """Pods by node that belong to the owner of this uid and stay."""
        return self._owned.get(owner, Counter())

    def _heard(self, event: Event) -> None:
        raw = event.object
        if raw["kind"] == "Node":
            self.node(raw["metadata"]["name"]).see({} if event.type == "DELETED" else raw)
            return
        uid, name = raw["metadata"]["uid"], raw["spec"].get("nodeName", "")
        here = bool(name) and event.type != "DELETED" and not has_ended(raw)
        place = self._where.get(uid)
        if place is not None:
            before = self._nodes[place].pods[uid]
            if here and is_terminating(before) == is_terminating(raw):
                self._nodes[place].pods[uid] = raw  # what a pod on a node occupies does not change
                return
            self._own(before, place, -1)
            self._nodes[place].take(uid)
            del self._where[uid]
        if here:
            self._where[uid] = name
            self.node(name).put(raw)
            self._own(raw, name, 1)

    def _own(self, pod: Raw, node: str, sign: int) -> None:
        owner = controller_of(pod)
        if owner is None or is_terminating(pod):
            return
        counts = self._owned.setdefault(owner["uid"], Counter())
        counts[node] += sign
        if not counts[node]:
            del counts[node]
        if not counts:
            del self._owned[owner["uid"]]
