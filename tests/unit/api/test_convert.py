"""Also-served versions: there and back gives the same object."""

from __future__ import annotations

from typing import Any

import pytest

from labkit.api import convert, schema

EVENT = {
    "apiVersion": "v1",
    "kind": "Event",
    "metadata": {"name": "a.1", "namespace": "default"},
    "involvedObject": {"kind": "Pod", "name": "a"},
    "reason": "Started",
    "message": "Started container",
    "source": {"component": "kubelet"},
    "reportingComponent": "kubelet",
    "reportingInstance": "node-1",
    "firstTimestamp": "2025-01-31T12:00:00Z",
    "lastTimestamp": "2025-01-31T12:00:01Z",
    "count": 2,
    "type": "Normal",
    "eventTime": None,
}
BEHAVIOR = {"scaleDown": {"stabilizationWindowSeconds": 10}}


def scaler(**more: Any) -> dict[str, Any]:
    spec = {"scaleTargetRef": {"kind": "Deployment", "name": "web"}, "maxReplicas": 3, **more}
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "web"},
        "spec": spec,
    }


def resource(name: str, used: int) -> dict[str, Any]:
    target = {"type": "Utilization", "averageUtilization": used}
    return {"type": "Resource", "resource": {"name": name, "target": target}}


def test_an_event_in_its_newer_version() -> None:
    newer = convert.from_stored(EVENT, "events.k8s.io/v1")
    assert newer["apiVersion"] == "events.k8s.io/v1"
    assert newer["regarding"] == EVENT["involvedObject"]
    assert newer["note"] == "Started container"
    assert newer["deprecatedCount"] == 2
    assert newer["reportingController"] == "kubelet"
    assert schema.problems(newer) == []
    assert convert.to_stored(newer) == EVENT


def test_a_cpu_target_is_a_metric() -> None:
    older = convert.from_stored(scaler(metrics=[resource("cpu", 80)]), "autoscaling/v1")
    assert older["spec"]["targetCPUUtilizationPercentage"] == 80
    assert "metrics" not in older["spec"]
    assert "annotations" not in older["metadata"]
    assert schema.problems(older) == []


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"metrics": [resource("cpu", 80)]},
        {"metrics": [resource("memory", 50)], "behavior": BEHAVIOR},
        {"metrics": [resource("cpu", 1), resource("cpu", 2), resource("memory", 3)]},
    ],
)
def test_autoscalers_there_and_back(more: dict[str, Any]) -> None:
    stored = scaler(**more)
    assert convert.to_stored(convert.from_stored(stored, "autoscaling/v1")) == stored


def test_a_status_there_and_back() -> None:
    status = {
        "currentReplicas": 1,
        "desiredReplicas": 1,
        "currentMetrics": [{"type": "Resource", "resource": {"name": "cpu", "current": {"averageUtilization": 5}}}],
        "conditions": [{"type": "AbleToScale", "status": "True"}],
    }
    stored = {**scaler(), "status": status}
    older = convert.from_stored(stored, "autoscaling/v1")
    assert older["status"]["currentCPUUtilizationPercentage"] == 5
    assert schema.problems(older) == []
    assert convert.to_stored(older) == stored


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, '"x"', "3"])
def test_annotations_of_no_sense(text: str) -> None:
    older = convert.from_stored(scaler(), "autoscaling/v1")
    older["metadata"] = {"name": "web", "annotations": {convert.KEPT_METRICS: text, "mine": "1"}}
    stored = convert.to_stored(older)
    assert stored["metadata"]["annotations"] == {"mine": "1"}


def test_the_stored_version_stays_itself() -> None:
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}}
    assert convert.to_stored(pod) is pod
    custom = {"apiVersion": "example.com/v1", "kind": "Pod", "metadata": {"name": "a"}}
    assert convert.to_stored(custom) is custom
