"""How one pod hangs on its node's network: the value that a plugin plans, and its application to Linux.

pod eth0 ═══ veth… in the node ── (bridge cni0 | routed) ── eth0 of the node
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from labkit.linux import netns
from labkit.linux.rtnetlink import Links

CNI_VERSION = "1.1.0"


class Attachment(msgspec.Struct, frozen=True):
    """What a plugin is asked to do: the runtime's parameters of ADD and DEL (CNI specification 1.1, section 3).

    address has no prefix length; `subnet` is the node's pod range, `number` is one that no other pod of the node has.
    address6, subnet6 and gateway6 are the same of IPv6; empty without it.
    """

    container_id: str
    netns: str
    node_netns: str
    address: str
    subnet: str
    gateway: str
    number: int
    ifname: str = "eth0"
    address6: str = ""
    subnet6: str = ""
    gateway6: str = ""


class Route(msgspec.Struct, frozen=True):
    """To a prefix or "default", by a gateway, or on the link where `via` is empty."""

    to: str
    via: str = ""


class Wiring(msgspec.Struct, frozen=True):
    """The wanted state of both ends of a pod's veth pair.

    pod_addresses    with their prefix lengths, IPv4 first; they bring routes to the prefixes where `prefix_route`
    pod_routes       in this order, behind the pod's interface
    host_addresses   of the node's end, none where that is a bridge port
    node_routes      behind the node's end
    bridge           the bridge that the node's end is a port of, or empty
    """

    attachment: Attachment
    host_interface: str
    mac: str
    pod_addresses: tuple[str, ...]
    pod_routes: tuple[Route, ...]
    prefix_route: bool = True
    host_addresses: tuple[str, ...] = ()
    node_routes: tuple[Route, ...] = ()
    bridge: str = ""


def connect(wiring: Wiring, node: Links) -> None:
    """Make the pair, set up both ends. Raises `NetlinkError`; the caller then disconnects."""
    a = wiring.attachment
    host = wiring.host_interface
    master = node.index(wiring.bridge) if wiring.bridge else None
    mac = "0e" + wiring.mac[2:]  # not one that the kernel draws: the same in every run
    if a.address6:
        netns.skip_detection(a.netns)
    node.add_veth(host, a.ifname, a.netns, index=HOST_INDEX + a.number, mac=mac, peer_mac=wiring.mac)
    node.set_link(host, up=True, master=master)
    with node.batch():
        if wiring.bridge:
            node.set_link(host, hairpin=True)
        for address in wiring.host_addresses:
            node.add_address(host, address)
        for route in wiring.node_routes:
            node.add_route(route.to, via=route.via, dev=host)
    with Links(a.netns) as pod, pod.batch():
        pod.set_link("lo", up=True)
        pod.set_link(a.ifname, up=True)
        for address in wiring.pod_addresses:
            pod.add_address(a.ifname, address, prefix_route=wiring.prefix_route)
        for route in wiring.pod_routes:
            source = a.address6 if ":" in route.to else a.address
            pod.add_route(route.to, via=route.via, dev=a.ifname, src="" if route.to == "default" else source)


HOST_INDEX = 10  # numbers of the nodes' ends start here: they must differ from the pods' ends, which get 2


def disconnect(wirings: Sequence[Wiring], node: Links) -> None:
    """Delete the pairs of pods of one node; their routes and addresses go with them. Some may be gone already."""
    there = {link["name"] for link in node.links()}
    node.delete_links([wiring.host_interface for wiring in wirings if wiring.host_interface in there])


def result(wiring: Wiring) -> dict[str, Any]:
    """The attachment as a CNI plugin reports it on success (specification 1.1, "ADD Success")."""
    a = wiring.attachment
    gateways = tuple(filter(None, (a.gateway, a.gateway6)))
    return {
        "cniVersion": CNI_VERSION,
        "interfaces": [
            {"name": wiring.bridge or wiring.host_interface},
            {"name": a.ifname, "mac": wiring.mac, "sandbox": a.netns},
        ],
        "ips": [
            {"address": address, "gateway": gateway, "interface": 1}
            for address, gateway in zip(wiring.pod_addresses, gateways, strict=True)
        ],
        "routes": [{"dst": "::/0" if ":" in gateway else "0.0.0.0/0", "gw": gateway} for gateway in gateways],
        "dns": {},
    }


def mac_of(address: str) -> str:
    """A pod's hardware address: 0a:58 and its IPv4 address, as the bridge plugin's `utils/hwaddr` makes it."""
    return ":".join(["0a", "58", *(f"{int(part):02x}" for part in address.split("."))])
