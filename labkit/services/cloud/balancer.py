"""The load balancers that Services ask for: a pure function of the Services and the nodes.

    Service, type LoadBalancer, no class ── address of its status ──> Balancer ──> nodes that may take its packets

Source: k8s.io/cloud-provider/controllers/service/controller.go (wantsLoadBalancer, needsCleanup, the predicates of
nodes) of v1.34; KEP-3458: whether a node is ready is for the health check to find out.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from ipaddress import ip_network

import msgspec

from labkit.api.objects import Node, Service
from labkit.errors import LabError
from labkit.services.cloud import pool, settings
from labkit.services.cloud.settings import HealthCheck, Mode

FINALIZER = "service.kubernetes.io/load-balancer-cleanup"
EXCLUDED = "node.kubernetes.io/exclude-from-external-load-balancers"
LEAVING = "ToBeDeletedByClusterAutoscaler"


class Listener(msgspec.Struct, frozen=True, order=True):
    """A port of a balancer; `node_port` is 0 where none was allocated. `protocol` as the Service has it."""

    protocol: str
    port: int
    node_port: int = 0


class Balancer(msgspec.Struct, frozen=True):
    """A Service's load balancer.

    service    `namespace/name`
    addresses  its own, one for each IP family
    ranges     who may come, in CIDR; empty: everybody
    nodes      where its packets may go: name -> addresses, the primary one first
    """

    service: str
    addresses: tuple[str, ...]
    mode: Mode
    listeners: tuple[Listener, ...]
    ranges: tuple[str, ...]
    check: HealthCheck
    nodes: Mapping[str, tuple[str, ...]]

    @property
    def check_port(self) -> int:
        """Where the nodes are asked; 0 where there is nothing to ask: then all are taken for healthy."""
        ports = (listener.node_port for listener in self.listeners if listener.protocol == "TCP")
        return self.check.port or next(ports, 0)


def wants(service: Service) -> bool:
    """Whether a Service wants this cloud's load balancer: a class would name another one."""
    return service.spec.type == "LoadBalancer" and service.spec.load_balancer_class is None


def eligible(nodes: Iterable[Node]) -> dict[str, tuple[str, ...]]:
    """Nodes that may take part, name -> addresses, in order of their names."""
    return {node.name: node.internal_ips for node in sorted(nodes, key=lambda node: node.name) if _may_serve(node)}


def _may_serve(node: Node) -> bool:
    tainted = any(taint.key == LEAVING for taint in node.spec.taints)
    return not (node.metadata.deletion_timestamp or EXCLUDED in node.metadata.labels or tainted)


def described(service: Service, addresses: tuple[str, ...], nodes: Mapping[str, tuple[str, ...]]) -> Balancer:
    """The balancer of a Service that wants one. Raises `LabError` where the Service asks for what cannot be."""
    spec, annotations = service.spec, service.metadata.annotations
    mode = settings.mode(annotations)
    listeners = tuple(Listener(port.protocol, port.port, port.node_port) for port in spec.ports)
    for each in listeners:
        if mode == "Proxy" and not each.node_port:
            raise LabError(f"port {each.port} has no node port, and a load balancer in ipMode Proxy needs one")
        if mode == "Proxy" and each.protocol == "SCTP":
            raise LabError(f"port {each.port} is SCTP, which a load balancer in ipMode Proxy does not speak")
    local = spec.health_check_node_port if spec.external_traffic_policy == "Local" else 0
    return Balancer(
        service=service.key,
        addresses=addresses,
        mode=mode,
        listeners=listeners,
        ranges=tuple(str(ip_network(text.strip(), strict=False)) for text in spec.load_balancer_source_ranges),
        check=settings.health_check(annotations, local),
        nodes=nodes,
    )


def addresses(service: Service) -> tuple[str, ...]:
    """The addresses that a Service's status says it has."""
    return tuple(ingress.ip for ingress in service.status.load_balancer.ingress if ingress.ip)


def like(addresses: Iterable[str], other: str) -> str:
    """The first of the addresses that is of the IP family of another one; empty without one."""
    return next((address for address in addresses if (":" in address) == (":" in other)), "")


def plan(services: Iterable[Service], nodes: Iterable[Node], networks: Collection[str]) -> dict[str, Balancer]:
    """The balancers that stand, by Service: those that have got their address, out of `networks`.

    What cannot be is left out.
    """
    there = eligible(nodes)
    found = {}
    for service in services:
        own = tuple(each for each in addresses(service) if any(pool.inside(each, network) for network in networks))
        if own and wants(service) and not service.metadata.deletion_timestamp:
            try:
                found[service.key] = described(service, own, there)
            except LabError:
                continue  # the controller says so, in an Event
    return found
