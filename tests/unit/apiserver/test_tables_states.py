"""Rows that depend on more than one field: Services, Jobs, nodes, Events, autoscalers."""

from __future__ import annotations

from typing import Any

import pytest

from labkit.api.kinds import Catalogue
from labkit.api.resources import Resource
from labkit.apiserver.tables.columns import View
from labkit.apiserver.tables.table import printer, printers

Raw = dict[str, Any]
NOW = View(1000.0)
AT = "1970-01-01T00:15:00Z"


def row(kind: str, o: Raw, view: View = NOW) -> list[Any]:
    meta = {"name": "x", "creationTimestamp": AT, **o.get("metadata", {})}
    return printers()[kind].cells({**o, "metadata": meta}, view)


def spec(**fields: Any) -> Raw:
    return {"spec": fields}


@pytest.mark.parametrize(
    ("fields", "status", "expected"),
    [
        ({"clusterIP": "10.96.0.1"}, {}, ["ClusterIP", "10.96.0.1", "<none>", "<none>"]),
        ({"clusterIP": "None", "clusterIPs": ["None"]}, {}, ["ClusterIP", "None", "<none>", "<none>"]),
        (
            {"type": "NodePort", "ports": [{"port": 80, "nodePort": 30080, "protocol": "TCP"}, {"port": 53}]},
            {},
            ["NodePort", "<none>", "<none>", "80:30080/TCP,53/TCP"],
        ),
        ({"externalIPs": ["1.1.1.1", "2.2.2.2"]}, {}, ["ClusterIP", "<none>", "1.1.1.1,2.2.2.2", "<none>"]),
        ({"type": "LoadBalancer"}, {}, ["LoadBalancer", "<none>", "<pending>", "<none>"]),
        (
            {"type": "LoadBalancer", "externalIPs": ["9.9.9.9"]},
            {"loadBalancer": {"ingress": [{"hostname": "lb.example"}, {"ip": "1.2.3.4"}]}},
            ["LoadBalancer", "<none>", "1.2.3.4,lb.example,9.9.9.9", "<none>"],
        ),
        ({"type": "ExternalName", "externalName": "a.b"}, {}, ["ExternalName", "<none>", "a.b", "<none>"]),
    ],
)
def test_a_service(fields: Raw, status: Raw, expected: list[str]) -> None:
    found = row("Service", {**spec(**fields, selector={"b": "2", "a": "1"}), "status": status})
    assert found == ["x", *expected, "100s", "a=1,b=2"]


@pytest.mark.parametrize(
    ("conditions", "meta", "expected"),
    [
        ([("Complete", "True"), ("SuccessCriteriaMet", "True")], {}, "Complete"),
        ([("Failed", "True")], {}, "Failed"),
        ([("Failed", "False")], {}, "Running"),
        ([("Suspended", "True")], {}, "Suspended"),
        ([("Suspended", "True")], {"deletionTimestamp": AT}, "Terminating"),
        ([("FailureTarget", "True")], {}, "FailureTarget"),
        ([("SuccessCriteriaMet", "True")], {}, "SuccessCriteriaMet"),
    ],
)
def test_a_jobs_status(conditions: list[tuple[str, str]], meta: Raw, expected: str) -> None:
    listed = [{"type": kind, "status": value} for kind, value in conditions]
    status = {"conditions": listed, "startTime": AT}
    assert row("Job", {"status": status, "metadata": meta})[1:4] == [expected, "0/1", "100s"]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [({"completions": 5}, "1/5"), ({"parallelism": 3}, "1/1 of 3"), ({"parallelism": 1}, "1/1")],
)
def test_a_jobs_completions(fields: Raw, expected: str) -> None:
    assert row("Job", {**spec(**fields), "status": {"succeeded": 1}})[2] == expected


def test_a_node() -> None:
    info = {"kubeletVersion": "v1.34.0", "osImage": "Debian", "kernelVersion": "6.1"}
    addresses = [{"type": "InternalIP", "address": "10.1.0.1"}, {"type": "InternalIP", "address": "fd00::1"}]
    status = {"nodeInfo": info, "addresses": addresses, "conditions": [{"type": "Ready", "status": "True"}]}
    labels = {"node-role.kubernetes.io/worker": "", "kubernetes.io/role": "edge", "node-role.kubernetes.io/": ""}
    found = row("Node", {"metadata": {"labels": labels}, **spec(unschedulable=True), "status": status})
    state = ["Ready,SchedulingDisabled", "edge,worker", "100s", "v1.34.0"]
    assert found == ["x", *state, "10.1.0.1", "<none>", "Debian", "6.1", "<unknown>"]
    assert row("Node", {})[1:3] == ["Unknown", "<none>"]
    assert row("Node", {"status": {"conditions": [{"type": "Ready", "status": "Unknown"}]}})[1] == "NotReady"


CORE_EVENT = {
    "involvedObject": {"kind": "Pod", "name": "web", "fieldPath": "spec.containers{c}"},
    "type": "Warning",
    "reason": "BackOff",
    "message": "Back-off \n",
    "source": {"component": "kubelet", "host": "node-1"},
    "firstTimestamp": "1970-01-01T00:16:00Z",
    "lastTimestamp": "1970-01-01T00:16:30Z",
    "count": 3,
}
NEW_EVENT = {
    "regarding": CORE_EVENT["involvedObject"],
    "type": "Warning",
    "reason": "BackOff",
    "note": "Back-off",
    "reportingController": "kubelet",
    "reportingInstance": "node-1",
    "deprecatedFirstTimestamp": "1970-01-01T00:16:00Z",
    "series": {"count": 3, "lastObservedTime": "1970-01-01T00:16:30.000000Z"},
}


@pytest.mark.parametrize("event", [CORE_EVENT, NEW_EVENT])
def test_an_event_in_either_version(event: Raw) -> None:
    about = ["Warning", "BackOff", "pod/web", "spec.containers{c}", "kubelet, node-1", "Back-off"]
    assert row("Event", event) == ["10s", *about, "40s", 3, "x"]


def test_an_event_that_happened_once() -> None:
    found = row("Event", {"eventTime": "1970-01-01T00:16:00.5Z", "involvedObject": {"kind": "Node"}})
    assert found == ["39s", "", "", "node", "", "", "", "39s", 1, "x"]


def resource_metric(target: Raw, current: Raw | None) -> tuple[Raw, Raw]:
    return (
        {"type": "Resource", "resource": {"name": "cpu", "target": target}},
        {"type": "Resource", "resource": {"name": "cpu", "current": current}} if current else {},
    )


@pytest.mark.parametrize(
    ("target", "current", "expected"),
    [
        ({"averageUtilization": 80}, {"averageUtilization": 12}, "cpu: 12%/80%"),
        ({"averageUtilization": 80}, None, "cpu: <unknown>/80%"),
        ({"averageValue": "1"}, {"averageValue": "500m"}, "cpu: 500m/1"),
        ({}, None, "cpu: <unknown>/<auto>"),
    ],
)
def test_an_autoscalers_target(target: Raw, current: Raw | None, expected: str) -> None:
    wanted, now = resource_metric(target, current)
    o = {
        **spec(metrics=[wanted], maxReplicas=5, scaleTargetRef={"kind": "Deployment", "name": "web"}),
        "status": {"currentMetrics": [now], "currentReplicas": 2},
    }
    assert row("HorizontalPodAutoscaler", o) == ["x", "Deployment/web", expected, "<unset>", 5, 2, "100s"]


def test_an_autoscalers_other_targets() -> None:
    wanted = [
        {"type": "Pods", "pods": {"target": {"averageValue": "10"}}},
        {"type": "Object", "object": {"target": {"value": "2k"}}},
        {"type": "External", "external": {"target": {"averageValue": "3"}}},
        {"type": "ContainerResource", "containerResource": {"name": "memory", "target": {"averageUtilization": 5}}},
        {"type": "Odd"},
    ]

    def targets(*metrics: Raw, current: list[Raw]) -> str:
        o = {**spec(metrics=metrics), "status": {"currentMetrics": current}}
        return str(row("HorizontalPodAutoscaler", o)[2])

    assert targets(*wanted, current=[]) == "<unknown>/10, <unknown>/2k + 3 more..."
    assert targets(wanted[2], current=[{"external": {"current": {"averageValue": "1"}}}]) == "1/3 (avg)"
    assert targets(wanted[3], current=[]) == "memory: <unknown>/5%"
    assert targets(wanted[1], current=[{"object": {"current": {"value": "1k"}}}]) == "1k/2k"
    assert targets(wanted[4], current=[]) == "<unknown type>"
    assert targets(current=[]) == "<none>"


def test_an_autoscaler_of_the_first_version() -> None:
    o = {**spec(targetCPUUtilizationPercentage=80), "status": {"currentCPUUtilizationPercentage": 3}}
    assert row("HorizontalPodAutoscaler", o)[2] == "cpu: 3%/80%"


def test_lists_of_addresses_can_be_whole() -> None:
    addresses = ["10.0.0.4", "10.0.0.1", "10.0.0.3", "10.0.0.2"]
    o = {"addressType": "IPv4", "endpoints": [{"addresses": addresses}]}
    assert row("EndpointSlice", o, View(1000.0, whole=True))[3] == "10.0.0.1,10.0.0.2,10.0.0.3,10.0.0.4"


SCALE = Resource("Scale", "autoscaling/v1", "scale")


@pytest.mark.parametrize("resource", [*Catalogue().all(), SCALE], ids=lambda r: r.qualified)
def test_every_column_is_described(resource: Any) -> None:
    for column in printer(resource).columns:
        definition = column.definition()
        assert definition["description"]
        assert definition["priority"] in (0, 1)
