"""Taints of nodes and what tolerates them.

Source: k8s.io/component-helpers/scheduling/corev1/helpers.go, k8s.io/api/core/v1/toleration.go of v1.34.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any

Raw = dict[str, Any]

NOT_READY = "node.kubernetes.io/not-ready"
UNREACHABLE = "node.kubernetes.io/unreachable"
UNSCHEDULABLE = "node.kubernetes.io/unschedulable"
HARD = ("NoSchedule", "NoExecute")


def tolerates(toleration: Raw, taint: Raw) -> bool:
    """Whether one toleration covers one taint: an empty key, effect or value stands for all where it may."""
    if toleration.get("effect") and toleration["effect"] != taint["effect"]:
        return False
    if toleration.get("key") and toleration["key"] != taint["key"]:
        return False
    match toleration.get("operator") or "Equal":
        case "Exists":
            return True
        case "Equal":
            return bool(toleration.get("key")) and toleration.get("value", "") == taint.get("value", "")
    return False


def untolerated(node: Raw, tolerations: Sequence[Raw], effects: Collection[str] = HARD) -> Raw | None:
    """The node's first taint with one of these effects that nothing tolerates."""
    for taint in of(node):
        if taint["effect"] in effects and not any(tolerates(each, taint) for each in tolerations):
            return taint
    return None


def of(node: Raw) -> list[Raw]:
    found: list[Raw] = node.get("spec", {}).get("taints", [])
    return found


def intolerable(node: Raw, tolerations: Iterable[Raw]) -> int:
    """How many of the node's PreferNoSchedule taints nothing tolerates."""
    mild = [each for each in tolerations if each.get("effect") in (None, "", "PreferNoSchedule")]
    taints = [taint for taint in of(node) if taint["effect"] == "PreferNoSchedule"]
    return sum(not any(tolerates(each, taint) for each in mild) for taint in taints)
