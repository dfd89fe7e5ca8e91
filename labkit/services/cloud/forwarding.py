"""How the router forwards to load balancers of ipMode VIP: by routes that lead to several nodes. Pure.

    198.51.100.1 ── listens here, from there? ──┬── node-1      a flow's addresses and ports decide, so that it stays
       (rules)                                  └── node-3      where it is; the address in its packets stays too
                                   (route, healthy nodes)

For a balancer of ipMode Proxy the way ends at the cloud's own machine, where a proxy has its address.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import msgspec

from labkit.net.rules import Family, Ruleset, ruleset
from labkit.services.cloud.balancer import Balancer, like

CHAIN = "CLOUD-LOAD-BALANCERS"


class Way(msgspec.Struct, frozen=True):
    """Where the router sends what is for an address: to one of the nodes, or `proxied`, or nowhere at all."""

    nodes: tuple[str, ...] = ()
    proxied: bool = False


def ways(balancers: Iterable[Balancer], healthy: Mapping[str, frozenset[str]]) -> dict[str, Way]:
    """Address -> way; `healthy`: names of nodes by Service."""
    found = {}
    for balancer in balancers:
        fit = healthy.get(balancer.service, frozenset())
        for address in balancer.addresses:
            nodes = tuple(name for name, own in balancer.nodes.items() if name in fit and like(own, address))
            found[address] = Way(proxied=True) if balancer.mode == "Proxy" else Way(nodes)
    return found


def rules(balancers: Iterable[Balancer], network: str) -> Ruleset:
    """What may pass to the addresses in `network`, and of its IP family: to ports of listeners, from their ranges.

    Nobody hears anything from a port that is closed to him; where nothing listens, the router says so.
    """
    family: Family = "IPv6" if ":" in network else "IPv4"
    own = [(each, address) for each in balancers for address in each.addresses if like([address], network)]
    lines = [line for balancer, address in own for line in _listeners(balancer, address)]
    refusal = "icmp6-port-unreachable" if family == "IPv6" else "icmp-port-unreachable"
    chains = {
        "FORWARD": [f"-d {network} -j {CHAIN}"],
        CHAIN: [*lines, f"-j REJECT --reject-with {refusal}"],
    }
    return ruleset({"filter": chains}, family)


def alone(address: str) -> str:
    """The prefix that holds an address and no other."""
    return f"{address}/{128 if ':' in address else 32}"


def _listeners(balancer: Balancer, address: str) -> Iterator[str]:
    for listener in balancer.listeners:
        protocol = listener.protocol.lower()
        to = f"-d {alone(address)} -p {protocol} -m {protocol} --dport {listener.port}"
        comment = f'-m comment --comment "{balancer.service}"'
        for source in (each for each in balancer.ranges or ("0.0.0.0/0", "::/0") if like([each], address)):
            yield " ".join(filter(None, ["" if source.endswith("/0") else f"-s {source}", to, comment, "-j ACCEPT"]))
        if balancer.ranges:
            yield f"{to} {comment} -j DROP"
