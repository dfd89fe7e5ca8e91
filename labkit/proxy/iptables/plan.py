"""What kube-proxy in iptables mode writes on one node, as a value.

    nat     PREROUTING, OUTPUT -> KUBE-SERVICES [-> KUBE-NODEPORTS -> KUBE-EXT-…] -> KUBE-SVC-… -> KUBE-SEP-… -> DNAT
            (KUBE-MARK-MASQ marks on the way what POSTROUTING -> KUBE-POSTROUTING masquerades)
    filter  INPUT, FORWARD, OUTPUT -> reject or drop what has no endpoint

Source: Kubernetes v1.34, pkg/proxy/iptables/proxier.go (`iptablesJumpChains`, `syncProxyRules`). Left out: the
nfacct counters, which kube-proxy writes only where the kernel has nfnetlink_acct.
"""

from __future__ import annotations

from ipaddress import ip_address, ip_network

from labkit.net.rules import Ruleset
from labkit.proxy import endpoints
from labkit.proxy.chains import Block, Chains
from labkit.proxy.config import DEFAULT, ProxyConfig
from labkit.proxy.draft import Draft, comment, ctstate, destination, jump
from labkit.proxy.iptables.port_rules import PortRules
from labkit.proxy.mode import View
from labkit.proxy.model import Port

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

SHARED = (
    ("filter", "KUBE-SERVICES"),
    ("filter", "KUBE-EXTERNAL-SERVICES"),
    ("filter", "KUBE-NODEPORTS"),
    ("filter", "KUBE-PROXY-FIREWALL"),
    ("nat", "KUBE-SERVICES"),
    ("nat", "KUBE-NODEPORTS"),
)
"""Chains in which many Service ports have rules; every other chain belongs to one port, or to the frame."""

LAST = ("~", "")
"""Stands for the rules that follow those of all Service ports: no namespace's name comes after it."""


def plan(view: View, config: ProxyConfig = DEFAULT) -> Ruleset:
    """The rules of one node, complete and in the text form of `iptables-save`, Service ports by name."""
    chains = Chains(SHARED, frame(config), config.family)
    blocks = {key: block(view.ports[key], view, config) for key in view.keys}
    chains.replace({**blocks, LAST: last(view, config)}, None)
    return chains.ruleset()


def block(port: Port, view: View, config: ProxyConfig) -> Block:
    """The rules of one Service port."""
    draft = Draft(config.family)
    selection = endpoints.select(port.frontend, port.backends, view.node, view.zone)
    PortRules(draft, port.frontend, selection, config, view.node_ip, commented(view)).write()
    return draft.chains


def commented(view: View) -> bool:
    """Whether endpoint rules have comments."""
    return view.total <= LARGE_CLUSTER


def frame(config: ProxyConfig) -> Block:
    """The rules that exist without any Service."""
    draft = Draft(config.family)
    for table in ("mangle", "filter", "nat"):
        draft.declare(table, "KUBE-PROXY-CANARY")
    draft.declare("filter", "KUBE-FIREWALL", "KUBE-FORWARD")
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
    return draft.chains


def last(view: View, config: ProxyConfig) -> Block:
    """The last rules of KUBE-SERVICES: whatever else is for an address of this node may be for a NodePort."""
    draft = Draft(config.family)
    what = comment("kubernetes service nodeports; NOTE: this must be the last rule in this chain")
    to_nodeports = jump("KUBE-NODEPORTS")
    if config.nodeport_addresses:
        for address in _nodeport_addresses(view, config):
            draft.nat("KUBE-SERVICES", destination(address), what, to_nodeports)
    else:
        blocked = "" if config.localhost else destination("::1" if config.family == "IPv6" else "127.0.0.0/8")
        draft.nat(
            "KUBE-SERVICES", f"! {blocked}" if blocked else "", what, "-m addrtype --dst-type LOCAL", to_nodeports
        )
    return draft.chains


def _nodeport_addresses(view: View, config: ProxyConfig) -> list[str]:
    """The node's own addresses that lie in one of the configured prefixes."""
    own = [*view.addresses, *(["127.0.0.1"] if config.localhost else [])]
    networks = [ip_network(prefix) for prefix in config.nodeport_addresses]
    return [a for a in own if any(ip_address(a) in network for network in networks)]
