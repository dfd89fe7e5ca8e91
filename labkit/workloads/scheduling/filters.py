"""Which nodes can take a pod, and why the others cannot, in the scheduler's words.

Each node is asked in the order of the real plugins; the first that objects has the say.
Source: pkg/scheduler/framework/plugins (nodeunschedulable, tainttoleration, nodeaffinity, nodeports, noderesources/fit,
podtopologyspread, interpodaffinity) of v1.34.
"""

from __future__ import annotations

from typing import Any

import msgspec

from labkit.workloads.scheduling import node_affinity, resources, spread, taints
from labkit.workloads.scheduling.pod_affinity import NamespaceLabels, Nodes, PodAffinity
from labkit.workloads.scheduling.snapshot import NodeState

Raw = dict[str, Any]

UNSCHEDULABLE = "node(s) were unschedulable"
AFFINITY = "node(s) didn't match Pod's node affinity/selector"
PORTS = "node(s) didn't have free ports for the requested pod ports"


class Obstacle(msgspec.Struct, frozen=True):
    """Why a node cannot take a pod; `resolvable` where it could if other pods went."""

    reasons: tuple[str, ...]
    resolvable: bool = False


def obstacles(pod: Raw, nodes: Nodes, namespace_labels: NamespaceLabels) -> dict[str, Obstacle]:
    """The nodes that cannot take the pod; all others can."""
    found: dict[str, Obstacle] = {}
    wanted = resources.requests(pod["spec"])
    spread_obstacle = spread.obstacle(pod, nodes)
    affinity = PodAffinity(pod, nodes, namespace_labels)
    for name, state in nodes.items():
        if obstacle := by_node(pod, state.raw) or _by_room(pod, wanted, state):
            found[name] = obstacle
            continue
        for reason, resolvable in (spread_obstacle(state), affinity.obstacle(state)):
            if reason:
                found[name] = Obstacle((reason,), resolvable)
                break
    return found


def by_node(pod: Raw, node: Raw) -> Obstacle | None:
    """What the node itself has against the pod, whatever else is on it."""
    tolerations = pod["spec"].get("tolerations", ())
    if node.get("spec", {}).get("unschedulable") and not _tolerates_cordon(tolerations):
        return Obstacle((UNSCHEDULABLE,))
    if taint := taints.untolerated(node, tolerations):
        return Obstacle((f"node(s) had untolerated taint {{{taint['key']}: {taint.get('value', '')}}}",))
    if not node_affinity.matches(pod["spec"], node):
        return Obstacle((AFFINITY,))
    return None


def _by_room(pod: Raw, wanted: dict[str, int], state: NodeState) -> Obstacle | None:
    """Ports that are taken, and resources that do not suffice."""
    ports = resources.host_ports(pod["spec"])
    if ports and resources.clash(ports, state.ports):
        return Obstacle((PORTS,), resolvable=True)
    if state.allocatable is None:
        return None
    reasons, resolvable = [], True
    if "pods" in state.allocatable and len(state.pods) + 1 > state.allocatable["pods"]:
        reasons.append("Too many pods")
    for resource, amount in wanted.items():
        if amount > state.allocatable[resource] - state.requested[resource] and amount:
            reasons.append(f"Insufficient {resource}")
            resolvable = resolvable and amount <= state.allocatable[resource]
    return Obstacle(tuple(reasons), resolvable) if reasons else None


def _tolerates_cordon(tolerations: list[Raw]) -> bool:
    cordon = {"key": taints.UNSCHEDULABLE, "effect": "NoSchedule"}
    return any(taints.tolerates(each, cordon) for each in tolerations)
