"""Where a pod may run, its volumes, its containers' amounts, and who they run as."""

from __future__ import annotations

from typing import Any

import pytest

from labkit.api import check
from labkit.api.defaults import default
from labkit.api.defaults.pods import quality

MAIN = {"name": "a", "image": "i:1"}
NODES = "requiredDuringSchedulingIgnoredDuringExecution"
MAYBE = "preferredDuringSchedulingIgnoredDuringExecution"


def pod(**spec: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}, "spec": {"containers": [MAIN], **spec}}


def container(**more: Any) -> dict[str, Any]:
    return {"containers": [{**MAIN, **more}]}


def volume(**source: Any) -> dict[str, Any]:
    return {"volumes": [{"name": "v", **source}]}


def resources(**more: Any) -> dict[str, Any]:
    return container(resources=more)


def spread(**more: Any) -> dict[str, Any]:
    item = {"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule"}
    return {"topologySpreadConstraints": [{**item, **more}]}


def token(**more: Any) -> dict[str, Any]:
    return volume(projected={"sources": [{"serviceAccountToken": {"path": "token", **more}}]})


GOOD = [
    {"tolerations": [{"operator": "Exists"}, {"key": "a", "effect": "NoExecute", "tolerationSeconds": 3}]},
    {"affinity": {"nodeAffinity": {NODES: {"nodeSelectorTerms": [{"matchExpressions": [
        {"key": "cores", "operator": "Gt", "values": ["4"]}]}]}}}},
    {"affinity": {"podAntiAffinity": {MAYBE: [{"weight": 1, "podAffinityTerm": {"topologyKey": "zone"}}]}}},
    spread(minDomains=2, labelSelector={"matchLabels": {"a": "b"}}),
    resources(limits={"cpu": "1", "memory": "1Gi", "hugepages-2Mi": "4Mi", "example.com/gpu": 1}),
    volume(configMap={"name": "c", "items": [{"key": "a", "path": "b/c", "mode": 0o400}]}),
    volume(emptyDir={"medium": "Memory", "sizeLimit": "1Gi"}), token(), volume(hostPath={"path": "/tmp"}),
    {**container(volumeMounts=[{"name": "v", "mountPath": "/a"}, {"name": "v", "mountPath": "/b", "subPath": "c"}]),
     **volume()},
    {"initContainers": [{"name": "b", "image": "i:1", "restartPolicy": "Always"}]},
    {"ephemeralContainers": [{"name": "d", "image": "i:1", "targetContainerName": "a"}]},
    {"schedulingGates": [{"name": "example.com/a"}]},
]  # fmt: skip


@pytest.mark.parametrize("spec", GOOD)
def test_good(spec: dict[str, Any]) -> None:
    obj = pod(**spec)
    assert check.problems(obj) == []
    assert default(default(obj)) == default(obj)


BAD = [
    ({"tolerations": [{"value": "b"}]}, "spec.tolerations[0].operator",
     'Invalid value: "": operator must be Exists when `key` is empty, which means "match all values and all keys"'),
    ({"tolerations": [{"key": "a", "tolerationSeconds": 3}]}, "spec.tolerations[0].effect",
     "Invalid value: \"\": effect must be 'NoExecute' when `tolerationSeconds` is set"),
    ({"tolerations": [{"key": "a", "operator": "Exists", "value": "b"}]}, "spec.tolerations[0].operator",
     "Invalid value: \"b\": value must be empty when `operator` is 'Exists'"),
    ({"tolerations": [{"key": "a", "effect": "Never"}]}, "spec.tolerations[0].effect", None),
    ({"affinity": {"nodeAffinity": {NODES: {"nodeSelectorTerms": []}}}},
     f"spec.affinity.nodeAffinity.{NODES}.nodeSelectorTerms",
     "Required value: must have at least one node selector term"),
    ({"affinity": {"nodeAffinity": {NODES: {"nodeSelectorTerms": [{"matchExpressions": [
        {"key": "a", "operator": "Gt", "values": []}]}]}}}},
     f"spec.affinity.nodeAffinity.{NODES}.nodeSelectorTerms[0].matchExpressions[0].values",
     "Required value: must be specified single value when `operator` is 'Lt' or 'Gt'"),
    ({"affinity": {"podAffinity": {MAYBE: [{"weight": 0, "podAffinityTerm": {"topologyKey": "zone"}}]}}},
     f"spec.affinity.podAffinity.{MAYBE}[0].weight", "Invalid value: 0: must be in the range 1-100"),
    ({"affinity": {"podAffinity": {NODES: [{"topologyKey": ""}]}}}, f"spec.affinity.podAffinity.{NODES}[0].topologyKey",
     "Required value: can not be empty"),
    (spread(maxSkew=0), "spec.topologySpreadConstraints[0].maxSkew", "Invalid value: 0: must be greater than zero"),
    (spread(whenUnsatisfiable="Never"), "spec.topologySpreadConstraints[0].whenUnsatisfiable", None),
    (spread(whenUnsatisfiable="ScheduleAnyway", minDomains=2), "spec.topologySpreadConstraints[0].minDomains",
     "Invalid value: 2: can only use minDomains if whenUnsatisfiable=DoNotSchedule, not ScheduleAnyway"),
    (resources(requests={"cpu": "2"}, limits={"cpu": "1"}), "spec.containers[0].resources.requests",
     'Invalid value: "2": must be less than or equal to cpu limit of 1'),
    (resources(limits={"cup": "1"}), "spec.containers[0].resources.limits",
     'Invalid value: "cup": must be a standard resource for containers'),
    (resources(limits={"cpu": "-1"}), "spec.containers[0].resources.limits[cpu]",
     'Invalid value: "-1": must be greater than or equal to 0'),
    (resources(requests={"example.com/gpu": 1}), "spec.containers[0].resources.limits",
     "Required value: Limit must be set for non overcommitable resources"),
    (resources(limits={"example.com/gpu": "1.5"}), "spec.containers[0].resources.limits[example.com/gpu]",
     'Invalid value: "1500m": must be an integer'),
    (volume(configMap={}), "spec.volumes[0].configMap.name", "Required value"),
    (volume(secret={"secretName": "s", "defaultMode": 0o1000}), "spec.volumes[0].secret.defaultMode",
     "Invalid value: 512: must be a number between 0 and 0777 (octal), both inclusive"),
    (volume(configMap={"name": "c", "items": [{"key": "a", "path": "../b"}]}),
     "spec.volumes[0].configMap.items[0].path", "Invalid value: \"../b\": must not contain '..'"),
    (volume(hostPath={"path": "/tmp", "type": "Folder"}), "spec.volumes[0].hostPath.type", None),
    (volume(emptyDir={}, hostPath={"path": "/"}), "spec.volumes[0].hostPath",
     "Forbidden: may not specify more than 1 volume type"),
    (token(expirationSeconds=60),
     "spec.volumes[0].projected.sources[0].serviceAccountToken.expirationSeconds",
     "Invalid value: 60: may not specify a duration less than 10 minutes"),
    ({**container(volumeMounts=[{"name": "v", "mountPath": "/a"}] * 2), **volume()},
     "spec.containers[0].volumeMounts[1].mountPath", 'Invalid value: "/a": must be unique'),
    ({"initContainers": [{"name": "b", "image": "i:1", "restartPolicy": "Never"}]},
     "spec.initContainers[0].restartPolicy", 'Unsupported value: "Never": supported values: "Always"'),
    ({"ephemeralContainers": [{"name": "a", "image": "i:1"}]}, "spec.ephemeralContainers[0].name",
     'Duplicate value: "a"'),
    ({"ephemeralContainers": [{"name": "d", "image": "i:1", "targetContainerName": "x"}]},
     "spec.ephemeralContainers[0].targetContainerName", 'Not found: "x"'),
    ({"ephemeralContainers": [{"name": "d", "image": "i:1", "ports": [{"containerPort": 1}]}]},
     "spec.ephemeralContainers[0].ports", "Forbidden: cannot be set for an Ephemeral Container"),
    (container(securityContext={"runAsUser": -1}), "spec.containers[0].securityContext.runAsUser",
     "Invalid value: -1: must be between 0 and 2147483647, inclusive"),
    (container(securityContext={"privileged": True, "allowPrivilegeEscalation": False}),
     "spec.containers[0].securityContext", None),
    ({"schedulingGates": [{"name": "a/b"}, {"name": "a/b"}]}, "spec.schedulingGates[1]", 'Duplicate value: "a/b"'),
]  # fmt: skip


@pytest.mark.parametrize(("spec", "field", "message"), BAD)
def test_bad(spec: dict[str, Any], field: str, message: str | None) -> None:
    found = {(p.field, p.message) for p in check.problems(pod(**spec))}
    assert field in {where for where, _ in found}
    assert message is None or (field, message) in found


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({}, "BestEffort"),
        ({"requests": {"cpu": "1"}}, "Burstable"),
        ({"limits": {"cpu": "1"}}, "Burstable"),
        ({"limits": {"cpu": "1", "memory": "1Gi"}}, "Guaranteed"),
        ({"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "500m"}}, "Burstable"),
        ({"limits": {"cpu": "1000m", "memory": "1024Mi"}, "requests": {"cpu": "1", "memory": "1Gi"}}, "Guaranteed"),
    ],
)
def test_quality_of_service(more: dict[str, Any], expected: str) -> None:
    assert quality(default(pod(**resources(**more)))["spec"]) == expected


def test_a_tokens_time_and_a_fields_version() -> None:
    (kept,) = default(pod(**token()))["spec"]["volumes"]
    assert kept["projected"]["sources"] == [{"serviceAccountToken": {"path": "token", "expirationSeconds": 3600}}]
