"""The next steps of a StatefulSet, as plain values: which pods to make, which to delete.

    pods, ordinals, policy ──> steps, in order; under OrderedReady at most one of them needs a pod to change first

Source: updateStatefulSet, processReplica, processCondemned in
kubernetes/pkg/controller/statefulset/stateful_set_control.go of v1.34.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec

from labkit.workloads import pods
from labkit.workloads.statefulsets import identity

Raw = dict[str, Any]


class Step(msgspec.Struct, frozen=True):
    """One thing to do with the pod of an ordinal. For `create`: whether from the newest template."""

    do: Literal["create", "delete", "recreate"]
    ordinal: int
    newest: bool = True


class Situation(msgspec.Struct, frozen=True):
    """What there is: pods by ordinal, and which of them are available. `update` names the newest revision."""

    sts: Raw
    pods: Mapping[int, Raw]
    available: frozenset[int]
    update: str

    @property
    def ordered(self) -> bool:
        return bool(self.sts["spec"].get("podManagementPolicy", "OrderedReady") == "OrderedReady")

    @property
    def strategy(self) -> str:
        found: str = self.sts["spec"].get("updateStrategy", {}).get("type", "RollingUpdate")
        return found

    @property
    def partition(self) -> int:
        """The first ordinal, counted from the start, that an update replaces."""
        found: int = self.sts["spec"].get("updateStrategy", {}).get("rollingUpdate", {}).get("partition", 0)
        return found


def steps(now: Situation) -> list[Step]:
    """What to do now; later steps follow when the pods have changed."""
    found, waiting = _replicas(now)
    if waiting:
        return found
    gone, waiting = _condemned(now)
    found += gone
    if waiting or now.strategy == "OnDelete":
        return found
    return found + _update(now)


def _replicas(now: Situation) -> tuple[list[Step], bool]:
    """Pods that are missing or have ended, lowest ordinal first; whether to wait before anything else is done."""
    found: list[Step] = []
    wanted = identity.ordinals(now.sts)
    for number in wanted:
        pod = now.pods.get(number)
        if pod is None:
            old = now.strategy == "RollingUpdate" and number < wanted.start + now.partition
            found.append(Step("create", number, newest=not old))
        elif pods.has_ended(pod):
            if not pods.is_terminating(pod):
                found.append(Step("recreate", number))
            return found, True
        elif not now.ordered or (number in now.available and not pods.is_terminating(pod)):
            continue
        if now.ordered:
            return found, True
    return found, False


def _condemned(now: Situation) -> tuple[list[Step], bool]:
    """Pods beyond the replicas, highest ordinal first; in order each waits for all others to be healthy."""
    wanted = identity.ordinals(now.sts)
    condemned = sorted((number for number in now.pods if number not in wanted), reverse=True)
    found: list[Step] = []
    for number in condemned:
        if pods.is_terminating(now.pods[number]):
            if now.ordered:
                return found, True
            continue
        if now.ordered and number not in now.available and number != _first_unhealthy(now):
            return found, True
        found.append(Step("delete", number))
        if now.ordered:
            return found, True
    return found, False


def _first_unhealthy(now: Situation) -> int | None:
    return min((number for number in now.pods if not _healthy(now.pods[number])), default=None)


def _update(now: Situation) -> list[Step]:
    """The pod to replace by one of the newest revision: the highest first, one after the other."""
    wanted = identity.ordinals(now.sts)
    for number in reversed(wanted[now.partition :]):
        pod = now.pods.get(number)
        if pod is None:
            return []
        if identity.revision(pod) != now.update and not pods.is_terminating(pod):
            return [Step("delete", number)]
        if number not in now.available or pods.is_terminating(pod):
            return []
    return []


def _healthy(pod: Raw) -> bool:
    return pods.phase(pod) == "Running" and pods.is_ready(pod) and not pods.is_terminating(pod)


def counts(sts: Raw, found: Sequence[Raw], available: int, current: str, update: str) -> dict[str, Any]:
    """The numbers of the status."""
    alive = [pod for pod in found if not pods.is_terminating(pod)]
    status = {
        "observedGeneration": sts["metadata"].get("generation", 0),
        "replicas": len(found),
        "readyReplicas": sum(pods.phase(pod) == "Running" and pods.is_ready(pod) for pod in found),
        "currentReplicas": sum(identity.revision(pod) == current for pod in alive),
        "updatedReplicas": sum(identity.revision(pod) == update for pod in alive),
        "currentRevision": current,
        "updateRevision": update,
        "collisionCount": 0,
        "availableReplicas": available,
    }
    return {name: value for name, value in status.items() if value or name in SHOWN}


SHOWN = ("availableReplicas", "collisionCount", "replicas")
"""Fields that the API writes even where they are 0."""
