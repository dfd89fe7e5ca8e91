"""All that kube-proxy in ipvs mode makes of a node, as a value.

    Service port -> part.py: virtual servers, addresses, entries of sets -> together, and the rules that go with them

Source: Kubernetes v1.34, pkg/proxy/ipvs/proxier.go.
"""

from __future__ import annotations

from collections.abc import Set
from ipaddress import ip_address, ip_network

import msgspec

from labkit.net.ipset import AddressSet
from labkit.net.ipvs import ServerKey, VirtualServer
from labkit.net.rules import Ruleset
from labkit.proxy.config import DEFAULT, ProxyConfig
from labkit.proxy.endpoints import select
from labkit.proxy.ipvs import sets
from labkit.proxy.ipvs.ledger import Ledger
from labkit.proxy.ipvs.part import Part, Where, part
from labkit.proxy.ipvs.rules import rules
from labkit.proxy.mode import View
from labkit.proxy.model import Port

SCHEDULER = "rr"


class IpvsPlan(msgspec.Struct, frozen=True):
    """servers by protocol, address and port; bound: the addresses of kube-ipvs0, sorted."""

    servers: tuple[VirtualServer, ...] = ()
    bound: tuple[str, ...] = ()
    sets: tuple[AddressSet, ...] = ()
    rules: Ruleset = Ruleset()

    def server(self, key: ServerKey) -> VirtualServer | None:
        return next((s for s in self.servers if s.key == key), None)

    def __str__(self) -> str:
        """What `ipvsadm-save -n`, `ipset save` and `iptables-save` print, one after the other."""
        return "\n".join(("".join(map(str, self.servers)), "".join(map(str, self.sets)), str(self.rules)))


def plan(view: View, config: ProxyConfig = DEFAULT, local: Set[str] = frozenset()) -> IpvsPlan:
    """The plan of one node. `local`: its addresses, where it has more than the view knows."""
    ledger, here = Ledger(), where(view, config, local)
    ledger.replace({key: planned(view.ports[key], view, here) for key in view.keys})
    return written(ledger, config)


def planned(port: Port, view: View, here: Where) -> Part:
    """The part of one Service port."""
    chosen = select(port.frontend, port.backends, view.node, view.zone)
    return part(port.frontend, port.backends, chosen, here)


def where(view: View, config: ProxyConfig, local: Set[str] = frozenset()) -> Where:
    """What the parts need to know of the node. NodePorts answer on all of its addresses, or on those configured."""
    addresses = frozenset(ip for ip in {*view.addresses, *local} if not ip_address(ip).is_loopback)
    networks = [ip_network(prefix) for prefix in config.nodeport_addresses]
    chosen = [ip for ip in addresses if not networks or any(ip_address(ip) in network for network in networks)]
    return Where(view.node, addresses, tuple(sorted(chosen)), view.node_ip, config.ipvs.scheduler or SCHEDULER)


def written(ledger: Ledger, config: ProxyConfig) -> IpvsPlan:
    """What the ledger holds, as a plan."""
    state = ledger.state
    entries = {base: frozenset(e for of, e in state.entries if of == base) for base in sets.NAMES}
    return IpvsPlan(
        servers=tuple(state.servers.values()),
        bound=tuple(sorted(state.bound)),
        sets=tuple(sets.make(base, config.family, elements) for base, elements in entries.items()),
        rules=rules(ledger.filled, ledger.closed, config),
    )
