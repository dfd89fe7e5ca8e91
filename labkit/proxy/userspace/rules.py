"""The rules of one Service port in userspace mode: its addresses, sent to the node's port of the proxy process.

    PREROUTING -> KUBE-PORTALS-CONTAINER  REDIRECT     (what comes from elsewhere: to the address it came in by)
    OUTPUT     -> KUBE-PORTALS-HOST       DNAT         (what the node sends itself: to the node's address)
    … and the same in KUBE-NODEPORT-CONTAINER, KUBE-NODEPORT-HOST for packets to any address of the node

Source: Kubernetes v1.25, pkg/proxy/userspace/proxier.go (`iptablesInit`, `openPortal`, `iptablesCommonPortalArgs`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from labkit.net.packet import endpoint
from labkit.proxy.chains import Block, Place
from labkit.proxy.draft import comment, destination, jump, to_port
from labkit.proxy.model import Frontend
from labkit.proxy.userspace.messages import Claim

CONTAINER: Place = ("nat", "KUBE-PORTALS-CONTAINER")
HOST: Place = ("nat", "KUBE-PORTALS-HOST")
NODE_CONTAINER: Place = ("nat", "KUBE-NODEPORT-CONTAINER")
NODE_HOST: Place = ("nat", "KUBE-NODEPORT-HOST")
NON_LOCAL: Place = ("filter", "KUBE-NODEPORT-NON-LOCAL")
CHAINS = (CONTAINER, HOST, NODE_CONTAINER, NODE_HOST, NON_LOCAL)

LOCAL = "-m addrtype --dst-type LOCAL"
_FIRST = comment("handle ClusterIPs; NOTE: this must be before the NodePort rules")
_LAST = f"{LOCAL} {comment('handle service NodePorts; NOTE: this must be the last rule in the chain')}"
_FLOW = comment("Ensure that non-local NodePort traffic can flow")
HOOKS: Block = {
    ("nat", "PREROUTING"): [f"{_FIRST} {jump(CONTAINER[1])}", f"{_LAST} {jump(NODE_CONTAINER[1])}"],
    ("nat", "OUTPUT"): [f"{_FIRST} {jump(HOST[1])}", f"{_LAST} {jump(NODE_HOST[1])}"],
    ("filter", "INPUT"): [f"{_FLOW} {jump(NON_LOCAL[1])}"],
}
_NAMES = frozenset(chain for _, chain in CHAINS)


class Portal(msgspec.Struct, frozen=True):
    """A Service port and the port of the node at which the proxy process serves it.

    endpoints  `ip:port` of those that it balances over, by address
    claims     the ports of the node that it needs for itself
    refused    those of them that another program has: they get no rules
    """

    frontend: Frontend
    endpoints: tuple[str, ...]
    proxy_port: int
    claims: tuple[Claim, ...] = ()
    refused: tuple[Claim, ...] = ()


def is_own(chain: str) -> bool:
    """Whether kube-proxy in this mode made the chain."""
    return chain in _NAMES


def block(portal: Portal, host_ip: str) -> Block:
    """The rules of a port by chain."""
    found: dict[Place, list[str]] = {}
    for place, text in _rules(portal, host_ip):
        found.setdefault(place, []).append(text)
    return found


def _rules(portal: Portal, host_ip: str) -> Iterator[tuple[Place, str]]:
    port, name = portal.frontend, comment(portal.frontend.name)
    protocol = f"-p {port.protocol}"
    redirect = f"-j REDIRECT --to-ports {portal.proxy_port}"
    dnat = f"-j DNAT --to-destination {endpoint(host_ip, portal.proxy_port)}"

    def rule(ip: str, number: int, condition: str, target: str) -> str:
        to = destination(ip) if ip else ""
        return " ".join(filter(None, (to, protocol, name, to_port(port.protocol, number), condition, target)))

    def open_at(ip: str) -> bool:
        return Claim(ip, port.port, port.protocol) not in portal.refused

    def portal_at(ip: str) -> Iterator[tuple[Place, str]]:
        yield CONTAINER, rule(ip, port.port, "", redirect)
        yield HOST, rule(ip, port.port, "", dnat)

    yield from portal_at(port.cluster_ip)
    for ip in filter(open_at, port.external_ips):
        # From a pod on a bridge it is left alone, unless it is an address of this node.
        yield CONTAINER, rule(ip, port.port, "-m physdev ! --physdev-is-in", redirect)
        yield CONTAINER, rule(ip, port.port, LOCAL, redirect)
        yield HOST, rule(ip, port.port, LOCAL, dnat)
    for ip in filter(open_at, port.load_balancer_ips):
        yield from portal_at(ip)
    if port.node_port and Claim("", port.node_port, port.protocol) not in portal.refused:
        yield NODE_CONTAINER, rule("", port.node_port, "", redirect)
        yield NODE_HOST, rule("", port.node_port, "", dnat)
        yield NON_LOCAL, rule("", portal.proxy_port, "-m state --state NEW", jump("ACCEPT"))


def claims(port: Frontend, own: Sequence[str]) -> tuple[Claim, ...]:
    """The ports of the node that the Service port needs for itself; `own`: the node's addresses."""
    local = [ip for ip in (*port.external_ips, *port.load_balancer_ips) if ip in own]
    found = [Claim(ip, port.port, port.protocol) for ip in local]
    return (*found, Claim("", port.node_port, port.protocol)) if port.node_port else tuple(found)
