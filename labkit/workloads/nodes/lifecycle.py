"""Nodes that fall silent: their conditions become Unknown, they are tainted, their pods are no longer ready.

    Lease not renewed for the grace period -> Ready Unknown -> taints -> TaintEviction
                                                  └-> Ready False of its pods -> endpoints

Source: kubernetes/pkg/controller/nodelifecycle/node_lifecycle_controller.go of v1.34.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from labkit.control import conditions
from labkit.control.deletion import timestamp
from labkit.control.recorder import Recorder
from labkit.control.store import Raw, Store, key_of
from labkit.control.watch import Event
from labkit.workloads.nodes.pace import Pace
from labkit.workloads.nodes.taints import wanted
from labkit.workloads.pods import condition, is_ready

LEASES = "kube-node-lease"
MONITORED = ("Ready", "MemoryPressure", "DiskPressure", "PIDPressure")


class NodeLifecycle:
    """Watches over nodes. Keys are names of nodes.

    A node that seems silent gets a second look a renewal later: where this process was held up itself, the renewals
    that came meanwhile are seen by then.
    """

    name = "node-lifecycle"
    kinds = frozenset({"Lease", "Node"})

    def __init__(self, store: Store, pace: Pace) -> None:
        self._store = store
        self._pace = pace
        self._recorder = Recorder(store, "node-controller")
        self._known: set[str] = set()
        self._doubted: set[str] = set()

    def keys(self, event: Event) -> Iterable[str]:
        metadata = event.object["metadata"]
        if event.object["kind"] == "Lease" and metadata["namespace"] != LEASES:
            return []
        return [metadata["name"]]

    def reconcile(self, key: str) -> float | None:
        """Judge a node by its lease. Returns when to look again."""
        node = self._store.find("Node", "", key)
        if node is None:
            self._known.discard(key)
            self._doubted.discard(key)
            return None
        if key not in self._known:
            self._known.add(key)
            said = f"Node {key} event: Registered Node {key} in Controller"
            self._recorder.event(node, "Normal", "RegisteredNode", said)
        silent = self._silence(node)
        left = self._pace.grace - silent
        if left > 0:
            self._doubted.discard(key)
        elif key not in self._doubted:
            self._doubted.add(key)
            return self._pace.renewal
        else:
            node, left = self._give_up(node), self._pace.grace
        self._taint(node)
        if condition(node, "Ready").get("status") not in (None, "True"):
            self._unready(key)
        return left

    def _silence(self, node: Raw) -> float:
        """Seconds since the node was heard of."""
        lease = self._store.find("Lease", LEASES, node["metadata"]["name"])
        heard = (lease or {}).get("spec", {}).get("renewTime") or node["metadata"]["creationTimestamp"]
        return (self._store.now() - datetime.fromisoformat(heard)).total_seconds()

    def _give_up(self, node: Raw) -> Raw:
        """All that the node has said of itself is unknown now."""
        before = {c["type"]: c for c in node.get("status", {}).get("conditions", ())}
        lost = [
            conditions.make(kind, "Unknown", "NodeStatusUnknown", "Kubelet stopped posting node status.")
            if kind in before
            else conditions.make(kind, "Unknown", "NodeStatusNeverUpdated", "Kubelet never posted node status.")
            for kind in MONITORED
            if before.get(kind, {}).get("status") != "Unknown"
        ]
        if not lost:
            return node
        if "Ready" in (c["type"] for c in lost):
            name = node["metadata"]["name"]
            self._recorder.event(node, "Normal", "NodeNotReady", f"Node {name} status is now: NodeNotReady")

        return conditions.write(self._store, node, *lost)

    def _taint(self, node: Raw) -> None:
        taints = wanted(node, timestamp(self._store.now()))

        def change(raw: Raw) -> None:
            raw.setdefault("spec", {})["taints"] = taints
            if not taints:
                del raw["spec"]["taints"]

        if taints != node.get("spec", {}).get("taints", []):
            self._store.update(*key_of(node), change)

    def _unready(self, node: str) -> None:
        """Take the node's pods out of service."""
        for pod in self._store.indexed("node", node):
            if is_ready(pod):
                conditions.write(self._store, pod, {**condition(pod, "Ready"), "status": "False"})
                self._recorder.event(pod, "Warning", "NodeNotReady", "Node is not ready")
