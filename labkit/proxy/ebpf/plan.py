"""What one node's maps say, as a value, without the numbers that the maps give to things.

    Port --> Share: the frontends of one Service port, with the endpoints that this node uses behind each
    EbpfPlan: all of them, printed as `cilium-dbg bpf lb list` prints the maps

An external address with policy Local has two scopes: what comes from outside goes to this node's endpoints, what pods
and nodes send goes to any (lookup_service in lb.h).
Source: cilium pkg/loadbalancer/loadbalancer.go (types and flags), Kubernetes v1.34 pkg/proxy/topology.go.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from ipaddress import ip_address, ip_network
from typing import Literal

import msgspec

from labkit.net.packet import endpoint
from labkit.proxy.config import DEFAULT, ProxyConfig
from labkit.proxy.ebpf.maps import MAPS, maps_for
from labkit.proxy.endpoints import Selection, select
from labkit.proxy.mode import View
from labkit.proxy.model import Backend, Port
from labkit.proxy.model import Frontend as ServicePort

Kind = Literal["ClusterIP", "NodePort", "ExternalIPs", "LoadBalancer"]
Address = tuple[str, int, str]
"""Address, port and protocol (in lower case) of a frontend or an endpoint."""

PROTOCOLS = ("tcp", "udp")
_UNSPECIFIED = {maps.unspecified for maps in MAPS.values()}


class Frontend(msgspec.Struct, frozen=True):
    """One address of a Service.

    backends          endpoints for what comes from outside, and for all others where `internal` is None
    internal          endpoints for pods and nodes, where those differ by policy
    local             externalTrafficPolicy (a cluster IP: internalTrafficPolicy) is Local
    affinity_seconds  0 without session affinity
    maglev            endpoints are picked by the Maglev table, for what comes from outside
    ranges            who may come from outside; empty: everybody
    """

    address: Address
    kind: Kind
    backends: tuple[Address, ...]
    internal: tuple[Address, ...] | None = None
    local: bool = False
    affinity_seconds: int = 0
    maglev: bool = False
    ranges: tuple[str, ...] = ()

    @property
    def routable(self) -> bool:
        """Whether the outside may use it."""
        return self.kind != "ClusterIP" and self.address[0] not in _UNSPECIFIED


class Share(msgspec.Struct, frozen=True):
    """What one Service port puts into the maps: `idle` endpoints are for connections that they have already."""

    frontends: tuple[Frontend, ...]
    idle: frozenset[Address]
    here: frozenset[str]

    @property
    def active(self) -> frozenset[Address]:
        return frozenset(a for f in self.frontends for a in (*f.backends, *(f.internal or ())))


class EbpfPlan(msgspec.Struct, frozen=True):
    """All that a node's maps of one family hold.

    frontends  by address; where two Services claim one, the first by name has it
    here       addresses of the node's own endpoints
    numbers    of the frontends (REVNAT_ID); empty where nothing has been written yet
    """

    cluster_cidr: str
    frontends: Mapping[Address, Frontend]
    here: frozenset[str]
    numbers: Mapping[Address, int]

    def __str__(self) -> str:
        lines = [("SERVICE ADDRESS", "BACKEND ADDRESS (REVNAT_ID) (SLOT)")]
        for address in sorted(self.frontends, key=_order):
            lines += listing(self.frontends[address], self.numbers.get(address, 0))
        width = max(len(left) for left, _ in lines) + 3
        return "".join(f"{left:<{width}}{right}\n" for left, right in lines)


def plan(view: View, config: ProxyConfig = DEFAULT) -> EbpfPlan:
    """The plan for a view, from nothing."""
    frontends: dict[Address, Frontend] = {}
    here: set[str] = set()
    for key in reversed(view.keys):
        one = share(view.ports[key], view, config)
        frontends.update({f.address: f for f in one.frontends})
        here |= one.here
    return EbpfPlan(config.cluster_cidr, frontends, frozenset(here), {})


def merged(plans: Iterable[EbpfPlan]) -> EbpfPlan:
    """The maps of both families in one list, as Cilium has them."""
    frontends: dict[Address, Frontend] = {}
    numbers: dict[Address, int] = {}
    here: set[str] = set()
    for one in plans:
        frontends |= one.frontends
        numbers |= one.numbers
        here |= one.here
    return EbpfPlan("", frontends, frozenset(here), numbers)


def share(port: Port, view: View, config: ProxyConfig) -> Share:
    """One Service port on the node of the view. Depends on no other port."""
    front = port.frontend
    if front.protocol not in PROTOCOLS:  # Cilium has SCTP behind a switch, and not for sockets
        return Share((), frozenset(), frozenset())
    chosen = select(front, port.backends, view.node, view.zone)
    frontends = (*_cluster_ip(port, chosen, config), *_external(port, chosen, view, config))
    active = frozenset(a for f in frontends for a in (*f.backends, *(f.internal or ())))
    every = frozenset(_address(b, front.protocol) for b in port.backends)
    here = frozenset(b.ip for b in port.backends if view.node and b.node == view.node)
    return Share(frontends, every - active, here)


def _cluster_ip(port: Port, chosen: Selection, config: ProxyConfig) -> tuple[Frontend, ...]:
    front = port.frontend
    backends = chosen.local if front.internal_local else chosen.cluster
    return (
        Frontend(
            address=(_spelt(front.cluster_ip), front.port, front.protocol),
            kind="ClusterIP",
            backends=_addresses(backends, front.protocol),
            local=front.internal_local,
            affinity_seconds=front.affinity_seconds,
            maglev=_maglev(front, config),
        ),
    )


def _external(port: Port, chosen: Selection, view: View, config: ProxyConfig) -> tuple[Frontend, ...]:
    front = port.frontend
    anywhere = _addresses(chosen.cluster, front.protocol)
    where: list[tuple[str, int, Kind]] = []
    if front.node_port:
        where += [(ip, front.node_port, "NodePort") for ip in _node_port_addresses(view, config)]
    where += [(ip, front.port, "ExternalIPs") for ip in front.external_ips]
    where += [(ip, front.port, "LoadBalancer") for ip in front.load_balancer_ips]
    return tuple(
        Frontend(
            address=(_spelt(ip), number, front.protocol),
            kind=kind,
            backends=_addresses(chosen.local, front.protocol) if front.external_local else anywhere,
            internal=anywhere if front.external_local else None,
            local=front.external_local,
            affinity_seconds=front.affinity_seconds,
            maglev=_maglev(front, config),
            ranges=front.source_ranges if kind == "LoadBalancer" else (),
        )
        for ip, number, kind in where
    )


def _maglev(front: ServicePort, config: ProxyConfig) -> bool:
    """A Service's own word goes before the configuration's."""
    return (front.algorithm or config.ebpf.algorithm) == "maglev"


def _node_port_addresses(view: View, config: ProxyConfig) -> list[str]:
    """The node's addresses that have NodePorts: all, or those in the given prefixes; and one for 127.0.0.1 or ::1."""
    networks = [ip_network(prefix) for prefix in config.nodeport_addresses if prefix != "primary"]
    found = [ip for ip in view.addresses if not networks or any(ip_address(ip) in n for n in networks)]
    own = ip_address("::1" if config.family == "IPv6" else "127.0.0.1")
    loopback = config.localhost_nodeports and (not networks or any(own in n for n in networks))
    return [*found, MAPS[config.family].unspecified] if loopback else found


def _spelt(ip: str) -> str:
    """An address in the one way in which the maps give it back: IPv6 has several."""
    return str(ip_address(ip)) if ":" in ip else ip


def _addresses(backends: tuple[Backend, ...] | None, protocol: str) -> tuple[Address, ...]:
    return tuple(_address(b, protocol) for b in backends or ())


def _address(backend: Backend, protocol: str) -> Address:
    return backend.ip, int(backend.address.rpartition(":")[2]), protocol


def listing(frontend: Frontend, number: int) -> list[tuple[str, str]]:
    """A frontend's entries in the map of Services, as `cilium-dbg bpf lb list` has them."""
    lines = entries(frontend, number, internal=False)
    return lines + (entries(frontend, number, internal=True) if frontend.internal is not None else [])


def entries(frontend: Frontend, number: int, internal: bool) -> list[tuple[str, str]]:
    """Those of one scope; the position in the list is the slot."""
    name = f"{text(frontend.address)}/i" if internal else text(frontend.address)
    backends = frontend.internal or () if internal else frontend.backends
    nowhere = endpoint(maps_for(frontend.address[0]).unspecified, 0)
    first = (f"{name} (0)", f"{nowhere} ({number}) (0) [{', '.join(_flags(frontend))}]")
    slots = [(f"{name} ({n})", f"{text(b)} ({number}) ({n})") for n, b in enumerate(backends, 1)]
    return [first, *slots]


def _flags(frontend: Frontend) -> list[str]:
    """The words and their order are Cilium's (`ServiceFlags.String`)."""
    flags: list[str] = [frontend.kind]
    if frontend.local:
        flags.append("InternalLocal" if frontend.kind == "ClusterIP" else "Local")
    flags += ["two-scopes"] if frontend.internal is not None else []
    flags += ["sessionAffinity"] if frontend.affinity_seconds else []
    flags += [] if frontend.routable else ["non-routable"]
    flags += ["check source-range"] if frontend.ranges else []
    return flags


def text(address: Address) -> str:
    """`10.96.0.1:443/TCP`"""
    ip, port, protocol = address
    return f"{endpoint(ip, port)}/{protocol.upper()}"


def _order(address: Address) -> tuple[bool, int, int, str]:
    return ":" in address[0], int(ip_address(address[0])), address[1], address[2]
