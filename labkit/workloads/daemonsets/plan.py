"""The next step of a DaemonSet, as plain values: nodes that need a pod, pods that have to go.

    nodes, pods, revision ──> manage: one pod per node  ──> update: old pods go, as many at once as the strategy allows

Source: pkg/controller/daemon/daemon_controller.go (podsShouldBeOnNode), update.go (rollingUpdate) of v1.34.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from labkit.workloads import pods
from labkit.workloads.revisions import REVISION_LABEL
from labkit.workloads.rollout import share

Raw = dict[str, Any]


class Node(msgspec.Struct, frozen=True):
    """A node: whether it should get a pod, whether one may stay, and which are there (the oldest first)."""

    name: str
    wanted: bool
    allowed: bool
    pods: tuple[Raw, ...] = ()


class Plan(msgspec.Struct, frozen=True):
    create: tuple[str, ...] = ()
    delete: tuple[Raw, ...] = ()


class Update(msgspec.Struct, frozen=True):
    """How a DaemonSet rolls: in pods, with the hash of the newest template and what makes a pod available."""

    digest: str
    surge: int
    unavailable: int
    available: Callable[[Raw], bool]

    def is_new(self, pod: Raw) -> bool:
        return bool(pod["metadata"].get("labels", {}).get(REVISION_LABEL) == self.digest)


def limits(ds: Raw, desired: int) -> tuple[int, int]:
    """(maxSurge, maxUnavailable) in pods, for as many as are desired; percentages are rounded up."""
    rolling = ds["spec"].get("updateStrategy", {}).get("rollingUpdate", {})
    surge = share(rolling.get("maxSurge", 0), desired, up=True)
    unavailable = share(rolling.get("maxUnavailable", 1), desired, up=True)
    return surge, unavailable if surge or unavailable else 1


def manage(nodes: Sequence[Node], update: Update) -> Plan:
    """One pod for each node that should have one, none elsewhere. Pods that have ended are replaced."""
    create: list[str] = []
    delete: list[Raw] = []
    for node in nodes:
        if node.wanted and not node.pods:
            create.append(node.name)
        elif not node.allowed:
            delete += [pod for pod in node.pods if not pods.is_terminating(pod)]
        else:
            alive = [pod for pod in node.pods if not pods.is_terminating(pod)]
            delete += [pod for pod in alive if pods.has_ended(pod)]
            delete += _surplus([pod for pod in alive if not pods.has_ended(pod)], update)
    return Plan(tuple(create), tuple(delete))


def roll(nodes: Sequence[Node], update: Update) -> Plan:
    """The next pods that the newest template replaces."""
    wanted = [node for node in nodes if node.wanted]
    return _surging(wanted, update) if update.surge else _replacing(wanted, update)


def _surplus(alive: Sequence[Raw], update: Update) -> Sequence[Raw]:
    """What is too much on one node: all but the oldest; during a surge one old pod stays beside one new one."""
    if not update.surge:
        return alive[1:]
    new = [pod for pod in alive if update.is_new(pod)]
    old = [pod for pod in alive if not update.is_new(pod)]
    if new and update.available(new[0]):
        return [*old, *new[1:]]
    return [*old[1:], *new[1:]]


def _replacing(nodes: Sequence[Node], update: Update) -> Plan:
    """Old pods that are unavailable go at once, others while fewer than `unavailable` nodes are without one."""
    down, broken, candidates = 0, [], []
    for node in nodes:
        pod = _only(node)
        if pod is None or (update.is_new(pod) and not update.available(pod)):
            down += 1
        elif not update.is_new(pod) and not update.available(pod):
            broken.append(pod)
            down += 1
        elif not update.is_new(pod):
            candidates.append(pod)
    return Plan(delete=(*broken, *candidates[: max(0, update.unavailable - down)]))


def _surging(nodes: Sequence[Node], update: Update) -> Plan:
    """New pods come beside old ones that are available, on at most `surge` nodes; the old go when they are there."""
    at_once: list[str] = []
    candidates: list[str] = []
    delete: list[Raw] = []
    surging = 0
    for node in nodes:
        alive = [pod for pod in node.pods if not pods.is_terminating(pod)]
        old = next((pod for pod in alive if not update.is_new(pod)), None)
        new = next((pod for pod in alive if update.is_new(pod)), None)
        if old is None:
            continue
        if new is None:
            (candidates if update.available(old) else at_once).append(node.name)
            continue
        surging += 1
        if update.available(new) or not update.available(old):
            delete.append(old)
    return Plan((*at_once, *candidates[: max(0, update.surge - surging)]), tuple(delete))


def _only(node: Node) -> Raw | None:
    """The one pod that serves a node; None while it is on its way out or in."""
    alive = [pod for pod in node.pods if not pods.is_terminating(pod)]
    return alive[0] if len(alive) == 1 == len(node.pods) else None


def counts(ds: Raw, nodes: Sequence[Node], update: Update) -> Mapping[str, int]:
    """The status."""
    serving = [node.pods[0] for node in nodes if node.wanted and node.pods]
    desired = sum(node.wanted for node in nodes)
    available = sum(update.available(pod) for pod in serving)
    status = {
        "currentNumberScheduled": len(serving),
        "numberMisscheduled": sum(bool(node.pods) and not node.wanted for node in nodes),
        "desiredNumberScheduled": desired,
        "numberReady": sum(pods.is_ready(pod) for pod in serving),
        "observedGeneration": ds["metadata"].get("generation", 0),
        "updatedNumberScheduled": sum(update.is_new(pod) for pod in serving),
        "numberAvailable": available,
        "numberUnavailable": desired - available,
    }
    return {name: count for name, count in status.items() if count or name in SHOWN}


SHOWN = ("currentNumberScheduled", "numberMisscheduled", "desiredNumberScheduled", "numberReady")
"""Fields that the API writes even where they are 0."""
