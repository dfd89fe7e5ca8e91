"""The status of a Deployment: counts over its ReplicaSets, and the conditions Available and Progressing.

Source: kubernetes/pkg/controller/deployment/sync.go (calculateStatus), progress.go of v1.34. Left out:
`progressDeadlineSeconds`; a rollout that is stuck stays Progressing here, and its pods say why.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from labkit.api.objects import DeploymentSpec, ReplicaSet
from labkit.control.deletion import timestamp
from labkit.workloads.rollout import bounds

Raw = dict[str, Any]


def new_status(raw: Raw, spec: DeploymentSpec, sets: Sequence[ReplicaSet], newest: str, now: datetime) -> Raw:
    """The status of a Deployment that has these ReplicaSets; `newest` is the name of its template's own one."""
    available = sum(rs.status.available_replicas for rs in sets)
    counts = {
        "observedGeneration": raw["metadata"].get("generation", 0),
        "replicas": sum(rs.status.replicas for rs in sets),
        "updatedReplicas": sum(rs.status.replicas for rs in sets if rs.name == newest),
        "readyReplicas": sum(rs.status.ready_replicas for rs in sets),
        "availableReplicas": available,
        "unavailableReplicas": max(0, sum(rs.spec.replicas for rs in sets) - available),
    }
    _, unavailable = bounds(spec)
    complete = counts["updatedReplicas"] == spec.replicas == counts["replicas"] and available >= spec.replicas
    before = {c["type"]: c for c in raw.get("status", {}).get("conditions", ())}
    wanted = [_availability(available >= spec.replicas - unavailable), _progress(newest, complete, spec.paused)]
    conditions = [_kept(before.get(c["type"]), c, timestamp(now)) for c in wanted if c]
    return {**{name: count for name, count in counts.items() if count}, "conditions": conditions}


def _availability(enough: bool) -> Raw:
    if enough:
        return _condition("Available", "True", "MinimumReplicasAvailable", "Deployment has minimum availability.")
    message = "Deployment does not have minimum availability."
    return _condition("Available", "False", "MinimumReplicasUnavailable", message)


def _progress(newest: str, complete: bool, paused: bool) -> Raw:
    if paused:
        return _condition("Progressing", "Unknown", "DeploymentPaused", "Deployment is paused")
    if complete:
        message = f'ReplicaSet "{newest}" has successfully progressed.'
        return _condition("Progressing", "True", "NewReplicaSetAvailable", message)
    return _condition("Progressing", "True", "ReplicaSetUpdated", f'ReplicaSet "{newest}" is progressing.')


def _condition(kind: str, status: str, reason: str, message: str) -> Raw:
    return {"type": kind, "status": status, "reason": reason, "message": message}


def _kept(before: Raw | None, wanted: Raw, now: str) -> Raw:
    """The condition with its times: as it was where nothing changed."""
    if before and all(before.get(name) == value for name, value in wanted.items()):
        return before
    changed = before is None or before["status"] != wanted["status"]
    since = now if changed or before is None else before["lastTransitionTime"]
    return {**wanted, "lastUpdateTime": now, "lastTransitionTime": since}
