"""Where proxies listen for load balancers in ipMode Proxy, and what is behind each. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from labkit.services.cloud.balancer import Balancer, like


class Front(msgspec.Struct, frozen=True, order=True):
    """A listening address; `backends` are node ports of healthy nodes, address and port."""

    protocol: str
    address: str
    port: int
    backends: tuple[tuple[str, int], ...]


def plan(balancers: Iterable[Balancer], healthy: Mapping[str, frozenset[str]]) -> tuple[Front, ...]:
    """The fronts of all balancers that are proxied; `healthy`: names of nodes by Service."""
    found = []
    for balancer in balancers:
        fit = healthy.get(balancer.service, frozenset())
        nodes = [addresses for name, addresses in balancer.nodes.items() if name in fit]
        for address in balancer.addresses if balancer.mode == "Proxy" else ():
            there = list(filter(None, (like(addresses, address) for addresses in nodes)))
            for listener in balancer.listeners:
                behind = tuple((node, listener.node_port) for node in there)
                found.append(Front(listener.protocol, address, listener.port, behind))
    return tuple(sorted(found))
