"""Whether a workload or node is as it was asked to be, by its status alone. Pure."""

from __future__ import annotations

from collections.abc import Callable

from labkit.control.store import Raw
from labkit.workloads.pods import condition


def missing(raw: Raw) -> str:
    """What an object's status lacks, in one sentence; empty where nothing, or where a kind has nothing to wait for."""
    check = CHECKS.get(raw["kind"])
    if check is None:
        return ""
    current = raw.get("status", {}).get("observedGeneration", 0) >= raw["metadata"].get("generation", 0)
    if not current and raw["kind"] not in UNCOUNTED:
        return f"{raw['metadata']['name']} has not been looked at yet"
    return check(raw)


def labels(raw: Raw) -> dict[str, str]:
    found: dict[str, str] = raw["metadata"].get("labels", {})
    return found


def _replicas(raw: Raw) -> str:
    status, wanted = raw.get("status", {}), raw["spec"].get("replicas", 1)
    updated = status.get("updatedReplicas", 0) if raw["kind"] == "Deployment" else status.get("replicas", 0)
    available = status.get("availableReplicas", 0)
    if status.get("replicas", 0) == updated == available == wanted:
        return ""
    return f"{raw['metadata']['name']} has {available} of {wanted} pods available"


def _stateful(raw: Raw) -> str:
    """Every pod is available, and of the newest revision where the update strategy replaces it."""
    strategy = raw["spec"].get("updateStrategy", {})
    wanted, status = raw["spec"].get("replicas", 1), raw.get("status", {})
    if short := _replicas(raw):
        return short
    rolling = max(0, wanted - strategy.get("rollingUpdate", {}).get("partition", 0))
    updated = status.get("updatedReplicas", 0)
    if strategy.get("type") == "OnDelete" or updated >= rolling:
        return ""
    return f"{raw['metadata']['name']} has {updated} of {rolling} pods updated"


def _daemons(raw: Raw) -> str:
    status, name = raw["status"], raw["metadata"]["name"]
    wanted, available = status["desiredNumberScheduled"], status.get("numberAvailable", 0)
    if available < wanted:
        return f"{name} has {available} of {wanted} pods available"
    updated = status.get("updatedNumberScheduled", 0)
    if updated < wanted and raw["spec"].get("updateStrategy", {}).get("type") != "OnDelete":
        return f"{name} has {updated} of {wanted} pods updated"
    return ""


def _job(raw: Raw) -> str:
    name = raw["metadata"]["name"]
    if condition(raw, "Complete").get("status") == "True":
        return ""
    for kind in ("Failed", "Suspended"):
        found = condition(raw, kind)
        if found.get("status") == "True":
            return f"{name} is {kind.lower()}: {found.get('message', '')}"
    succeeded, wanted = raw.get("status", {}).get("succeeded", 0), raw["spec"].get("completions", 1)
    return f"{name} has {succeeded} of {wanted} completions"


def _node(raw: Raw) -> str:
    ready = condition(raw, "Ready")
    if ready.get("status") == "True":
        return ""
    return f"node {raw['metadata']['name']} is not ready: {ready.get('message') or 'it has not reported'}"


CHECKS: dict[str, Callable[[Raw], str]] = {
    "DaemonSet": _daemons,
    "Deployment": _replicas,
    "Job": _job,
    "Node": _node,
    "ReplicaSet": _replicas,
    "StatefulSet": _stateful,
}
UNCOUNTED = ("Job", "Node")
"""Kinds whose status does not say which generation it is about."""
