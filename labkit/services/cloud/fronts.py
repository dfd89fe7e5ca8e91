"""Where proxies listen for load balancers in ipMode Proxy, and what is behind each. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from labkit.services.cloud.balancer import Balancer


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
        nodes = [address for name, address in balancer.nodes.items() if name in fit]
        for listener in balancer.listeners if balancer.mode == "Proxy" else ():
            behind = tuple((address, listener.node_port) for address in nodes)
            found += [Front(listener.protocol, address, listener.port, behind) for address in balancer.addresses]
    return tuple(sorted(found))
