"""The part of one Service port in the table: its chains, its sets, and its elements in the maps.

    service-ips --cluster IP--> service-… (or local-…, this node's endpoints only) -> endpoint-… -> dnat
    service-ips --external or load balancer IP--> external-… -> service-… / local-…
    service-nodeports --node port--> external-…
    firewall-ips --load balancer IP--> firewall-… (source ranges)

Source: Kubernetes v1.34, pkg/proxy/nftables/proxier.go (`syncProxyRules`, `writeServiceToEndpointRules`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from ipaddress import ip_address, ip_network

import msgspec

from labkit.net.nft import (
    Chain,
    Dnat,
    Element,
    FibLocal,
    InRanges,
    InSet,
    Match,
    NamedSet,
    Rule,
    Spread,
    Statement,
    Update,
    Verdict,
)
from labkit.net.nft.intervals import merged
from labkit.net.nft.statements import Field
from labkit.net.nft.table import Key, KeyType
from labkit.proxy.endpoints import Selection
from labkit.proxy.model import Backend, Frontend
from labkit.proxy.nftables.frame import (
    CLUSTER_IPS,
    FIREWALL_IPS,
    MARK,
    NO_NODE_PORTS,
    NO_SERVICES,
    NODE_PORTS,
    REJECT,
    SERVICE_IPS,
)
from labkit.proxy.nftables.names import endpoint_base, is_affinity_set, port_base

_MARK = Verdict("jump", MARK)
_DROP = Verdict("drop")
_REFUSE = Verdict("goto", REJECT)


class Part(msgspec.Struct, frozen=True):
    """Chains and sets that this port alone has; elements: (set, key) -> what the port wants there."""

    chains: tuple[Chain, ...] = ()
    sets: tuple[NamedSet, ...] = ()
    elements: dict[tuple[str, Key], Element] = {}

    def alters(self, other: Part) -> bool:
        """Whether a set of both has another time-out here."""
        known = {one.name: one for one in other.sets}
        return any(known.get(one.name, one) != one for one in self.sets)


def without_affinity(part: Part) -> Part:
    """The same part, but clients are not remembered."""
    return Part(tuple(map(forgetful, part.chains)), (), part.elements)


def forgetful(chain: Chain) -> Chain:
    """The chain without the rules that remember clients, or send them where they were."""
    kept = (r for r in chain.rules if not any(_remembers(statement) for statement in r.statements))
    return Chain(chain.name, tuple(kept), chain.hook, chain.comment)


def _remembers(statement: Statement) -> bool:
    return isinstance(statement, Update | InSet) and is_affinity_set(statement.name)


def part(port: Frontend, selection: Selection, cluster_cidr: str, masquerade_all: bool, node_ip: str) -> Part:
    """All of one port. `node_ip`: the node's first address of the port's family, or empty."""
    return _Writer(port, selection, cluster_cidr, masquerade_all, node_ip).part()


@dataclass(frozen=True)
class _Writer:
    port: Frontend
    selection: Selection
    cluster_cidr: str
    masquerade_all: bool
    node_ip: str

    def part(self) -> Part:
        ends = [(self._endpoint(backend.address), backend) for backend in self.selection.reachable]
        chains = [Chain(f"endpoint-{base}", tuple(self._to(base, backend))) for base, backend in ends]
        cluster, local = self.selection.cluster or (), self.selection.local or ()
        if cluster:
            chains.append(Chain(self._service, (*self._internal(self._service), *self._spread(cluster))))
        if local:
            chains.append(Chain(self._local, (*self._internal(self._local), *self._spread(local))))
        if self._has_external:
            chains.append(Chain(self._external, tuple(self._from_outside())))
        if self._has_firewall:
            chains.append(Chain(self._firewall, (self._allowed(),)))
        sets = [self._affinity(base) for base, _ in ends] if self.port.affinity_seconds else []
        return Part(tuple(chains), tuple(sets), dict(self._elements()))

    @property
    def _base(self) -> str:
        return port_base(self.port.name, self.port.protocol)

    @property
    def _service(self) -> str:
        return f"service-{self._base}"

    @property
    def _local(self) -> str:
        return f"local-{self._base}"

    @property
    def _external(self) -> str:
        return f"external-{self._base}"

    @property
    def _firewall(self) -> str:
        return f"firewall-{self._base}"

    @property
    def _has_external(self) -> bool:
        """Also without an endpoint on this node: pods and the node itself still reach the others through it."""
        return self.selection.anywhere and self.port.external

    @property
    def _has_firewall(self) -> bool:
        return bool(self.port.load_balancer_ips and self.port.source_ranges)

    @property
    def _saddr(self) -> Field:
        return "ip6 saddr" if ":" in self.port.cluster_ip else "ip saddr"

    def _endpoint(self, address: str) -> str:
        return endpoint_base(self.port.name, self.port.protocol, address)

    def _affinity(self, base: str) -> NamedSet:
        address: KeyType = "ipv6_addr" if ":" in self.port.cluster_ip else "ipv4_addr"
        return NamedSet(f"affinity-{base}", (address,), timeout=self.port.affinity_seconds)

    def _refusal(self, local_only: bool) -> Verdict | None:
        """What happens to traffic instead of forwarding; None where it is forwarded."""
        if not self.selection.anywhere:
            return _REFUSE
        return _DROP if local_only and not self.selection.local else None

    def _elements(self) -> Iterator[tuple[tuple[str, Key], Element]]:
        port, anywhere = self.port, self.selection.anywhere
        refused = self._refusal(port.external_local)
        to_external, firewall = Element(Verdict("goto", self._external)), Element(Verdict("goto", self._firewall))
        yield (CLUSTER_IPS, (port.cluster_ip,)), Element()
        yield self._cluster_ip()
        for ip in (*port.external_ips, *port.load_balancer_ips):
            key: Key = (ip, port.protocol, str(port.port))
            if anywhere:
                yield (SERVICE_IPS, key), to_external
            if self._has_firewall and ip in port.load_balancer_ips:
                yield (FIREWALL_IPS, key), firewall
            if refused:
                yield (NO_SERVICES, key), Element(refused, port.name)
        if port.node_port:
            key = (port.protocol, str(port.node_port))
            if anywhere:
                yield (NODE_PORTS, key), to_external
            if refused:
                yield (NO_NODE_PORTS, key), Element(refused, port.name)

    def _cluster_ip(self) -> tuple[tuple[str, Key], Element]:
        port = self.port
        key = (port.cluster_ip, port.protocol, str(port.port))
        if refused := self._refusal(port.internal_local):
            return (NO_SERVICES, key), Element(refused, port.name)
        return (SERVICE_IPS, key), Element(Verdict("goto", self._local if port.internal_local else self._service))

    def _internal(self, chain: str) -> Iterator[Rule]:
        """What comes for the cluster IP from outside the pods' range must return through this node."""
        port = self.port
        if chain != (self._local if port.internal_local else self._service) or not (
            self.masquerade_all or self.cluster_cidr
        ):
            return
        daddr: Field = "ip6 daddr" if ":" in port.cluster_ip else "ip daddr"
        foreign = () if self.masquerade_all else (Match(self._saddr, self.cluster_cidr, negated=True),)
        yield Rule((Match(daddr, port.cluster_ip), *foreign, _MARK))

    def _from_outside(self) -> Iterator[Rule]:
        """external-…: with externalTrafficPolicy Local the source is kept, and own traffic goes to any node."""
        port = self.port
        if not port.external_local:
            yield Rule((_MARK,))
        else:
            own = FibLocal("saddr")
            if self.cluster_cidr:
                pods = Match(self._saddr, self.cluster_cidr)
                yield Rule((pods, Verdict("goto", self._service)), "short-circuit pod traffic")
            yield Rule((own, _MARK), "masquerade local traffic")
            yield Rule((own, Verdict("goto", self._service)), "short-circuit local traffic")
        if not self._refusal(port.external_local):
            yield Rule((Verdict("goto", self._local if port.external_local else self._service),))

    def _allowed(self) -> Rule:
        """firewall-…: drop what no source range allows."""
        ranges = self.port.source_ranges
        # A node that holds the load balancer's address as its own reaches it with that address as source.
        if self.node_ip and any(ip_address(self.node_ip) in ip_network(r) for r in ranges):
            ranges = (*ranges, *self.port.load_balancer_ips)
        if len(ranges) > 1:
            return Rule((InRanges(self._saddr, ranges, negated=True), _DROP))
        return Rule((Match(self._saddr, str(merged(ranges)[0]), negated=True), _DROP))

    def _spread(self, backends: Sequence[Backend]) -> Iterator[Rule]:
        """First where the client was sent before, then one endpoint at random."""
        ends = [self._endpoint(backend.address) for backend in backends]
        to = [Verdict("goto", f"endpoint-{base}") for base in ends]
        if self.port.affinity_seconds:
            for base, verdict in zip(ends, to, strict=True):
                yield Rule((InSet(self._saddr, f"affinity-{base}"), verdict))
        yield Rule((Spread(tuple(to)),))

    def _to(self, base: str, backend: Backend) -> Iterator[Rule]:
        """endpoint-…: masquerade a pod that reaches itself (else it would answer itself directly), then DNAT."""
        yield Rule((Match(self._saddr, backend.ip), _MARK))
        if self.port.affinity_seconds:
            yield Rule((Update(f"affinity-{base}", self._saddr),))
        action: tuple[Statement, ...] = (Match("meta l4proto", self.port.protocol), Dnat(backend.address))
        yield Rule(action)
