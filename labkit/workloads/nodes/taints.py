"""The taints that follow from a node's conditions and from its being cordoned.

Source: nodeConditionToTaintKeyStatusMap in kubernetes/pkg/controller/nodelifecycle/node_lifecycle_controller.go, v1.34.
"""

from __future__ import annotations

from typing import Any

from labkit.workloads.pods import condition
from labkit.workloads.scheduling import taints

Raw = dict[str, Any]

PRESSURES = {
    "MemoryPressure": "node.kubernetes.io/memory-pressure",
    "DiskPressure": "node.kubernetes.io/disk-pressure",
    "PIDPressure": "node.kubernetes.io/pid-pressure",
    "NetworkUnavailable": "node.kubernetes.io/network-unavailable",
}
OWN = frozenset((taints.NOT_READY, taints.UNREACHABLE, taints.UNSCHEDULABLE, *PRESSURES.values()))


def wanted(node: Raw, now: str) -> list[Raw]:
    """The node's taints as they should be: those of others, and its own, which keep the times they have."""
    before = taints.of(node)
    known = {(taint["key"], taint["effect"]): taint for taint in before}
    own = [
        known.get((key, effect), {"key": key, "effect": effect, "timeAdded": now}) for key, effect in _following(node)
    ]
    return [taint for taint in before if taint["key"] not in OWN] + own


def _following(node: Raw) -> list[tuple[str, str]]:
    found = []
    ready = condition(node, "Ready").get("status")
    if ready in ("False", "Unknown"):
        key = taints.NOT_READY if ready == "False" else taints.UNREACHABLE
        found += [(key, "NoSchedule"), (key, "NoExecute")]
    if node.get("spec", {}).get("unschedulable"):
        found.append((taints.UNSCHEDULABLE, "NoSchedule"))
    found += [(key, "NoSchedule") for kind, key in PRESSURES.items() if condition(node, kind).get("status") == "True"]
    return found
