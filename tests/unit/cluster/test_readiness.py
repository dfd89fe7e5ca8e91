"""When a workload, Job or node is ready, by its status."""

from __future__ import annotations

import pytest

from labkit.cluster.readiness import missing


def raw(kind, spec=None, status=None, generation=2):
    metadata = {"name": "x", "generation": generation}
    return {
        "kind": kind,
        "metadata": metadata,
        "spec": spec or {},
        "status": {"observedGeneration": 2, **(status or {})},
    }


def condition(kind, status="True", message=""):
    return {"conditions": [{"type": kind, "status": status, "message": message}]}


FULL = {"replicas": 3, "updatedReplicas": 3, "availableReplicas": 3}
DAEMONS = {"desiredNumberScheduled": 2, "numberAvailable": 2, "updatedNumberScheduled": 2}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (raw("Deployment", {"replicas": 3}, FULL), ""),
        (raw("Deployment", {"replicas": 3}, FULL, generation=3), "x has not been looked at yet"),
        (raw("Deployment", {"replicas": 3}, {**FULL, "updatedReplicas": 1}), "x has 3 of 3 pods available"),
        (raw("Deployment", {"replicas": 3}, {**FULL, "availableReplicas": 1}), "x has 1 of 3 pods available"),
        (raw("Deployment", {"replicas": 0}), ""),
        (raw("ReplicaSet", {"replicas": 3}, {"replicas": 3, "availableReplicas": 3}), ""),
        (raw("StatefulSet", {"replicas": 3}, FULL), ""),
        (raw("StatefulSet", {"replicas": 3}, {**FULL, "updatedReplicas": 1}), "x has 1 of 3 pods updated"),
        (raw("StatefulSet", {"replicas": 3, "updateStrategy": {"type": "OnDelete"}},
             {**FULL, "updatedReplicas": 1}), ""),
        (raw("StatefulSet", {"replicas": 3, "updateStrategy": {"rollingUpdate": {"partition": 2}}},
             {**FULL, "updatedReplicas": 1}), ""),
        (raw("DaemonSet", {}, DAEMONS), ""),
        (raw("DaemonSet", {}, {**DAEMONS, "numberAvailable": 1}), "x has 1 of 2 pods available"),
        (raw("DaemonSet", {}, {**DAEMONS, "updatedNumberScheduled": 0}), "x has 0 of 2 pods updated"),
        (raw("Job", {"completions": 2}, {"succeeded": 1}), "x has 1 of 2 completions"),
        (raw("Job", {}, condition("Complete")), ""),
        (raw("Job", {}, condition("Failed", message="too often")), "x is failed: too often"),
        (raw("Node", {}, condition("Ready")), ""),
        (raw("Node", {}, condition("Ready", "Unknown", "gone")), "node x is not ready: gone"),
        (raw("ConfigMap"), ""),
    ],
)  # fmt: skip
def test_missing(given, expected):
    assert missing(given) == expected
