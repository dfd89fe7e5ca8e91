"""Objects that the tests of managed fields write, and a short way to see who owns what."""

from __future__ import annotations

from typing import Any

from labkit.api.defaults import default
from labkit.control.fields.tree import paths
from labkit.control.store import copy

NOW = "2025-01-01T00:00:00Z"
LATER = "2025-01-01T00:01:00Z"

Raw = dict[str, Any]


def deployment(replicas: int | None = 3, image: str = "nginx", **labels: str) -> Raw:
    """As somebody would write it: without defaults."""
    container = {"name": "web", "image": image}
    spec: Raw = {
        "selector": {"matchLabels": {"app": "web"}},
        "template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [container]}},
    }
    if replicas is not None:
        spec["replicas"] = replicas
    metadata = {"name": "web", "namespace": "default", "labels": {"app": "web", **labels}}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec}


def config_map(**data: str) -> Raw:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "namespace": "default"}, "data": data}


def service(*ports: Raw) -> Raw:
    metadata = {"name": "s", "namespace": "default"}
    return {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": {"ports": list(ports)}}


def stored(raw: Raw) -> Raw:
    return default(copy(raw))


def owners(raw: Raw) -> dict[str, list[str]]:
    """Manager -> what it owns, in the words of messages; with "/" and the subresource where there is one."""
    entries = raw["metadata"].get("managedFields", [])
    return {
        e["manager"] + (f"/{e['subresource']}" if "subresource" in e else ""): list(paths(e["fieldsV1"]))
        for e in entries
    }
