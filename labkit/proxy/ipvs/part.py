"""What one Service port asks of a node: virtual servers, addresses on kube-ipvs0, entries of sets.

Source: Kubernetes v1.34, pkg/proxy/ipvs/proxier.go (`syncProxyRules`, `syncEndpoint`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from ipaddress import ip_address, ip_network

import msgspec

from labkit.net.ipset import Element
from labkit.net.ipvs import RealServer, VirtualServer
from labkit.proxy.endpoints import Selection
from labkit.proxy.ipvs import sets
from labkit.proxy.model import Backend, Frontend

Entry = tuple[str, Element]
"""The set's IPv4 name, and what is in it."""


class Where(msgspec.Struct, frozen=True):
    """The node that the port is planned for.

    addresses    all of its own but loopback, and those on kube-ipvs0
    node_ports   those of them on which NodePorts answer
    internal_ip  by which the cluster knows it; "" where it has none of the family
    """

    node: str
    addresses: frozenset[str] = frozenset()
    node_ports: tuple[str, ...] = ()
    internal_ip: str = ""
    scheduler: str = "rr"


class Part(msgspec.Struct, frozen=True):
    """bound: addresses that kube-ipvs0 must have. closed: load balancer ports that the node itself may not reach."""

    servers: tuple[VirtualServer, ...] = ()
    bound: frozenset[str] = frozenset()
    entries: frozenset[Entry] = frozenset()
    closed: tuple[Element, ...] = ()


def part(port: Frontend, backends: Sequence[Backend], selection: Selection, where: Where) -> Part:
    """The part of one port. `backends` are all of its endpoints, `selection` those that this node uses."""
    made = _Port(port, tuple(backends), selection, where)
    captured = [*made.cluster(), *made.external(), *made.load_balanced(), *made.node_ported()]
    return Part(
        servers=tuple(server for server, _ in captured),
        bound=frozenset(server.ip for server, bound in captured if bound),
        entries=frozenset(made.entries()),
        closed=tuple(made.closed()),
    )


@dataclass(frozen=True)
class _Port:
    port: Frontend
    backends: tuple[Backend, ...]
    selection: Selection
    where: Where

    def cluster(self) -> Iterator[tuple[VirtualServer, bool]]:
        yield self._server(self.port.cluster_ip, self.port.port, self.port.internal_local), True

    def external(self) -> Iterator[tuple[VirtualServer, bool]]:
        """An address that another interface of the node has is not bound a second time."""
        for ip in self.port.external_ips:
            yield self._server(ip, self.port.port, self.port.external_local), ip not in self.where.addresses

    def load_balanced(self) -> Iterator[tuple[VirtualServer, bool]]:
        for ip in self.port.load_balancer_ips:
            yield self._server(ip, self.port.port, self.port.external_local), ip not in self.where.addresses

    def node_ported(self) -> Iterator[tuple[VirtualServer, bool]]:
        if self.port.node_port:
            for ip in self.where.node_ports:
                yield self._server(ip, self.port.node_port, self.port.external_local), False

    def entries(self) -> Iterator[Entry]:
        port = self.port
        yield sets.CLUSTER_IP, self._to(port.cluster_ip)
        for ip in port.external_ips:
            yield sets.EXTERNAL_IP_LOCAL if port.external_local else sets.EXTERNAL_IP, self._to(ip)
        for ip in port.load_balancer_ips:
            yield from self._load_balancer(ip)
        if port.node_port and self.where.node_ports:
            for element in self._node_port():
                yield sets.NODE_PORT[port.protocol], element
                if port.external_local:
                    yield sets.NODE_PORT_LOCAL[port.protocol], element
        if port.health_check_port:
            yield sets.HEALTH_CHECK, Element(port=port.health_check_port)
        for backend in self.backends:
            if backend.node == self.where.node:
                number = int(backend.address.rpartition(":")[2])
                yield sets.LOOP_BACK, Element(backend.ip, port.protocol, number, backend.ip)

    def closed(self) -> Iterator[Element]:
        if self._ranges and not self._allows_node:
            yield from map(self._to, self.port.load_balancer_ips)

    def _load_balancer(self, ip: str) -> Iterator[Entry]:
        to = self._to(ip)
        yield sets.LOAD_BALANCER, to
        if self.port.external_local:
            yield sets.LOAD_BALANCER_LOCAL, to
        if not self._ranges:
            return
        yield sets.LOAD_BALANCER_FW, to
        for prefix in self._ranges:
            yield sets.SOURCE_CIDR, msgspec.structs.replace(to, second=prefix)
        if self._allows_node:
            yield sets.SOURCE_IP, msgspec.structs.replace(to, second=ip)

    @property
    def _ranges(self) -> tuple[str, ...]:
        """The source ranges; none where one of them holds every address, which no set can have."""
        ranges = self.port.source_ranges
        return () if any(prefix.endswith("/0") for prefix in ranges) else ranges

    @property
    def _allows_node(self) -> bool:
        ip = self.where.internal_ip
        return bool(ip) and any(ip_address(ip) in ip_network(prefix) for prefix in self._ranges)

    def _node_port(self) -> Iterator[Element]:
        """There is no kind of set of SCTP ports alone: an entry for each address."""
        if self.port.protocol != "sctp":
            yield Element(port=self.port.node_port)
            return
        for ip in self.where.node_ports:
            yield Element(ip, "sctp", self.port.node_port)

    def _to(self, ip: str) -> Element:
        return Element(ip, self.port.protocol, self.port.port)

    def _server(self, ip: str, number: int, local_only: bool) -> VirtualServer:
        """With no endpoint on this node, a Local policy uses those of other nodes: pods here could reach none else."""
        usable = (self.selection.local if local_only else None) or self.selection.cluster or ()
        real = (RealServer(b.ip, int(b.address.rpartition(":")[2]), b.weight) for b in usable)
        return VirtualServer(
            ip=ip,
            port=number,
            protocol=self.port.protocol,
            scheduler=self.where.scheduler,
            persistent=self.port.affinity_seconds,
            hash_port=self.where.scheduler == "mh",
            servers=tuple(sorted(real)),
        )
