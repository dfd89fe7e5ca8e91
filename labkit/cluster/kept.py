"""A cluster that comes back: its objects are there, none of its processes is.

As after a power cut: nodes register anew, pods are started anew where they were, and what ended stays ended. Source:
kubelet after a reboot (pkg/kubelet/status, nodeshutdown for what is not to be started again).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from labkit.control.store import Raw, Store, key_of

FILE = "state.db"
ENDED = ("Succeeded", "Failed")
NOT_AGAIN = {
    "phase": "Failed",
    "reason": "Terminated",
    "message": "Pod was terminated in response to imminent node shutdown.",
}
"""Of a pod that ran and is never to be restarted."""


def restore(store: Store, folder: str, synchronous: str) -> None:
    """Fill the store from the file in a folder, and keep it there. Raises `StateError`."""
    from labkit.control.keep import Keep  # SQLite: only for labs that are kept

    store.restore(Keep(Path(folder) / FILE, "FULL" if synchronous == "FULL" else "NORMAL"))


def missing(store: Store, objects: Iterable[Raw]) -> list[Raw]:
    """Those of a cluster's own objects that it has not, or has no more."""
    return [raw for raw in objects if store.find(*key_of(raw)) is None]


def resume(store: Store, nodes: Mapping[str, Raw]) -> None:
    """Bring the restored objects in line with the nodes that there are, by name, as they register."""
    with store.transaction():
        for raw in store.list("Node"):
            if raw["metadata"]["name"] not in nodes:
                store.delete("Node", "", raw["metadata"]["name"])
        for name, node in nodes.items():
            if store.find("Node", "", name) is None:
                store.create(node)
            else:
                store.update("Node", "", name, lambda raw, node=node: _register(raw, node))  # type: ignore[misc]
        for pod in store.list("Pod"):
            _resume(store, pod, nodes)


def _register(raw: Raw, node: Raw) -> None:
    raw["metadata"]["labels"] = {**raw["metadata"].get("labels", {}), **node["metadata"]["labels"]}
    raw["spec"] |= node["spec"]
    raw["status"] = node["status"]


def _resume(store: Store, pod: Raw, nodes: Mapping[str, Raw]) -> None:
    kind, namespace, name = key_of(pod)
    node = pod["spec"].get("nodeName")
    if not node:
        return
    if "deletionTimestamp" in pod["metadata"]:
        store.finalize(kind, namespace, name)
    elif node not in nodes:
        store.delete(kind, namespace, name, grace=0)
    elif pod.get("status", {}).get("phase") not in ENDED:
        store.update(kind, namespace, name, _reset)


def _reset(pod: Raw) -> None:
    """The status of a pod that was bound and of which nothing runs."""
    status = pod.get("status", {})
    if status.get("phase") == "Running" and pod["spec"].get("restartPolicy") == "Never":
        pod["status"] = {**status, **NOT_AGAIN, "conditions": [_not_ready(c) for c in status.get("conditions", [])]}
        return
    bound = [c for c in status.get("conditions", []) if c["type"] == "PodScheduled"]
    kept = {name: status[name] for name in ("qosClass", "nominatedNodeName") if name in status}
    pod["status"] = {**kept, "phase": "Pending", "conditions": bound}


def _not_ready(condition: Raw) -> Raw:
    return {**condition, "status": "False"} if condition["type"] in ("Ready", "ContainersReady") else condition
