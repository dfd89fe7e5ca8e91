"""The variables that tell a container of the Services that were there when it started. Pure.

Source: pkg/kubelet/envvars/envvars.go, and getServiceEnvVarMap in pkg/kubelet/kubelet_pods.go.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from labkit.net.packet import endpoint
from labkit.workloads.sources import Sources

MASTER = ("default", "kubernetes")
"""The Service that pods of every namespace are told of."""


def variables(namespace: str, links: bool, sources: Sources) -> dict[str, str]:
    """Those of the namespace's Services, with `links` (enableServiceLinks), and of the API server's always."""
    found: dict[str, str] = {}
    if (master := sources.find("Service", *MASTER)) is not None:
        found |= _of(master)
    if links:
        for service in sources.services(namespace):
            found |= _of(service)
    return found


def _of(service: Mapping[str, Any]) -> dict[str, str]:
    spec = service["spec"]
    address = spec.get("clusterIP") or "None"
    if address == "None" or spec.get("type") == "ExternalName" or not spec.get("ports"):
        return {}
    prefix = _name(service["metadata"]["name"])
    first = spec["ports"][0]
    found = {f"{prefix}_SERVICE_HOST": address, f"{prefix}_SERVICE_PORT": str(first["port"])}
    for port in spec["ports"]:
        if port.get("name"):
            found[f"{prefix}_SERVICE_PORT_{_name(port['name'])}"] = str(port["port"])
    found[f"{prefix}_PORT"] = _url(address, first)
    for port in spec["ports"]:
        found |= dict(_link(prefix, address, port))
    return found


def _link(prefix: str, address: str, port: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The names that Docker gave to linked containers."""
    protocol = port.get("protocol", "TCP")
    name = f"{prefix}_PORT_{port['port']}_{protocol.upper()}"
    yield name, _url(address, port)
    yield f"{name}_PROTO", protocol.lower()
    yield f"{name}_PORT", str(port["port"])
    yield f"{name}_ADDR", address


def _url(address: str, port: Mapping[str, Any]) -> str:
    return f"{port.get('protocol', 'TCP').lower()}://{endpoint(address, port['port'])}"


def _name(text: str) -> str:
    return text.replace("-", "_").upper()
