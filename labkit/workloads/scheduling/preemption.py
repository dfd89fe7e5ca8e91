"""Making room: which pods of lower priority would have to go from which node.

Source: pkg/scheduler/framework/plugins/defaultpreemption, pkg/scheduler/framework/preemption/preemption.go of v1.34.
Among equal nodes the real one prefers that of the youngest victims; here the name decides, so that it is certain.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from labkit.workloads.disruption.budget import covers
from labkit.workloads.pods import is_terminating
from labkit.workloads.scheduling.filters import Obstacle, obstacles
from labkit.workloads.scheduling.pod_affinity import NamespaceLabels, Nodes

Raw = dict[str, Any]


class Room(msgspec.Struct, frozen=True):
    """A node and the pods that have to leave it; `broken`: how many of them leave against their budget."""

    node: str
    victims: tuple[Raw, ...]
    broken: int = 0


def priority(pod: Raw) -> int:
    found: int = pod["spec"].get("priority", 0)
    return found


def refusal(pod: Raw, nodes: Nodes) -> str:
    """Why the pod may not make room for itself; empty where it may."""
    if pod["spec"].get("preemptionPolicy") == "Never":
        return "not eligible due to preemptionPolicy=Never."
    nominated = nodes.get(pod.get("status", {}).get("nominatedNodeName", ""))
    if nominated and any(is_terminating(p) and priority(p) < priority(pod) for p in nominated.pods.values()):
        return "not eligible due to a terminating pod on the nominated node."
    return ""


def room(
    pod: Raw,
    nodes: Nodes,
    found: Mapping[str, Obstacle],
    namespace_labels: NamespaceLabels,
    budgets: Sequence[Raw] = (),
) -> Room | None:
    """The node where the least is lost: the fewest budgets broken, the lowest highest priority, the lowest sum, the
    fewest pods, by name.
    """
    possible = [
        room
        for name in sorted(found)
        if found[name].resolvable and (room := _room(pod, name, nodes, namespace_labels, budgets))
    ]
    return min(possible, key=_loss, default=None)


def _loss(possible: Room) -> tuple[int, int, int, int, str]:
    lost = [priority(victim) for victim in possible.victims]
    return possible.broken, max(lost), sum(each + 2**31 for each in lost), len(lost), possible.node


def _room(pod: Raw, name: str, nodes: Nodes, namespace_labels: NamespaceLabels, budgets: Sequence[Raw]) -> Room | None:
    """The fewest pods of lower priority, spared first those whose budget would break, then the most important; None
    where that does not help.
    """
    lower = [other for other in nodes[name].pods.values() if priority(other) < priority(pod)]
    lower.sort(key=lambda other: (-priority(other), other["metadata"]["creationTimestamp"], other["metadata"]["name"]))

    def fits(gone: set[str]) -> bool:
        without = {**nodes, name: nodes[name].without(gone)}
        return name not in obstacles(pod, without, namespace_labels)

    gone = {other["metadata"]["uid"] for other in lower}
    if not lower or not fits(gone):
        return None
    breaking = _breaking(lower, budgets)
    for other in sorted(lower, key=lambda other: other["metadata"]["uid"] not in breaking):
        if fits(gone - {other["metadata"]["uid"]}):
            gone.discard(other["metadata"]["uid"])
    victims = tuple(other for other in lower if other["metadata"]["uid"] in gone)
    return Room(name, victims, len(gone & breaking)) if victims else None


def _breaking(pods: Sequence[Raw], budgets: Sequence[Raw]) -> set[str]:
    """Uids of those pods that would, gone in this order, break a PodDisruptionBudget."""
    left = {index: budget.get("status", {}).get("disruptionsAllowed", 0) for index, budget in enumerate(budgets)}
    broken = set()
    for pod in pods:
        for index, budget in enumerate(budgets):
            counted = pod["metadata"]["name"] in budget.get("status", {}).get("disruptedPods", {})
            if covers(budget, pod) and not counted:
                left[index] -= 1
                if left[index] < 0:
                    broken.add(pod["metadata"]["uid"])
    return broken
