"""A row of every kind that has a printer, as kubectl would print it."""

from __future__ import annotations

from typing import Any

import pytest

from labkit.apiserver.tables.columns import View
from labkit.apiserver.tables.table import printers

Raw = dict[str, Any]
NOW = View(1000.0)
AT = "1970-01-01T00:15:00Z"
TEMPLATE = {"spec": {"containers": [{"name": "a", "image": "a:1"}, {"name": "b", "image": "b:2"}]}}
WEB = {"matchLabels": {"app": "web"}}


def row(kind: str, o: Raw) -> list[Any]:
    meta = {"name": "x", "creationTimestamp": AT, **o.get("metadata", {})}
    return printers()[kind].cells({**o, "metadata": meta}, NOW)


def spec(**fields: Any) -> Raw:
    return {"spec": fields}


WORKLOAD = {"selector": WEB, "template": TEMPLATE, "replicas": 3}
DONE = {"startTime": AT, "completionTime": "1970-01-01T00:15:05Z", "succeeded": 1}


def job(conditions: list[tuple[str, str]], **status: Any) -> Raw:
    listed = [{"type": kind, "status": value} for kind, value in conditions]
    return {**spec(selector=WEB, template=TEMPLATE), "status": {"conditions": listed, **status}}


@pytest.mark.parametrize(
    ("kind", "o", "expected"),
    [
        (
            "Deployment",
            {**spec(**WORKLOAD), "status": {"readyReplicas": 2, "updatedReplicas": 3, "availableReplicas": 1}},
            ["x", "2/3", 3, 1, "100s", "a,b", "a:1,b:2", "app=web"],
        ),
        ("Deployment", spec(), ["x", "0/1", 0, 0, "100s", "", "", ""]),
        (
            "ReplicaSet",
            {**spec(**WORKLOAD), "status": {"replicas": 2, "readyReplicas": 1}},
            ["x", 3, 2, 1, "100s", "a,b", "a:1,b:2", "app=web"],
        ),
        (
            "StatefulSet",
            {**spec(**WORKLOAD), "status": {"replicas": 2, "readyReplicas": 1}},
            ["x", "1/3", "100s", "a,b", "a:1,b:2"],
        ),
        (
            "DaemonSet",
            {
                **spec(selector=WEB, template={"spec": {**TEMPLATE["spec"], "nodeSelector": {"disk": "ssd"}}}),
                "status": {"desiredNumberScheduled": 3, "currentNumberScheduled": 2, "numberReady": 1},
            },
            ["x", 3, 2, 1, 0, 0, "disk=ssd", "100s", "a,b", "a:1,b:2", "app=web"],
        ),
        ("Job", job([]), ["x", "Running", "0/1", "", "100s", "a,b", "a:1,b:2", "app=web"]),
        ("Job", job([("Complete", "True")], **DONE),
         ["x", "Complete", "1/1", "5s", "100s", "a,b", "a:1,b:2", "app=web"]),
        (
            "CronJob",
            {
                **spec(schedule="* * * * *", suspend=False, jobTemplate={"spec": {"template": TEMPLATE}}),
                "status": {"active": [{}], "lastScheduleTime": "1970-01-01T00:16:00Z"},
            },
            ["x", "* * * * *", "<none>", "False", 1, "40s", "100s", "a,b", "a:1,b:2", "<none>"],
        ),
        ("CronJob", spec(schedule="@daily", timeZone="UTC"),
         ["x", "@daily", "UTC", "<unset>", 0, "<none>", "100s", "", "", "<none>"]),
        (
            "PodDisruptionBudget",
            {**spec(minAvailable="50%"), "status": {"disruptionsAllowed": 1}},
            ["x", "50%", "N/A", 1, "100s"],
        ),
        ("PodDisruptionBudget", spec(maxUnavailable=1), ["x", "N/A", "1", 0, "100s"]),
        (
            "ControllerRevision",
            {"revision": 2, "metadata": {"ownerReferences": [
                {"apiVersion": "v1", "kind": "Other", "name": "o"},
                {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "db", "controller": True},
            ]}},
            ["x", "statefulset.apps/db", 2, "100s"],
        ),
        ("ControllerRevision", {"revision": 1}, ["x", "<none>", 1, "100s"]),
        ("Scale", {**spec(replicas=3), "status": {"replicas": 2}}, ["x", 3, 2, "100s"]),
        ("Scale", spec(), ["x", 0, 0, "100s"]),
        ("Endpoints", {}, ["x", "<none>", "100s"]),
        (
            "Endpoints",
            {"subsets": [
                {"addresses": [{"ip": "10.0.0.1"}, {"ip": "fd00::1"}], "ports": [{"port": 80}, {"port": 443}]},
            ]},
            ["x", "10.0.0.1:80,[fd00::1]:80,10.0.0.1:443 + 1 more...", "100s"],
        ),
        ("Endpoints", {"subsets": [{"addresses": [{"ip": "10.0.0.1"}]}]}, ["x", "10.0.0.1", "100s"]),
        ("EndpointSlice", {"addressType": "IPv4"}, ["x", "IPv4", "<unset>", "<unset>", "100s"]),
        (
            "EndpointSlice",
            {
                "addressType": "IPv4",
                "ports": [{"port": 80}, {"name": "dns"}, {}],
                "endpoints": [{"addresses": [a]} for a in ("10.0.0.9", "10.0.0.2", "10.0.0.3", "10.0.0.4")],
            },
            ["x", "IPv4", "80,dns,*", "10.0.0.9,10.0.0.2,10.0.0.3 + 1 more...", "100s"],
        ),
        (
            "Ingress",
            {
                **spec(ingressClassName="nginx", tls=[{}], rules=[{"host": "a"}, {}, {"host": "b"}]),
                "status": {"loadBalancer": {"ingress": [{"ip": "1.2.3.4"}, {"hostname": "lb"}]}},
            },
            ["x", "nginx", "a,b", "1.2.3.4,lb", "80, 443", "100s"],
        ),
        ("Ingress", spec(rules=[{}]), ["x", "<none>", "*", "", "80", "100s"]),
        ("Ingress", spec(rules=[{"host": h} for h in "abcde"]),
         ["x", "<none>", "a,b,c + 2 more...", "", "80", "100s"]),
        ("IngressClass", spec(controller="k8s.io/x"), ["x", "k8s.io/x", "<none>", "100s"]),
        (
            "IngressClass",
            spec(controller="c", parameters={"kind": "K", "apiGroup": "g.io", "name": "n"}),
            ["x", "c", "K.g.io/n", "100s"],
        ),
        ("NetworkPolicy", spec(podSelector={}), ["x", "<none>", "100s"]),
        ("NetworkPolicy", spec(podSelector=WEB), ["x", "app=web", "100s"]),
        ("ServiceCIDR", spec(cidrs=["10.96.0.0/12", "fd00::/112"]), ["x", "10.96.0.0/12,fd00::/112", "100s"]),
        (
            "IPAddress",
            spec(parentRef={"resource": "services", "namespace": "default", "name": "kubernetes", "group": ""}),
            ["x", "services/default/kubernetes"],
        ),
        ("IPAddress", {}, ["x", "<none>"]),
        ("Namespace", {"status": {"phase": "Active"}}, ["x", "Active", "100s"]),
        ("PriorityClass", {"value": 7}, ["x", 7, False, "100s", "PreemptLowerPriority"]),
        (
            "ResourceQuota",
            {"status": {
                "hard": {"requests.cpu": "1", "limits.cpu": "2", "limits.memory": "2Gi", "pods": "10"},
                "used": {"pods": "3", "limits.cpu": "500m"},
            }},
            ["x", "pods: 3/10, requests.cpu: 0/1", "limits.cpu: 500m/2, limits.memory: 0/2Gi", "100s"],
        ),
        ("Lease", spec(holderIdentity="node-1"), ["x", "node-1", "100s"]),
        ("APIService", spec(), ["x", "Local", "Unknown", "100s"]),
        (
            "APIService",
            {
                **spec(service={"namespace": "kube-system", "name": "metrics-server"}),
                "status": {"conditions": [{"type": "Available", "status": "False", "reason": "MissingEndpoints"}]},
            },
            ["x", "kube-system/metrics-server", "False (MissingEndpoints)", "100s"],
        ),
        ("ConfigMap", {"data": {"a": "1"}, "binaryData": {"b": "", "c": ""}}, ["x", 3, "100s"]),
        ("Secret", {"type": "kubernetes.io/tls", "data": {"a": ""}}, ["x", "kubernetes.io/tls", 1, "100s"]),
        ("ServiceAccount", {}, ["x", "100s"]),
        (
            "RoleBinding",
            {
                "roleRef": {"kind": "ClusterRole", "name": "view"},
                "subjects": [
                    {"kind": "User", "name": "ann"},
                    {"kind": "User", "name": "bob"},
                    {"kind": "Group", "name": "ops"},
                    {"kind": "ServiceAccount", "name": "sa", "namespace": "ns"},
                ],
            },
            ["x", "ClusterRole/view", "100s", "ann, bob", "ops", "ns/sa"],
        ),
        (
            "PersistentVolume",
            {
                **spec(
                    capacity={"storage": "1Gi"},
                    accessModes=["ReadWriteMany", "ReadWriteOnce"],
                    claimRef={"namespace": "d", "name": "c"},
                    storageClassName="slow",
                    volumeMode="Filesystem",
                ),
                "status": {"phase": "Bound"},
            },
            ["x", "1Gi", "RWO,RWX", "Retain", "Bound", "d/c", "slow", "<unset>", "", "100s", "Filesystem"],
        ),
        (
            "PersistentVolumeClaim",
            {**spec(storageClassName="slow"), "status": {"phase": "Pending"}},
            ["x", "Pending", "", "", "", "slow", "<unset>", "100s", "<unset>"],
        ),
        (
            "PersistentVolumeClaim",
            {
                **spec(volumeName="v"),
                "status": {"phase": "Bound", "capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOncePod"]},
            },
            ["x", "Bound", "v", "1Gi", "RWOP", "", "<unset>", "100s", "<unset>"],
        ),
        (
            "StorageClass",
            {
                "provisioner": "p",
                "metadata": {"annotations": {"storageclass.kubernetes.io/is-default-class": "true"}},
            },
            ["x (default)", "p", "Delete", "Immediate", False, "100s"],
        ),
    ],
)  # fmt: skip
def test_a_row(kind: str, o: Raw, expected: list[Any]) -> None:
    assert row(kind, o) == expected
