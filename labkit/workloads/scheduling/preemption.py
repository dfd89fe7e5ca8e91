"""Making room: which pods of lower priority would have to go from which node.

Source: pkg/scheduler/framework/plugins/defaultpreemption, pkg/scheduler/framework/preemption/preemption.go of v1.34.
Left out: PodDisruptionBudgets, which the real one prefers to respect and need not.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from labkit.workloads.pods import is_terminating
from labkit.workloads.scheduling.filters import Obstacle, obstacles
from labkit.workloads.scheduling.pod_affinity import NamespaceLabels, Nodes

Raw = dict[str, Any]


class Room(msgspec.Struct, frozen=True):
    """A node and the pods that have to leave it."""

    node: str
    victims: tuple[Raw, ...]


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


def room(pod: Raw, nodes: Nodes, found: Mapping[str, Obstacle], namespace_labels: NamespaceLabels) -> Room | None:
    """The node where the least is lost: the lowest highest priority, the lowest sum, the fewest pods, by name."""
    possible = [
        Room(name, victims)
        for name in sorted(found)
        if found[name].resolvable and (victims := _victims(pod, name, nodes, namespace_labels))
    ]
    return min(possible, key=_loss, default=None)


def _loss(possible: Room) -> tuple[int, int, int, str]:
    lost = [priority(victim) for victim in possible.victims]
    return max(lost), sum(each + 2**31 for each in lost), len(lost), possible.node


def _victims(pod: Raw, name: str, nodes: Nodes, namespace_labels: NamespaceLabels) -> tuple[Raw, ...]:
    """The fewest pods of lower priority, the most important spared first; none where that does not help."""
    lower = [other for other in nodes[name].pods.values() if priority(other) < priority(pod)]
    lower.sort(key=lambda other: (-priority(other), other["metadata"]["creationTimestamp"], other["metadata"]["name"]))

    def fits(gone: set[str]) -> bool:
        without = {**nodes, name: nodes[name].without(gone)}
        return name not in obstacles(pod, without, namespace_labels)

    gone = {other["metadata"]["uid"] for other in lower}
    if not lower or not fits(gone):
        return ()
    for other in lower:
        if fits(gone - {other["metadata"]["uid"]}):
            gone.discard(other["metadata"]["uid"])
    return tuple(other for other in lower if other["metadata"]["uid"] in gone)
