"""Which pods of a ReplicaSet go first when it shrinks.

Source: kubernetes/pkg/controller/controller_utils.go (ActivePodsWithRanks) and KEP-2255 (pod-deletion-cost). The real
order ends with ages on a logarithmic scale and then uids; here it ends with the newest first, so that one lab deletes
the same pods in every run.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from labkit.workloads.pods import is_ready

COST = "controller.kubernetes.io/pod-deletion-cost"
PHASES = {"Pending": 0, "Unknown": 1, "Running": 2}

Raw = dict[str, Any]


def victims(pods: Sequence[Raw], related: Sequence[Raw], count: int, created: Callable[[Raw], int]) -> list[Raw]:
    """The `count` pods to delete: without a node, then not running, not ready, cheap, on a node with many, restarted,
    new.

    related: the active pods of all ReplicaSets of the same owner; created: greater for newer pods.
    """
    crowd = Counter(pod["spec"].get("nodeName", "") for pod in related)

    def order(pod: Raw) -> tuple[Any, ...]:
        node = pod["spec"].get("nodeName", "")
        status = pod.get("status", {})
        return (
            bool(node),
            PHASES.get(status.get("phase", "Pending"), 1),
            is_ready(pod),
            _cost(pod),
            -crowd[node],
            -max((container.get("restartCount", 0) for container in status.get("containerStatuses", ())), default=0),
            -created(pod),
        )

    return sorted(pods, key=order)[:count]


def _cost(pod: Raw) -> int:
    text = pod["metadata"].get("annotations", {}).get(COST, "0")
    return int(text) if text.lstrip("-").isdecimal() else 0
