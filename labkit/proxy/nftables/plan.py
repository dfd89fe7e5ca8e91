"""What kube-proxy in nftables mode writes on one node, as a value that prints as `nft list table ip kube-proxy` does.

Source: Kubernetes v1.34, pkg/proxy/nftables/proxier.go.
"""

from __future__ import annotations

from ipaddress import ip_address, ip_network

from labkit.net.nft import NftFamily, Table
from labkit.net.nft.change import Holding
from labkit.proxy.config import DEFAULT, ProxyConfig
from labkit.proxy.endpoints import select
from labkit.proxy.mode import View
from labkit.proxy.model import Port
from labkit.proxy.nftables.contents import Contents
from labkit.proxy.nftables.frame import Frame
from labkit.proxy.nftables.part import Part, part

EVERYWHERE = ("0.0.0.0/0", "::/0")


def plan(view: View, config: ProxyConfig = DEFAULT) -> Table:
    """The whole table, Services by their names."""
    contents = Contents({key: part_of(view.ports[key], view, config) for key in view.keys})
    return joined(frame_of(view, config), contents.holding())


def part_of(port: Port, view: View, config: ProxyConfig) -> Part:
    """The part of one port on the view's node."""
    chosen = select(port.frontend, port.backends, view.node, view.zone)
    return part(port.frontend, chosen, config.cluster_cidr, config.masquerade_all, view.node_ip)


def frame_of(view: View, config: ProxyConfig) -> Table:
    """The table without Services, as the node's addresses and the settings make it."""
    family: NftFamily = "ip6" if config.family == "IPv6" else "ip"
    ips = _node_port_ips(view, config)
    return Frame(family, 1 << config.masquerade_bit, config.service_cidrs, ips).table()


def joined(frame: Table, contents: Holding) -> Table:
    """The frame with the parts of the ports in it."""
    held = {name: dict(elements) for name, elements in frame.elements.items()}
    for (name, key), element in contents.elements.items():
        held.setdefault(name, {})[key] = element
    return Table(
        frame.family,
        frame.name,
        (*frame.sets, *contents.sets.values()),
        (*frame.chains, *contents.chains.values()),
        held,
        frame.comment,
    )


def _node_port_ips(view: View, config: ProxyConfig) -> tuple[str, ...] | None:
    """Unlike in the other modes, unless told otherwise NodePorts answer at the node's primary address only."""
    wanted = [p for p in config.nodeport_addresses if p == "primary" or (":" in p) == (config.family == "IPv6")]
    if any(p in EVERYWHERE for p in wanted):
        return None
    primary = view.addresses[:1] if "primary" in wanted or not config.nodeport_addresses else ()
    within = [ip_network(p, strict=False) for p in wanted if p != "primary"]
    chosen = (*primary, *(a for a in view.addresses if any(ip_address(a) in network for network in within)))
    return tuple(dict.fromkeys(a for a in chosen if not ip_address(a).is_loopback))
