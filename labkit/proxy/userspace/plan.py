"""What userspace mode has on one node: the rules, and the ports of the proxy process to which they lead.

Traffic policies, hints, source ranges and SCTP were unknown to it.
Source: Kubernetes v1.25, pkg/proxy/userspace/proxier.go.
"""

from __future__ import annotations

from collections.abc import Mapping, Set

import msgspec

from labkit.net.rules import Ruleset
from labkit.proxy.chains import Chains
from labkit.proxy.config import DEFAULT, ProxyConfig
from labkit.proxy.mode import View
from labkit.proxy.model import Port, PortKey
from labkit.proxy.userspace.messages import Claim, Wanted
from labkit.proxy.userspace.rules import CHAINS, HOOKS, Portal, block, claims

PROTOCOLS = frozenset({"tcp", "udp"})


class UserspacePlan(msgspec.Struct, frozen=True):
    """`portals` by Service port; `host_ip`: the node's address; it prints as `iptables-save` does."""

    host_ip: str
    portals: tuple[Portal, ...]
    rules: Ruleset

    def __str__(self) -> str:
        return str(self.rules)


def plan(
    view: View, ports: Mapping[PortKey, int], refused: Set[Claim] = frozenset(), config: ProxyConfig = DEFAULT
) -> UserspacePlan:
    """All of a node, complete. `ports`: where the proxy process serves each Service port, as the kernel gave them;
    `refused`: what it could not have of the node's own ports.
    """
    portals = {key: portal(view.ports[key], ports[key], refused, view) for key in view.keys if key in ports}
    chains = Chains(CHAINS, HOOKS, config.family)
    chains.replace({key: block(each, view.node_ip) for key, each in portals.items()}, None)
    return UserspacePlan(view.node_ip, tuple(portals.values()), chains.ruleset())


def wanted(port: Port) -> Wanted | None:
    """What the proxy process is asked for; None for a protocol that it does not know.

    Only ready endpoints: Endpoints objects, from which this mode worked, list no others.
    """
    front = port.frontend
    if front.protocol not in PROTOCOLS:
        return None
    ends = tuple(dict.fromkeys(b.address for b in port.backends if b.ready))
    return Wanted(front.name, front.protocol, ends, front.affinity_seconds)


def portal(port: Port, number: int, refused: Set[Claim], view: View) -> Portal:
    asked = wanted(port)
    needed = claims(port.frontend, view.addresses)
    without = tuple(claim for claim in needed if claim in refused)
    return Portal(port.frontend, asked.endpoints if asked else (), number, needed, without)
