"""Namespaces, nodes, accounts (core/v1)."""

from __future__ import annotations

import msgspec

from labkit.api.objects.meta import Base, Condition, Object


class Namespace(Object, frozen=True):
    pass


class ServiceAccount(Object, frozen=True):
    pass


class NodeAddress(Base, frozen=True):
    type: str
    address: str


class Taint(Base, frozen=True):
    key: str
    value: str = ""
    effect: str = ""


class NodeSpec(Base, frozen=True):
    pod_cidr: str = msgspec.field(default="", name="podCIDR")
    pod_cidrs: tuple[str, ...] = msgspec.field(default=(), name="podCIDRs")
    taints: tuple[Taint, ...] = ()
    unschedulable: bool = False


class NodeStatus(Base, frozen=True):
    addresses: tuple[NodeAddress, ...] = ()
    conditions: tuple[Condition, ...] = ()
    allocatable: dict[str, str] = {}


class Node(Object, frozen=True):
    spec: NodeSpec = NodeSpec()
    status: NodeStatus = NodeStatus()

    @property
    def ready(self) -> bool:
        return any(condition.type == "Ready" and condition.status == "True" for condition in self.status.conditions)

    @property
    def internal_ip(self) -> str:
        return next(iter(self.internal_ips), "")

    @property
    def internal_ips(self) -> tuple[str, ...]:
        return tuple(a.address for a in self.status.addresses if a.type == "InternalIP")

    @property
    def zone(self) -> str:
        return self.metadata.labels.get("topology.kubernetes.io/zone", "")
