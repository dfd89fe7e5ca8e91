from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from labkit.api.objects import Node, Service, view

Raw = dict[str, Any]
PREFIX = "service.beta.kubernetes.io/lab-load-balancer-"


def new_service(name: str = "web", status: Raw | None = None, annotations: Raw | None = None, **spec: Any) -> Raw:
    """A LoadBalancer Service; the names of annotations are what stands behind the prefix."""
    given = {PREFIX + key: value for key, value in (annotations or {}).items()}
    spec = {"type": "LoadBalancer", "ports": [{"port": 80, "protocol": "TCP"}], **spec}
    metadata = {"name": name, "namespace": "default", "annotations": given}
    return {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec, "status": status or {}}


def new_node(number: int, labels: Raw | None = None, **spec: Any) -> Raw:
    status = {"addresses": [{"type": "InternalIP", "address": f"172.18.1.1{number}"}]}
    metadata = {"name": f"node-{number}", "labels": labels or {}}
    return {"apiVersion": "v1", "kind": "Node", "metadata": metadata, "spec": spec, "status": status}


@pytest.fixture
def service() -> Callable[..., Service]:
    return lambda *args, **parts: view(new_service(*args, **parts), Service)


@pytest.fixture
def node() -> Callable[..., Node]:
    return lambda *args, **parts: view(new_node(*args, **parts), Node)
