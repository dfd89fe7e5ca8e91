"""The objects that are measured with."""

from __future__ import annotations

from typing import Any

Raw = dict[str, Any]


def deployment(name: str, replicas: int) -> Raw:
    labels = {"app": name}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [_container()]}}
    spec = {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": spec}


def service(name: str) -> Raw:
    spec = {"selector": {"app": name}, "ports": [{"port": 80}]}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec}


def pod(name: str) -> Raw:
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": {"containers": [_container()]}}


def unscheduled(name: str) -> Raw:
    """A pod as they are in real clusters, of 1.7 KB, that stays where it is: its scheduler is not there."""
    made = pod(name)
    made["metadata"] |= {
        "namespace": "default",
        "labels": {
            "app.kubernetes.io/name": "shop", "app.kubernetes.io/instance": name, "app.kubernetes.io/version": "1.27",
            "app.kubernetes.io/component": "frontend", "app.kubernetes.io/part-of": "store", "tier": "web",
        },
        "annotations": {
            "prometheus.io/scrape": "true", "prometheus.io/port": "9102", "prometheus.io/path": "/metrics",
            "example.org/description": "The pages that customers see: catalogue, basket, checkout. " * 4,
        },
    }  # fmt: skip
    probe = {"httpGet": {"path": "/healthz", "port": "http"}, "periodSeconds": 10, "failureThreshold": 3}
    made["spec"] = {
        "schedulerName": "nobody",
        "terminationGracePeriodSeconds": 30,
        "nodeSelector": {"kubernetes.io/os": "linux"},
        "containers": [
            {
                "name": "web",
                "image": "registry.example.org/shop/web:1.27.3",
                "ports": [{"name": "http", "containerPort": 8080}, {"name": "metrics", "containerPort": 9102}],
                "env": [{"name": f"SHOP_{i}", "value": f"http://backend-{i}.shop.svc:8080/api"} for i in range(8)],
                "resources": {"requests": {"cpu": "1m", "memory": "1Mi"}, "limits": {"memory": "64Mi"}},
                "readinessProbe": probe,
                "livenessProbe": probe,
            }
        ],
    }
    return made


def config_map(name: str) -> Raw:
    data = {"name": name, "text": "what is in it does not matter; there is some of it. " * 4}
    metadata = {"name": name, "namespace": "default"}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


def _container() -> Raw:
    return {"name": "web", "image": "nginx", "ports": [{"containerPort": 80}]}
