"""What a PodDisruptionBudget allows: how many of its pods are healthy, how many have to be.

Source: kubernetes/pkg/controller/disruption/disruption.go (getExpectedPodCount, countHealthyPods, updatePdbStatus) of
v1.34.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec

from labkit.api import selectors
from labkit.control import conditions
from labkit.control.deletion import timestamp
from labkit.workloads import pods
from labkit.workloads.rollout import share

Raw = dict[str, Any]

MEMORY = timedelta(minutes=2)
"""How long an evicted pod is remembered that is still there (DeletionTimeout)."""


def covers(pdb: Raw, pod: Raw) -> bool:
    """Whether a budget is about a pod: one of its namespace that it selects; an empty selector selects all of them."""
    here, labels = pdb["metadata"]["namespace"], pod["metadata"].get("labels", {})
    return bool(pod["metadata"]["namespace"] == here) and selectors.matches(pdb["spec"].get("selector"), labels)


class Expected(msgspec.Struct, frozen=True):
    """`pods`: how many the budget is about; `healthy`: how many of them have to be."""

    pods: int
    healthy: int


def expected(pdb: Raw, found: Sequence[Raw], scale: Callable[[], int]) -> Expected:
    """scale: the replicas of all that control these pods; raises `ValueError` where something has none."""
    spec = pdb["spec"]
    if "maxUnavailable" in spec:
        total = scale()
        return Expected(total, max(0, total - share(spec["maxUnavailable"], total, up=True)))
    least = spec.get("minAvailable", 1)
    if isinstance(least, int):
        return Expected(len(found), least)
    total = scale()
    return Expected(total, share(least, total, up=True))


def new_status(pdb: Raw, found: Sequence[Raw], wanted: Expected, now: datetime) -> tuple[Raw, float | None]:
    """The status, and in how many seconds a remembered eviction is forgotten."""
    disrupted, again = _remembered(pdb, found, now)
    healthy = sum(
        pods.is_ready(pod) and not pods.is_terminating(pod) and pod["metadata"]["name"] not in disrupted
        for pod in found
    )
    allowed = max(0, healthy - wanted.healthy) if wanted.pods else 0
    word, status = ("SufficientPods", "True") if allowed else ("InsufficientPods", "False")
    condition = {
        **conditions.make("DisruptionAllowed", status, word),
        "message": "",
        "observedGeneration": pdb["metadata"].get("generation", 0),
    }
    before = pdb.get("status", {}).get("conditions", ())
    new: Raw = {
        "conditions": conditions.merged(before, [condition], timestamp(now)),
        "currentHealthy": healthy,
        "desiredHealthy": wanted.healthy,
        "disruptionsAllowed": allowed,
        "expectedPods": wanted.pods,
        "observedGeneration": pdb["metadata"].get("generation", 0),
    }
    return {**new, **({"disruptedPods": disrupted} if disrupted else {})}, again


def failed_status(pdb: Raw, why: str, now: datetime) -> Raw:
    """The status where the pods cannot be counted: nothing may be disrupted."""
    condition = {
        **conditions.make("DisruptionAllowed", "False", "SyncFailed", why),
        "observedGeneration": pdb["metadata"].get("generation", 0),
    }
    status = {"currentHealthy": 0, "desiredHealthy": 0, "expectedPods": 0, **pdb.get("status", {})}
    merged = conditions.merged(status.get("conditions", ()), [condition], timestamp(now))
    return {**status, "conditions": merged, "disruptionsAllowed": 0}


def _remembered(pdb: Raw, found: Sequence[Raw], now: datetime) -> tuple[dict[str, str], float | None]:
    """Pods whose eviction was allowed and has not begun yet, with its time."""
    alive = {pod["metadata"]["name"] for pod in found if not pods.is_terminating(pod)}
    left: dict[str, float] = {}
    kept: dict[str, str] = {}
    for name, time in pdb.get("status", {}).get("disruptedPods", {}).items():
        seconds = (datetime.fromisoformat(time) + MEMORY - now).total_seconds()
        if name in alive and seconds > 0:
            kept[name], left[name] = time, seconds
    return kept, min(left.values(), default=None)
