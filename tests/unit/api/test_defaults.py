from __future__ import annotations

from typing import Any

import pytest

from labkit.api.defaults import default


def made(kind: str, spec: dict[str, Any], version: str = "v1") -> dict[str, Any]:
    return default({"apiVersion": version, "kind": kind, "metadata": {"name": "x"}, "spec": spec})


def test_service() -> None:
    assert made("Service", {"ports": [{"port": 80}]})["spec"] == {
        "type": "ClusterIP",
        "sessionAffinity": "None",
        "internalTrafficPolicy": "Cluster",
        "ports": [{"port": 80, "protocol": "TCP", "targetPort": 80}],
    }


def test_service_session_affinity() -> None:
    spec = made("Service", {"sessionAffinity": "ClientIP"})["spec"]
    assert spec["sessionAffinityConfig"] == {"clientIP": {"timeoutSeconds": 10800}}
    spec = made("Service", {"sessionAffinity": "None", "sessionAffinityConfig": {"clientIP": {}}})["spec"]
    assert "sessionAffinityConfig" not in spec


@pytest.mark.parametrize(
    ("spec", "policy"),
    [({"type": "NodePort"}, "Cluster"), ({"type": "LoadBalancer"}, "Cluster"), ({}, None),
     ({"externalIPs": ["203.0.113.9"]}, "Cluster"), ({"type": "NodePort", "externalTrafficPolicy": "Local"}, "Local")],
)  # fmt: skip
def test_service_external_traffic_policy(spec: dict[str, Any], policy: str | None) -> None:
    assert made("Service", spec)["spec"].get("externalTrafficPolicy") == policy


def test_external_name_has_no_addresses() -> None:
    spec = made("Service", {"type": "ExternalName", "externalName": "example.com"})["spec"]
    assert "ipFamilyPolicy" not in spec
    assert "internalTrafficPolicy" not in spec


def test_load_balancer() -> None:
    assert made("Service", {"type": "LoadBalancer"})["spec"]["allocateLoadBalancerNodePorts"] is True
    kept = made("Service", {"type": "LoadBalancer", "allocateLoadBalancerNodePorts": False})
    assert kept["spec"]["allocateLoadBalancerNodePorts"] is False


def test_pod() -> None:
    container = {
        "name": "c",
        "image": "nginx",
        "ports": [{"containerPort": 80}],
        "readinessProbe": {"httpGet": {"port": 80}},
        "resources": {"limits": {"cpu": "1"}},
    }
    spec = made("Pod", {"containers": [container], "volumes": [{"name": "v"}, {"name": "c", "configMap": {}}]})["spec"]
    assert spec["restartPolicy"] == "Always"
    assert spec["dnsPolicy"] == "ClusterFirst"
    assert spec["terminationGracePeriodSeconds"] == 30
    assert spec["schedulerName"] == "default-scheduler"
    assert spec["enableServiceLinks"] is True
    assert spec["volumes"] == [{"name": "v", "emptyDir": {}}, {"name": "c", "configMap": {"defaultMode": 420}}]
    assert spec["containers"] == [
        {
            "name": "c",
            "image": "nginx",
            "imagePullPolicy": "Always",
            "terminationMessagePath": "/dev/termination-log",
            "terminationMessagePolicy": "File",
            "ports": [{"containerPort": 80, "protocol": "TCP"}],
            "readinessProbe": {
                "httpGet": {"port": 80, "path": "/", "scheme": "HTTP"},
                "timeoutSeconds": 1,
                "periodSeconds": 10,
                "successThreshold": 1,
                "failureThreshold": 3,
            },
            "resources": {"limits": {"cpu": "1"}, "requests": {"cpu": "1"}},
        }
    ]


@pytest.mark.parametrize(
    ("image", "policy"),
    [("nginx", "Always"), ("nginx:latest", "Always"), ("nginx:1.27", "IfNotPresent"),
     ("registry:5000/nginx", "Always"), ("registry:5000/nginx:1", "IfNotPresent"),
     ("nginx@sha256:" + "0" * 64, "IfNotPresent")],
)  # fmt: skip
def test_pull_policy_follows_the_tag(image: str, policy: str) -> None:
    spec = made("Pod", {"containers": [{"name": "c", "image": image}]})["spec"]
    assert spec["containers"][0]["imagePullPolicy"] == policy


def test_host_network_takes_the_host_port() -> None:
    container = {"name": "c", "image": "i", "ports": [{"containerPort": 80}]}
    spec = made("Pod", {"hostNetwork": True, "containers": [container]})["spec"]
    assert spec["containers"][0]["ports"][0]["hostPort"] == 80


def test_deployment() -> None:
    spec = made("Deployment", {"template": {"spec": {"containers": []}}}, "apps/v1")["spec"]
    assert (spec["replicas"], spec["revisionHistoryLimit"], spec["progressDeadlineSeconds"]) == (1, 10, 600)
    assert spec["strategy"] == {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}}
    assert spec["template"]["spec"]["restartPolicy"] == "Always"
    assert "enableServiceLinks" not in spec["template"]["spec"]  # a Pod's default, not a template's


def test_zero_replicas_stay_zero() -> None:
    assert made("Deployment", {"replicas": 0}, "apps/v1")["spec"]["replicas"] == 0


def test_namespace_of_an_object() -> None:
    assert made("Pod", {})["metadata"]["namespace"] == "default"
    assert "namespace" not in made("Node", {})["metadata"]
    assert default({"kind": "Pod", "metadata": {"namespace": "shop"}})["metadata"]["namespace"] == "shop"


def test_namespace_gets_its_label() -> None:
    assert made("Namespace", {})["metadata"]["labels"] == {"kubernetes.io/metadata.name": "x"}


def test_network_policy_types() -> None:
    version = "networking.k8s.io/v1"
    assert made("NetworkPolicy", {"podSelector": {}}, version)["spec"]["policyTypes"] == ["Ingress"]
    both = made("NetworkPolicy", {"podSelector": {}, "egress": [{"ports": [{"port": 53}]}]}, version)["spec"]
    assert both["policyTypes"] == ["Ingress", "Egress"]
    assert both["egress"][0]["ports"][0]["protocol"] == "TCP"


def test_nulls_are_dropped() -> None:
    obj = default({"kind": "Pod", "metadata": {"name": "x", "creationTimestamp": None}, "spec": {"nodeName": None}})
    assert "creationTimestamp" not in obj["metadata"]
    assert "nodeName" not in obj["spec"]


def test_empty_lists_and_maps_are_left_out_and_empty_structs_are_not() -> None:
    container = {"name": "c", "image": "nginx", "env": [], "args": [], "resources": {"limits": {}}}
    made = default(
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "web", "labels": {}, "annotations": {"a": ""}, "finalizers": [], "managedFields": []},
            "spec": {"containers": [container], "nodeSelector": {}, "volumes": [{"name": "v", "emptyDir": {}}]},
            "status": {"conditions": []},
        }
    )
    assert made["metadata"] == {"name": "web", "namespace": "default", "annotations": {"a": ""}, "managedFields": []}
    assert "nodeSelector" not in made["spec"] and made["spec"]["volumes"] == [{"name": "v", "emptyDir": {}}]
    assert not {"env", "args"} & set(made["spec"]["containers"][0])
    assert made["spec"]["containers"][0]["resources"] == {}
    assert made["status"] == {"conditions": []}
    role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "r"}, "rules": []}
    assert default(role)["rules"] == []
    emptied = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": {}}
    assert "data" not in default(emptied)
