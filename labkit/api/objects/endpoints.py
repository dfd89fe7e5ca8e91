"""Where a Service's packets go: EndpointSlices (discovery/v1) and Endpoints (core/v1)."""

from __future__ import annotations

from labkit.api.objects.meta import Base, Object

TRIGGER_TIME = "endpoints.kubernetes.io/last-change-trigger-time"
"""Annotation: when what an object's last change follows happened."""


class TargetRef(Base, frozen=True):
    kind: str = ""
    namespace: str = ""
    name: str = ""
    uid: str = ""


class EndpointConditions(Base, frozen=True):
    """None means unknown, which consumers take for ready (and serving), as discovery/v1 says."""

    ready: bool | None = None
    serving: bool | None = None
    terminating: bool | None = None


class ForZone(Base, frozen=True):
    name: str


class ForNode(Base, frozen=True):
    name: str


class EndpointHints(Base, frozen=True):
    for_zones: tuple[ForZone, ...] = ()
    for_nodes: tuple[ForNode, ...] = ()


class Endpoint(Base, frozen=True):
    addresses: tuple[str, ...]
    conditions: EndpointConditions = EndpointConditions()
    hostname: str = ""
    target_ref: TargetRef | None = None
    node_name: str = ""
    zone: str = ""
    hints: EndpointHints | None = None


class EndpointPort(Base, frozen=True):
    name: str = ""
    protocol: str = "TCP"
    port: int | None = None
    app_protocol: str = ""


class EndpointSlice(Object, frozen=True):
    address_type: str = "IPv4"
    endpoints: tuple[Endpoint, ...] = ()
    ports: tuple[EndpointPort, ...] = ()

    @property
    def service(self) -> str:
        """Name of the Service that this slice belongs to, from its label."""
        return self.metadata.labels.get("kubernetes.io/service-name", "")


class EndpointAddress(Base, frozen=True):
    ip: str
    hostname: str = ""
    node_name: str = ""
    target_ref: TargetRef | None = None


class EndpointSubset(Base, frozen=True):
    addresses: tuple[EndpointAddress, ...] = ()
    not_ready_addresses: tuple[EndpointAddress, ...] = ()
    ports: tuple[EndpointPort, ...] = ()


class Endpoints(Object, frozen=True):
    subsets: tuple[EndpointSubset, ...] = ()
