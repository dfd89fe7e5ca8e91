"""What kube-proxy in iptables mode writes on one node, as a value.

    nat     PREROUTING, OUTPUT -> KUBE-SERVICES [-> KUBE-NODEPORTS -> KUBE-EXT-…] -> KUBE-SVC-… -> KUBE-SEP-… -> DNAT
            (KUBE-MARK-MASQ marks on the way what POSTROUTING -> KUBE-POSTROUTING masquerades)
    filter  INPUT, FORWARD, OUTPUT -> reject or drop what has no endpoint

Source: Kubernetes v1.34, pkg/proxy/iptables/proxier.go (`iptablesJumpChains`, `syncProxyRules`). Left out: the
nfacct counters, which kube-proxy writes only where the kernel has nfnetlink_acct.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from labkit.api.objects import EndpointSlice, Node, Service
from labkit.net.rules import Family, Ruleset
from labkit.proxy import endpoints, model
from labkit.proxy.draft import Draft, comment, ctstate, destination, jump
from labkit.proxy.port_rules import PortRules

LARGE_CLUSTER = 1000  # with more endpoints than this, kube-proxy leaves out the comments of endpoint rules

NEW = ctstate("NEW")
# (table, built-in chain, matches, chain), in the order in which iptables-save shows them: kube-proxy puts each
# rule before the earlier ones, so this is its list from the last entry to the first.
JUMPS = (
    ("filter", "INPUT", "", "KUBE-FIREWALL"),
    ("filter", "INPUT", f"{NEW} {comment('kubernetes load balancer firewall')}", "KUBE-PROXY-FIREWALL"),
    ("filter", "INPUT", comment("kubernetes health check service ports"), "KUBE-NODEPORTS"),
    (
        "filter",
        "INPUT",
        f"{NEW} {comment('kubernetes externally-visible service portals')}",
        "KUBE-EXTERNAL-SERVICES",
    ),
    ("filter", "FORWARD", f"{NEW} {comment('kubernetes load balancer firewall')}", "KUBE-PROXY-FIREWALL"),
    ("filter", "FORWARD", comment("kubernetes forwarding rules"), "KUBE-FORWARD"),
    ("filter", "FORWARD", f"{NEW} {comment('kubernetes service portals')}", "KUBE-SERVICES"),
    (
        "filter",
        "FORWARD",
        f"{NEW} {comment('kubernetes externally-visible service portals')}",
        "KUBE-EXTERNAL-SERVICES",
    ),
    ("filter", "OUTPUT", "", "KUBE-FIREWALL"),
    ("filter", "OUTPUT", f"{NEW} {comment('kubernetes load balancer firewall')}", "KUBE-PROXY-FIREWALL"),
    ("filter", "OUTPUT", f"{NEW} {comment('kubernetes service portals')}", "KUBE-SERVICES"),
    ("nat", "PREROUTING", comment("kubernetes service portals"), "KUBE-SERVICES"),
    ("nat", "OUTPUT", comment("kubernetes service portals"), "KUBE-SERVICES"),
    ("nat", "POSTROUTING", comment("kubernetes postrouting rules"), "KUBE-POSTROUTING"),
)


class ProxyConfig(msgspec.Struct, frozen=True):
    """The part of KubeProxyConfiguration that shapes the rules; the defaults are kube-proxy's.

    cluster_cidr         pods' addresses (detectLocalMode ClusterCIDR): all else is masqueraded. "" turns that off
    masquerade_bit       bit of the packet mark that asks for masquerading
    localhost_nodeports  whether NodePorts answer on 127.0.0.1 (needs net.ipv4.conf.all.route_localnet)
    conntrack_liberal    net.netfilter.nf_conntrack_tcp_be_liberal is set: keep packets in state INVALID
    """

    cluster_cidr: str = "10.244.0.0/16"
    masquerade_all: bool = False
    masquerade_bit: int = 14
    localhost_nodeports: bool = True
    conntrack_liberal: bool = False
    family: Family = "IPv4"

    @property
    def localhost(self) -> bool:
        """NodePorts on localhost never work for IPv6."""
        return self.localhost_nodeports and self.family == "IPv4"


DEFAULT = ProxyConfig()


def plan(
    services: Sequence[Service], slices: Sequence[EndpointSlice], node: Node, config: ProxyConfig = DEFAULT
) -> Ruleset:
    """The rules of one address family on `node`, complete and in the text form of `iptables-save`.

    Services come in the order of their names. Of the node, the name, the zone label and the internal address count.
    """
    family = config.family
    draft = Draft(family)
    backends = model.backends(slices, node.name, family)
    ports = model.frontends(services, family)
    total = sum(len(backends.get((p.name, p.protocol), ())) for p in ports)
    _frame(draft, config)
    for port in ports:
        selection = endpoints.select(port, backends.get((port.name, port.protocol), ()), node.name, node.zone)
        PortRules(
            draft,
            port,
            selection,
            cluster_cidr=config.cluster_cidr,
            masquerade_all=config.masquerade_all,
            node_ip=node.internal_ip if model.of_family(node.internal_ip, family) else "",
            commented=total <= LARGE_CLUSTER,
        ).write()
    _node_ports(draft, config)
    return draft.ruleset()


def _frame(draft: Draft, config: ProxyConfig) -> None:
    """The rules that exist without any Service."""
    for table in ("mangle", "filter", "nat"):
        draft.declare(table, "KUBE-PROXY-CANARY")
    draft.declare("filter", "KUBE-SERVICES", "KUBE-EXTERNAL-SERVICES", "KUBE-NODEPORTS", "KUBE-PROXY-FIREWALL")
    draft.declare("filter", "KUBE-FIREWALL", "KUBE-FORWARD")
    draft.declare("nat", "KUBE-SERVICES", "KUBE-NODEPORTS")
    for table, hook, matches, chain in JUMPS:
        (draft.nat if table == "nat" else draft.filter)(hook, matches, jump(chain))
    mark = f"{1 << config.masquerade_bit:#x}"
    requires_snat = comment("kubernetes service traffic requiring SNAT")
    draft.nat("KUBE-MARK-MASQ", f"-j MARK --set-xmark {mark}/{mark}")
    draft.nat("KUBE-POSTROUTING", f"-m mark ! --mark {mark}/{mark}", jump("RETURN"))
    # Cleared, so that a packet which passes here again is not masqueraded twice.
    draft.nat("KUBE-POSTROUTING", f"-j MARK --set-xmark {mark}/0x0")
    draft.nat("KUBE-POSTROUTING", requires_snat, "-j MASQUERADE --random-fully")
    if config.localhost:
        # route_localnet would otherwise let other machines reach this node's 127.0.0.1 (CVE-2020-8558).
        localnet = "127.0.0.0/8"
        states = "-m conntrack ! --ctstate RELATED,ESTABLISHED,DNAT"
        what = comment("block incoming localnet connections")
        draft.filter("KUBE-FIREWALL", f"! -s {localnet} -d {localnet}", what, states, jump("DROP"))
    if not config.conntrack_liberal:
        draft.filter("KUBE-FORWARD", ctstate("INVALID"), jump("DROP"))
    draft.filter("KUBE-FORWARD", comment("kubernetes forwarding rules"), f"-m mark --mark {mark}/{mark} -j ACCEPT")
    draft.filter(
        "KUBE-FORWARD",
        comment("kubernetes forwarding conntrack rule"),
        ctstate("RELATED,ESTABLISHED"),
        jump("ACCEPT"),
    )


def _node_ports(draft: Draft, config: ProxyConfig) -> None:
    """The last rule of KUBE-SERVICES: whatever else is for an address of this node may be for a NodePort."""
    blocked = "" if config.localhost else destination("::1" if config.family == "IPv6" else "127.0.0.0/8")
    draft.nat(
        "KUBE-SERVICES",
        f"! {blocked}" if blocked else "",
        comment("kubernetes service nodeports; NOTE: this must be the last rule in this chain"),
        "-m addrtype --dst-type LOCAL",
        jump("KUBE-NODEPORTS"),
    )
