"""A Job's pods, sorted: what runs, what has ended, since when.

Source: kubernetes/pkg/controller/job/job_controller.go (isPodFailed), backoff_utils.go of v1.34.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from labkit.workloads import pods
from labkit.workloads.jobs.selector import FINALIZER

Raw = dict[str, Any]

FIRST_PAUSE, LONGEST_PAUSE = 10.0, 600.0
"""Seconds before a failed pod is replaced: doubling (DefaultJobPodFailureBackOff, MaxJobPodFailureBackOff)."""


def is_failed(job: Raw, pod: Raw) -> bool:
    """Whether the pod counts as failed: also one that is being deleted, unless replacements wait for its end."""
    if pods.phase(pod) == "Failed":
        return True
    waits = job["spec"].get("podReplacementPolicy") == "Failed"
    return not waits and pods.is_terminating(pod) and pods.phase(pod) != "Succeeded"


def is_tracked(pod: Raw) -> bool:
    """Whether the pod has not been counted yet."""
    return FINALIZER in pod["metadata"].get("finalizers", ())


def ended_at(pod: Raw, now: datetime) -> datetime:
    """When the last container ended; else when the pod was deleted; else now."""
    ends = [
        ended["finishedAt"]
        for status in pod.get("status", {}).get("containerStatuses", ())
        if (ended := status.get("state", {}).get("terminated")) and ended.get("finishedAt")
    ]
    if ends:
        return max(datetime.fromisoformat(end) for end in ends)
    deleted = pod["metadata"].get("deletionTimestamp")
    return min(now, datetime.fromisoformat(deleted)) if deleted else now


def pause(failures: int, last: datetime | None, now: datetime) -> float:
    """Seconds until the next pod may be made, after this many failures in a row."""
    if not failures or last is None:
        return 0.0
    wait: float = min(FIRST_PAUSE * 2 ** min(failures - 1, 30), LONGEST_PAUSE)
    return max(0.0, wait - (now - last).total_seconds())


def restarts(found: Iterable[Raw]) -> int:
    """How often containers of running pods were started again (restartPolicy OnFailure)."""
    counted = [pod for pod in found if pods.phase(pod) in ("Pending", "Running")]
    statuses = [
        status
        for pod in counted
        for field in ("initContainerStatuses", "containerStatuses")
        for status in pod.get("status", {}).get(field, ())
    ]
    return sum(status.get("restartCount", 0) for status in statuses)


def failures_in_a_row(found: Iterable[Raw], now: datetime) -> tuple[int, datetime | None]:
    """How many pods have failed since the last success, and when the last of them did."""
    ends = sorted((ended_at(pod, now), pods.phase(pod) == "Succeeded") for pod in found if pods.has_ended(pod))
    count, last = 0, None
    for end, succeeded in ends:
        count, last = (0, None) if succeeded else (count + 1, end)
    return count, last


def removal_order(active: Sequence[Raw]) -> list[Raw]:
    """Which pods go first where there are too many: without a node, not running, not ready, then the newest."""

    def order(pod: Raw) -> tuple[bool, bool, bool]:
        return bool(pod["spec"].get("nodeName")), pods.phase(pod) == "Running", pods.is_ready(pod)

    newest_first = sorted(active, key=lambda pod: pod["metadata"]["creationTimestamp"], reverse=True)
    return sorted(newest_first, key=order)
