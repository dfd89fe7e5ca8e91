"""Services and EndpointSlices as kube-proxy sees them: one `Frontend` per Service port, `Backend`s behind it.

One model serves all nodes: what is local to a node is found by the name of the node.

Source: Kubernetes v1.34, pkg/proxy/serviceport.go, endpoint.go, endpointslicecache.go.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from ipaddress import ip_address, ip_network

import msgspec

from labkit.api import own
from labkit.api.objects import Endpoint, EndpointSlice, Service, ServicePort
from labkit.net.packet import endpoint as join_port
from labkit.net.rules import Family

_NOT_OURS = ("service.kubernetes.io/service-proxy-name", "service.kubernetes.io/headless")

_ALGORITHM = "service.cilium.io/lb-algorithm"
MOST_WEIGHT = 65535  # as ipvsadm has it

PortKey = tuple[str, str]
"""A Service port: `ns/service:port` (without the colon where the port has no name), and the protocol in lower case."""


class Frontend(msgspec.Struct, frozen=True):
    """One port of a Service: where it can be reached, and by which policies.

    name              `ns/service:port`; protocol in lower case
    affinity_seconds  how long a client keeps its endpoint; 0 without session affinity
    algorithm         "random" or "maglev" where Cilium's annotation asks for one, for the ebpf mode
    target_port       its targetPort where that is a number, else 0; on Linux the endpoints' own ports count alone
    """

    name: str
    protocol: str
    cluster_ip: str
    port: int
    node_port: int = 0
    external_ips: tuple[str, ...] = ()
    load_balancer_ips: tuple[str, ...] = ()
    source_ranges: tuple[str, ...] = ()
    health_check_port: int = 0
    internal_local: bool = False
    external_local: bool = False
    affinity_seconds: int = 0
    algorithm: str = ""
    target_port: int = 0

    @property
    def key(self) -> PortKey:
        return self.name, self.protocol

    @property
    def external(self) -> bool:
        """Whether it has an address other than its cluster IP."""
        return bool(self.node_port or self.external_ips or self.load_balancer_ips)

    @property
    def uses_cluster(self) -> bool:
        """Whether some of its traffic may go to any node. External traffic may: pods short-circuit to it."""
        return not self.internal_local or self.external

    @property
    def uses_local(self) -> bool:
        """Whether some of its traffic must stay on this node."""
        return self.internal_local or (self.external_local and self.external)


class Backend(msgspec.Struct, frozen=True):
    """One endpoint of one port. `address` is `ip:port`; `node` has its pod; hints are sets of names.

    weight  its share of new connections in ipvs mode, from the lab's own annotation
    """

    address: str
    ip: str
    node: str = ""
    ready: bool = True
    serving: bool = True
    terminating: bool = False
    zone_hints: tuple[str, ...] = ()
    node_hints: tuple[str, ...] = ()
    weight: int = 1


class Port(msgspec.Struct, frozen=True):
    """A Service port and its endpoints, sorted by address."""

    frontend: Frontend
    backends: tuple[Backend, ...] = ()


def of_family(address: str, family: Family) -> bool:
    return (":" in address) == (family == "IPv6")


def port_name(namespace: str, service: str, port: str) -> str:
    """`ns/name:port`, or `ns/name` where the port has no name: how rules name a Service port."""
    return f"{namespace}/{service}:{port}" if port else f"{namespace}/{service}"


def frontends(service: Service, family: Family) -> list[Frontend]:
    """The ports of a Service that has a cluster IP of the family.

    Headless and ExternalName Services have none, and those labelled for another proxy are not ours.
    """
    address = _cluster_ip(service, family)
    if not address or service.spec.type == "ExternalName" or service.metadata.labels.keys() & set(_NOT_OURS):
        return []
    return [_frontend(service, port, address, family) for port in service.spec.ports]


def _cluster_ip(service: Service, family: Family) -> str:
    """The cluster IP of the family; empty where there is none."""
    known = service.spec.cluster_ips or (service.spec.cluster_ip,)
    return next((ip for ip in known if ip not in ("", "None") and of_family(ip, family)), "")


def _frontend(service: Service, port: ServicePort, cluster_ip: str, family: Family) -> Frontend:
    spec = service.spec
    reachable = spec.type in ("NodePort", "LoadBalancer") or bool(spec.external_ips)
    external_local = reachable and spec.external_traffic_policy == "Local"
    return Frontend(
        name=port_name(service.namespace, service.name, port.name),
        protocol=port.protocol.lower(),
        cluster_ip=cluster_ip,
        port=port.port,
        node_port=port.node_port,
        external_ips=tuple(ip for ip in spec.external_ips if of_family(ip, family)),
        load_balancer_ips=_virtual_ips(service, family),
        source_ranges=_source_ranges(spec.load_balancer_source_ranges, family),
        health_check_port=spec.health_check_node_port if spec.type == "LoadBalancer" and external_local else 0,
        internal_local=spec.internal_traffic_policy == "Local",
        external_local=external_local,
        affinity_seconds=_affinity_seconds(service),
        algorithm=_algorithm(service),
        target_port=port.target_port if isinstance(port.target_port, int) else 0,
    )


def _algorithm(service: Service) -> str:
    """Other values say nothing, as in Cilium (pkg/loadbalancer/loadbalancer.go, `ToSVCLoadBalancingAlgorithm`)."""
    asked = service.metadata.annotations.get(_ALGORITHM, "").lower()
    return asked if asked in ("random", "maglev") else ""


def _virtual_ips(service: Service, family: Family) -> tuple[str, ...]:
    """Load balancer addresses that reach the node unchanged; ipMode Proxy means that they don't (KEP-1860)."""
    ingress = service.status.load_balancer.ingress
    return tuple(i.ip for i in ingress if i.ip and of_family(i.ip, family) and i.ip_mode in (None, "VIP"))


def _source_ranges(ranges: Iterable[str], family: Family) -> tuple[str, ...]:
    """The ranges of the family without blanks and host bits."""
    return tuple(str(ip_network(r.strip(), strict=False)) for r in ranges if of_family(r, family))


def _affinity_seconds(service: Service) -> int:
    if service.spec.session_affinity != "ClientIP":
        return 0
    config = service.spec.session_affinity_config
    return config.client_ip.timeout_seconds if config and config.client_ip else 10800


def backends(slices: Iterable[EndpointSlice], family: Family) -> dict[PortKey, tuple[Backend, ...]]:
    """The endpoints of each Service port that the slices name, sorted by address.

    Two slices may name the same address while one replaces the other, on different nodes even: then both are here.
    """
    found: dict[PortKey, dict[tuple[str, str], Backend]] = {}
    for one in sorted(slices, key=lambda s: s.name):
        if one.address_type != family:
            continue
        weights = _weights(one.metadata.annotations.get(own.WEIGHT, ""))
        for port in one.ports:
            if port.port is None:
                continue
            key = (port_name(one.namespace, one.service, port.name), port.protocol.lower())
            known = found.setdefault(key, {})
            for end in one.endpoints:
                backend = _backend(end, port.port, weights)
                known[backend.address, backend.node] = backend
    return {key: tuple(by[a] for a in sorted(by)) for key, by in found.items()}


def _weights(text: str) -> Mapping[str, int]:
    """Address -> weight, from `10.244.1.5=3, 10.244.2.7=1`; a number alone is for all others. What makes no sense of it
    is passed over.
    """
    found = (entry.strip().rpartition("=") for entry in text.split(","))
    return {ip: int(number) for ip, _, number in found if number.isdecimal() and int(number) <= MOST_WEIGHT}


def _backend(end: Endpoint, port: int, weights: Mapping[str, int]) -> Backend:
    """Unknown (None) means ready and serving, and not terminating (discovery/v1)."""
    conditions = end.conditions
    ip = str(ip_address(end.addresses[0]))
    return Backend(
        address=join_port(ip, port),
        ip=ip,
        node=end.node_name,
        ready=conditions.ready is not False,
        serving=conditions.serving is not False,
        terminating=conditions.terminating is True,
        zone_hints=tuple(z.name for z in end.hints.for_zones) if end.hints else (),
        node_hints=tuple(n.name for n in end.hints.for_nodes) if end.hints else (),
        weight=weights.get(ip, weights.get("", 1)),
    )
