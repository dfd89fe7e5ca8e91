"""The iptables rules of kube-proxy in ipvs mode: as few as there are sets, however many Services.

    nat     PREROUTING, OUTPUT -> KUBE-SERVICES: mark what must be masqueraded [-> KUBE-LOAD-BALANCER, KUBE-NODE-PORT]
            (IPVS itself picks the server, between INPUT's filter and POSTROUTING)
    filter  INPUT, FORWARD, OUTPUT -> refuse what no Service port or source range allows

Source: Kubernetes v1.34, pkg/proxy/ipvs/proxier.go (`writeIptablesRules`, `acceptIPVSTraffic`, `iptablesJumpChain`,
`ipsetWithIptablesChain`).
"""

from __future__ import annotations

import socket
from collections.abc import Sequence, Set
from dataclasses import dataclass

from labkit.net.ipset import Element
from labkit.net.rules import Ruleset, ruleset
from labkit.proxy.config import ProxyConfig
from labkit.proxy.draft import Draft, comment, ctstate, jump, reject, source
from labkit.proxy.ipvs import sets

CHAINS = {
    "filter": (
        "KUBE-FORWARD",
        "KUBE-NODE-PORT",
        "KUBE-PROXY-FIREWALL",
        "KUBE-SOURCE-RANGES-FIREWALL",
        "KUBE-IPVS-FILTER",
        "KUBE-IPVS-OUT-FILTER",
    ),
    "nat": ("KUBE-SERVICES", "KUBE-POSTROUTING", "KUBE-NODE-PORT", "KUBE-LOAD-BALANCER", "KUBE-MARK-MASQ"),
}
# (table, built-in chain, comment, chain), in the order in which iptables-save shows them: kube-proxy puts each rule
# before the earlier ones.
JUMPS = (
    ("nat", "OUTPUT", "kubernetes service portals", "KUBE-SERVICES"),
    ("nat", "PREROUTING", "kubernetes service portals", "KUBE-SERVICES"),
    ("nat", "POSTROUTING", "kubernetes postrouting rules", "KUBE-POSTROUTING"),
    ("filter", "INPUT", "kubernetes ipvs access filter", "KUBE-IPVS-FILTER"),
    ("filter", "INPUT", "kube-proxy firewall rules", "KUBE-PROXY-FIREWALL"),
    ("filter", "INPUT", "kubernetes health check rules", "KUBE-NODE-PORT"),
    ("filter", "FORWARD", "kube-proxy firewall rules", "KUBE-PROXY-FIREWALL"),
    ("filter", "FORWARD", "kubernetes forwarding rules", "KUBE-FORWARD"),
    ("filter", "OUTPUT", "kubernetes ipvs access filter", "KUBE-IPVS-OUT-FILTER"),
)
# (set, table, chain, target, which ends of the packet, protocol): a rule for each set that is not empty. What is
# local comes before what is masqueraded.
_BY_SET = (
    (sets.LOOP_BACK, "nat", "KUBE-POSTROUTING", "MASQUERADE", "dst,dst,src", ""),
    (sets.LOAD_BALANCER, "nat", "KUBE-SERVICES", "KUBE-LOAD-BALANCER", "dst,dst", ""),
    (sets.LOAD_BALANCER_LOCAL, "nat", "KUBE-LOAD-BALANCER", "RETURN", "dst,dst", ""),
    (sets.NODE_PORT_LOCAL["tcp"], "nat", "KUBE-NODE-PORT", "RETURN", "dst", "tcp"),
    (sets.NODE_PORT["tcp"], "nat", "KUBE-NODE-PORT", "KUBE-MARK-MASQ", "dst", "tcp"),
    (sets.NODE_PORT_LOCAL["udp"], "nat", "KUBE-NODE-PORT", "RETURN", "dst", "udp"),
    (sets.NODE_PORT["udp"], "nat", "KUBE-NODE-PORT", "KUBE-MARK-MASQ", "dst", "udp"),
    (sets.NODE_PORT_LOCAL["sctp"], "nat", "KUBE-NODE-PORT", "RETURN", "dst,dst", "sctp"),
    (sets.NODE_PORT["sctp"], "nat", "KUBE-NODE-PORT", "KUBE-MARK-MASQ", "dst,dst", "sctp"),
    (sets.LOAD_BALANCER_FW, "filter", "KUBE-PROXY-FIREWALL", "KUBE-SOURCE-RANGES-FIREWALL", "dst,dst", ""),
    (sets.SOURCE_CIDR, "filter", "KUBE-SOURCE-RANGES-FIREWALL", "RETURN", "dst,dst,src", ""),
    (sets.SOURCE_IP, "filter", "KUBE-SOURCE-RANGES-FIREWALL", "RETURN", "dst,dst,src", ""),
)
_LOCAL_DESTINATION = "-m addrtype --dst-type LOCAL"
_FROM_ELSEWHERE = "-m physdev ! --physdev-is-in -m addrtype ! --src-type LOCAL"
_NUMBERS = {"tcp": socket.IPPROTO_TCP, "udp": socket.IPPROTO_UDP, "sctp": socket.IPPROTO_SCTP}


def rules(filled: Set[str], closed: Sequence[Element], config: ProxyConfig) -> Ruleset:
    """The rules of a node.

    filled  the sets that are not empty, by their IPv4 names
    closed  load balancer addresses and ports that nodes themselves may not reach
    """
    draft = Draft(config.family)
    _Writer(draft, filled, f"{1 << config.masquerade_bit:#x}", config).write(closed)
    return ruleset(draft.tables(), config.family)


@dataclass(frozen=True)
class _Writer:
    draft: Draft
    filled: Set[str]
    mark: str
    config: ProxyConfig

    def write(self, closed: Sequence[Element]) -> None:
        for table, chains in CHAINS.items():
            self.draft.declare(table, *chains)
        for table, hook, what, chain in JUMPS:
            self._add(table, hook, comment(what), jump(chain))
        self._services()
        self._firewall(closed)
        self._filter()
        self._masquerading()

    def _services(self) -> None:
        add, family = self.draft.nat, self.draft.family
        add("KUBE-SERVICES", source("::1/128" if family == "IPv6" else "127.0.0.0/8"), jump("RETURN"))
        for base, table, chain, target, ends, protocol in _BY_SET:
            if base in self.filled:
                only = f"-p {protocol}" if protocol else ""
                self._add(table, chain, only, self._named(base), self._match(base, ends), jump(target))
        if sets.CLUSTER_IP in self.filled:
            self._cluster_ips()
        if sets.EXTERNAL_IP in self.filled:
            self._external(sets.EXTERNAL_IP, jump("KUBE-MARK-MASQ"))
        if sets.EXTERNAL_IP_LOCAL in self.filled:
            self._external(sets.EXTERNAL_IP_LOCAL)
        add("KUBE-SERVICES", _LOCAL_DESTINATION, jump("KUBE-NODE-PORT"))
        add("KUBE-LOAD-BALANCER", jump("KUBE-MARK-MASQ"))
        for base in (sets.CLUSTER_IP, sets.LOAD_BALANCER):
            if base in self.filled:
                add("KUBE-SERVICES", self._match(base, "dst,dst"), jump("ACCEPT"))

    def _cluster_ips(self) -> None:
        """What comes for a cluster IP from outside the pods' range must return through this node.

        Without that range, only what the node itself sends: with a Service address as its source.
        """
        everything, pods = self.config.masquerade_all, self.config.cluster_cidr
        ends = "dst,dst" if everything or pods else "src,dst"
        self.draft.nat(
            "KUBE-SERVICES",
            f"! {source(pods)}" if pods and not everything else "",
            self._named(sets.CLUSTER_IP),
            self._match(sets.CLUSTER_IP, ends),
            jump("KUBE-MARK-MASQ"),
        )

    def _external(self, base: str, *first: str) -> None:
        """External IPs: what comes from other machines, and what takes them for this node's own, goes on to IPVS."""
        matched = (self._named(base), self._match(base, "dst,dst"))
        for target in first:
            self.draft.nat("KUBE-SERVICES", *matched, target)
        self.draft.nat("KUBE-SERVICES", *matched, _FROM_ELSEWHERE, jump("ACCEPT"))
        self.draft.nat("KUBE-SERVICES", *matched, _LOCAL_DESTINATION, jump("ACCEPT"))

    def _firewall(self, closed: Sequence[Element]) -> None:
        """A node that asks a load balancer's address, which is bound to kube-ipvs0, has that address as its source."""
        self.draft.filter("KUBE-SOURCE-RANGES-FIREWALL", jump("DROP"))
        for one in closed:
            virtual = f"-m ipvs --vproto {_NUMBERS[one.protocol]} --vaddr {one.ip} --vport {one.port}"
            self.draft.filter("KUBE-IPVS-OUT-FILTER", source(one.ip), virtual, jump("DROP"))

    def _filter(self) -> None:
        """KUBE-IPVS-FILTER keeps ports of the node itself from being reached through a Service's address."""
        add = self.draft.filter
        forwarded = comment("kubernetes forwarding rules")
        add("KUBE-FORWARD", forwarded, f"-m mark --mark {self.mark}/{self.mark}", jump("ACCEPT"))
        known = comment("kubernetes forwarding conntrack rule")
        add("KUBE-FORWARD", known, ctstate("RELATED,ESTABLISHED"), jump("ACCEPT"))
        health = self._match(sets.HEALTH_CHECK, "dst")
        add("KUBE-NODE-PORT", self._named(sets.HEALTH_CHECK), health, jump("ACCEPT"))
        for base in (sets.LOAD_BALANCER, sets.CLUSTER_IP, sets.EXTERNAL_IP, sets.EXTERNAL_IP_LOCAL):
            add("KUBE-IPVS-FILTER", self._match(base, "dst,dst"), jump("RETURN"))
        add("KUBE-IPVS-FILTER", health, jump("RETURN"))
        add("KUBE-IPVS-FILTER", ctstate("NEW"), self._match(sets.IPVS_IPS, "dst"), reject(self.draft.family))

    def _masquerading(self) -> None:
        mark = self.mark
        self.draft.nat("KUBE-POSTROUTING", f"-m mark ! --mark {mark}/{mark}", jump("RETURN"))
        # Cleared, so that a packet which passes here again is not masqueraded twice.
        self.draft.nat("KUBE-POSTROUTING", f"-j MARK --set-xmark {mark}/0x0")
        required = comment("kubernetes service traffic requiring SNAT")
        self.draft.nat("KUBE-POSTROUTING", required, "-j MASQUERADE --random-fully")
        self.draft.nat("KUBE-MARK-MASQ", f"-j MARK --set-xmark {mark}/{mark}")

    def _add(self, table: str, chain: str, *pieces: str) -> None:
        (self.draft.nat if table == "nat" else self.draft.filter)(chain, *pieces)

    def _named(self, base: str) -> str:
        return comment(sets.comment(base).replace("'", r"\'"))  # iptables-save escapes them

    def _match(self, base: str, ends: str) -> str:
        return f"-m set --match-set {sets.name(base, self.draft.family)} {ends}"


def is_own(chain: str) -> bool:
    """Whether this mode made the chain."""
    return any(chain in chains for chains in CHAINS.values())
