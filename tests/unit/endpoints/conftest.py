from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from labkit.api.objects import Node, Pod, Service, view


def new_service(name: str = "web", *, labels: dict[str, str] | None = None, **spec: Any) -> Service:
    spec = {
        "selector": {"app": "web"},
        "ports": [{"name": "http", "port": 80, "targetPort": 8080}],
        "clusterIP": "10.96.0.10",
        "ipFamilies": ["IPv4"],
        **spec,
    }
    metadata = {"name": name, "namespace": "default", "uid": f"uid-{name}", "labels": labels or {}}
    return view({"kind": "Service", "metadata": metadata, "spec": spec}, Service)


def new_pod(number: int, *, ready: bool = True, ips: tuple[str, ...] | None = None, **parts: Any) -> Pod:
    addresses = ips if ips is not None else (f"10.244.{number // 250}.{number % 250 + 1}",)
    status = {
        "phase": parts.pop("phase", "Running"),
        "podIPs": [{"ip": ip} for ip in addresses],
        "conditions": [{"type": "Ready", "status": str(ready)}],
    }
    metadata = {
        "name": f"pod-{number:03}",
        "namespace": "default",
        "uid": f"uid-{number}",
        "labels": parts.pop("labels", {"app": "web"}),
    }
    metadata["annotations"] = parts.pop("annotations", {})
    if parts.pop("terminating", False):
        metadata["deletionTimestamp"] = "2025-01-31T12:00:00Z"
    ports = [{"name": n, "containerPort": p} for n, p in parts.pop("ports", {"http": 8080}).items()]
    spec = {"nodeName": "node-1", "containers": [{"name": "c", "ports": ports}], **parts}
    return view({"kind": "Pod", "metadata": metadata, "spec": spec, "status": status}, Pod)


def new_node(name: str, zone: str = "") -> Node:
    labels = {"topology.kubernetes.io/zone": zone} if zone else {}
    return view({"kind": "Node", "metadata": {"name": name, "labels": labels}}, Node)


@pytest.fixture
def service() -> Callable[..., Service]:
    return new_service


@pytest.fixture
def pod() -> Callable[..., Pod]:
    return new_pod


@pytest.fixture
def nodes() -> dict[str, Node]:
    return {"node-1": new_node("node-1", "a"), "node-2": new_node("node-2", "b"), "node-3": new_node("node-3")}
