"""The part of kube-proxy's table that exists without any Service: base chains, dispatch, and the sets they ask.

    prerouting  -110 firewall-check           -100 services -> service-ips, service-nodeports
    output      -110 firewall-check           -100 services       0 service-endpoints-check, cluster-ips-check
    input          0 nodeport-endpoints-check, service-endpoints-check
    forward        0 service-endpoints-check, cluster-ips-check
    postrouting  100 masquerading

Source: Kubernetes v1.34, pkg/proxy/nftables/proxier.go (`nftablesBaseChains`, `nftablesJumpChains`, `setupNFTables`).
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from labkit.net.nft import (
    Chain,
    CtState,
    Dispatch,
    Element,
    FibLocal,
    Hook,
    InRanges,
    InSet,
    Key,
    Masquerade,
    Match,
    NamedSet,
    NftFamily,
    Reject,
    Rule,
    SetMark,
    Statement,
    Table,
    Unmarked,
    Verdict,
)
from labkit.net.nft.statements import Field
from labkit.net.nft.table import KeyType
from labkit.proxy.nftables.names import TABLE

NO_SERVICES, NO_NODE_PORTS = "no-endpoint-services", "no-endpoint-nodeports"
CLUSTER_IPS, SERVICE_IPS, NODE_PORTS, FIREWALL_IPS = "cluster-ips", "service-ips", "service-nodeports", "firewall-ips"
NODE_PORT_IPS, MARK, REJECT = "nodeport-ips", "mark-for-masquerade", "reject-chain"

_BASE = (
    ("filter-prerouting-pre-dnat", Hook("filter", "prerouting", -110)),
    ("filter-output-pre-dnat", Hook("filter", "output", -110)),
    ("filter-input", Hook("filter", "input", 0)),
    ("filter-forward", Hook("filter", "forward", 0)),
    ("filter-output", Hook("filter", "output", 0)),
    ("nat-prerouting", Hook("nat", "prerouting", -100)),
    ("nat-output", Hook("nat", "output", -100)),
    ("nat-postrouting", Hook("nat", "postrouting", 100)),
)
_JUMPS = (  # to, from, only for the first packet of a connection
    ("nodeport-endpoints-check", "filter-input", True),
    ("service-endpoints-check", "filter-input", True),
    ("service-endpoints-check", "filter-forward", True),
    ("service-endpoints-check", "filter-output", True),
    ("firewall-check", "filter-prerouting-pre-dnat", True),
    ("firewall-check", "filter-output-pre-dnat", True),
    ("services", "nat-output", False),
    ("services", "nat-prerouting", False),
    ("masquerading", "nat-postrouting", False),
    ("cluster-ips-check", "filter-forward", True),
    ("cluster-ips-check", "filter-output", True),
)


class Frame(msgspec.Struct, frozen=True):
    """What shapes the fixed part.

    mark            the bit of a packet's mark that asks for masquerading
    service_cidrs   where cluster IPs come from; an address there that no Service has is dropped
    node_port_ips   the node's addresses at which NodePorts answer; None: at all of them
    """

    family: NftFamily
    mark: int
    service_cidrs: tuple[str, ...]
    node_port_ips: tuple[str, ...] | None

    def table(self) -> Table:
        """The table as it is without Services."""
        ips: dict[Key, Element] = {(ip,): Element() for ip in self.node_port_ips or ()}
        held = {NODE_PORT_IPS: ips} if ips else {}
        return Table(self.family, TABLE, tuple(self._sets()), tuple(self._chains()), held, "rules for kube-proxy")

    def _sets(self) -> list[NamedSet]:
        address: KeyType = "ipv6_addr" if self.family == "ip6" else "ipv4_addr"
        port: tuple[KeyType, ...] = ("inet_proto", "inet_service")
        found = [NamedSet(CLUSTER_IPS, (address,), comment="Active ClusterIPs")]
        if self.node_port_ips is not None:
            found.append(NamedSet(NODE_PORT_IPS, (address,), comment="IPs that accept NodePort traffic"))
        maps: Sequence[tuple[str, tuple[KeyType, ...], str]] = (
            (NO_SERVICES, (address, *port), "vmap to drop or reject packets to services with no endpoints"),
            (NO_NODE_PORTS, port, "vmap to drop or reject packets to service nodeports with no endpoints"),
            (FIREWALL_IPS, (address, *port), "destinations that are subject to LoadBalancerSourceRanges"),
            (SERVICE_IPS, (address, *port), "ClusterIP, ExternalIP and LoadBalancer IP traffic"),
            (NODE_PORTS, port, "NodePort traffic"),
        )
        return found + [NamedSet(name, key, True, comment) for name, key, comment in maps]

    def _chains(self) -> list[Chain]:
        rules: dict[str, list[Rule]] = {name: [] for name in (*(n for n, _ in _BASE), *(to for to, _, _ in _JUMPS))}
        for to, where, first in _JUMPS:
            conditions: tuple[Statement, ...] = (CtState("new"),) if first else ()
            rules[where].append(Rule((*conditions, Verdict("jump", to))))
        for name, own in self._rules().items():
            rules.setdefault(name, []).extend(own)
        hooks, said = dict(_BASE), {REJECT: "helper for @no-endpoint-services / @no-endpoint-nodeports"}
        return [Chain(name, tuple(rules[name]), hooks.get(name), said.get(name, "")) for name in rules]

    def _rules(self) -> dict[str, list[Rule]]:
        daddr: Field = "ip6 daddr" if self.family == "ip6" else "ip daddr"
        service: tuple[Field, ...] = (daddr, "meta l4proto", "th dport")
        node_port = Dispatch(("meta l4proto", "th dport"), NODE_PORTS)
        refused_port = Dispatch(("meta l4proto", "th dport"), NO_NODE_PORTS)
        here = self._node_port_address(daddr)
        local = (FibLocal("daddr"),) if self.node_port_ips is None else ()
        return {
            MARK: [Rule((SetMark("|", self.mark),))],
            "masquerading": [
                Rule((Unmarked(self.mark), Verdict("return"))),
                Rule((SetMark("^", self.mark),)),  # cleared: a packet that passes here again is not masqueraded twice
                Rule((Masquerade(),)),
            ],
            "cluster-ips-check": [
                Rule((InSet(daddr, CLUSTER_IPS), Reject()), "Reject traffic to invalid ports of ClusterIPs"),
                *self._unallocated(daddr),
            ],
            REJECT: [Rule((Reject(),))],
            "service-endpoints-check": [Rule((Dispatch(service, NO_SERVICES),))],
            "nodeport-endpoints-check": [Rule((here, refused_port))],
            "firewall-check": [Rule((Dispatch(service, FIREWALL_IPS),))],
            "services": [Rule((Dispatch(service, SERVICE_IPS),)), Rule((*local, here, node_port))],
        }

    def _node_port_address(self, daddr: Field) -> Statement:
        """NodePorts never answer on localhost in this mode."""
        if self.node_port_ips is not None:
            return InSet(daddr, NODE_PORT_IPS)
        return Match(daddr, "::1" if self.family == "ip6" else "127.0.0.0/8", negated=True)

    def _unallocated(self, daddr: Field) -> list[Rule]:
        if not self.service_cidrs:
            return []
        one = len(self.service_cidrs) == 1
        within = Match(daddr, self.service_cidrs[0]) if one else InRanges(daddr, self.service_cidrs)
        return [Rule((within, Verdict("drop")), "Drop traffic to unallocated ClusterIPs")]
