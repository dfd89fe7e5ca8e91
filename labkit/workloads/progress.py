"""The status of a Deployment: counts over its ReplicaSets, and the conditions Available, Progressing, ReplicaFailure.

Source: kubernetes/pkg/controller/deployment/sync.go (calculateStatus, checkPausedConditions), progress.go
(syncRolloutStatus), util/deployment_util.go of v1.34.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Literal

from labkit.api.objects import DeploymentSpec
from labkit.control import conditions
from labkit.control.deletion import timestamp
from labkit.workloads.pods import condition
from labkit.workloads.rollout import bounds

Raw = dict[str, Any]
News = Literal["", "NewReplicaSetCreated", "FoundNewReplicaSet"]

NO_DEADLINE = 2**31 - 1
UPDATED = "lastUpdateTime"


def new_status(raw: Raw, spec: DeploymentSpec, sets: Sequence[Raw], newest: str, news: News, now: datetime) -> Raw:
    """The status of a Deployment that has these ReplicaSets.

    newest: the name of its template's own one, empty where there is none; news: what has happened to that one.
    """
    counts = _counts(raw, sets, newest)
    before = raw.get("status", {}).get("conditions", [])
    _, unavailable = bounds(spec)
    enough = counts["availableReplicas"] >= spec.replicas - unavailable
    found = conditions.merged(before, [_availability(enough)], timestamp(now), UPDATED)
    found = [c for c in found if c["type"] != "ReplicaFailure"]
    if failed := next((c for rs in sets if (c := condition(rs, "ReplicaFailure"))), None):
        found = conditions.merged([*found, *_of(before, "ReplicaFailure")], [_texts(failed)], timestamp(now), UPDATED)
    if deadline(raw) is None:
        found = [c for c in found if c["type"] != "Progressing"]
    else:
        found = _with_progress(raw, spec, counts, newest, news, found, now)
    return {**{name: count for name, count in counts.items() if count}, "conditions": found}


def deadline(raw: Raw) -> int | None:
    seconds: int = raw["spec"].get("progressDeadlineSeconds", NO_DEADLINE)
    return None if seconds == NO_DEADLINE else seconds


def check_in(raw: Raw, now: datetime) -> float | None:
    """In how many seconds a rollout that makes no progress is late; None where none is under way."""
    progressing, seconds = condition(raw, "Progressing"), deadline(raw)
    idle = progressing.get("reason") in (None, "NewReplicaSetAvailable", "ProgressDeadlineExceeded", "DeploymentPaused")
    if seconds is None or idle:
        return None
    due = datetime.fromisoformat(progressing[UPDATED]) + timedelta(seconds=seconds)
    return max(0.0, (due - now).total_seconds()) + 1  # its time is in whole seconds


def _counts(raw: Raw, sets: Sequence[Raw], newest: str) -> dict[str, int]:
    def total(field: str, among: Sequence[Raw] = sets) -> int:
        return sum(rs.get("status", {}).get(field, 0) for rs in among)

    available = total("availableReplicas")
    return {
        "observedGeneration": raw["metadata"].get("generation", 0),
        "replicas": total("replicas"),
        "updatedReplicas": total("replicas", [rs for rs in sets if rs["metadata"]["name"] == newest]),
        "readyReplicas": total("readyReplicas"),
        "availableReplicas": available,
        "unavailableReplicas": max(0, sum(rs["spec"]["replicas"] for rs in sets) - available),
    }


def _availability(enough: bool) -> Raw:
    if enough:
        return conditions.make("Available", "True", "MinimumReplicasAvailable", "Deployment has minimum availability.")
    message = "Deployment does not have minimum availability."
    return conditions.make("Available", "False", "MinimumReplicasUnavailable", message)


def _with_progress(
    raw: Raw, spec: DeploymentSpec, counts: dict[str, int], newest: str, news: News, found: list[Raw], now: datetime
) -> list[Raw]:
    before = condition(raw, "Progressing")
    wanted = _progress(raw, spec, counts, newest, news, now)
    if wanted is None:
        return found
    if wanted["reason"] == "ReplicaSetUpdated":  # each step counts anew, though the words stay
        found = [{**c, "message": ""} if c["type"] == "Progressing" else c for c in found]
    elif before.get("reason") == wanted["reason"] == "ProgressDeadlineExceeded":
        return found
    return conditions.merged(found, [wanted], timestamp(now), UPDATED)


def _progress(
    raw: Raw, spec: DeploymentSpec, counts: dict[str, int], newest: str, news: News, now: datetime
) -> Raw | None:
    """The new condition Progressing; None where it stays as it is."""
    before = condition(raw, "Progressing")
    reason = before.get("reason")
    if spec.paused:
        late = reason in ("DeploymentPaused", "ProgressDeadlineExceeded")
        paused = conditions.make("Progressing", "Unknown", "DeploymentPaused", "Deployment is paused")
        return None if late else paused
    if reason == "DeploymentPaused":
        return conditions.make("Progressing", "Unknown", "DeploymentResumed", "Deployment is resumed")
    if news == "NewReplicaSetCreated":
        return conditions.make("Progressing", "True", news, f'Created new replica set "{newest}"')
    if reason == "NewReplicaSetAvailable" and counts["replicas"] == counts["updatedReplicas"]:
        return None
    if counts["updatedReplicas"] == spec.replicas == counts["replicas"] == counts["availableReplicas"]:
        message = f'ReplicaSet "{newest}" has successfully progressed.'
        return conditions.make("Progressing", "True", "NewReplicaSetAvailable", message)
    if _moved(raw.get("status", {}), counts):
        return conditions.make("Progressing", "True", "ReplicaSetUpdated", f'ReplicaSet "{newest}" is progressing.')
    if before and _late(raw, before, now):
        message = f'ReplicaSet "{newest}" has timed out progressing.'
        return conditions.make("Progressing", "False", "ProgressDeadlineExceeded", message)
    if not before and news:
        return conditions.make("Progressing", "True", news, f'Found new replica set "{newest}"')
    return None


def _moved(old: Raw, counts: dict[str, int]) -> bool:
    """Whether the rollout has come nearer to its end since the old status."""

    def rose(field: str) -> bool:
        return counts[field] > int(old.get(field, 0))

    outdated: int = old.get("replicas", 0) - old.get("updatedReplicas", 0)
    shrank = counts["replicas"] - counts["updatedReplicas"] < outdated
    return rose("updatedReplicas") or shrank or rose("readyReplicas") or rose("availableReplicas")


def _late(raw: Raw, before: Raw, now: datetime) -> bool:
    if before["reason"] == "NewReplicaSetAvailable":
        return False
    if before["reason"] == "ProgressDeadlineExceeded":
        return True
    return datetime.fromisoformat(before[UPDATED]) + timedelta(seconds=deadline(raw) or 0) < now


def _of(found: Sequence[Raw], kind: str) -> list[Raw]:
    return [c for c in found if c["type"] == kind]


def _texts(failed: Raw) -> Raw:
    return conditions.make("ReplicaFailure", failed["status"], failed.get("reason", ""), failed.get("message", ""))
