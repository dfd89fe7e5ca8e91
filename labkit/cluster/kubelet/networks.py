"""The networks of pods: an address of the node's range, a network namespace, a veth pair."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from ipaddress import ip_network
from typing import Any

import msgspec

from labkit.cni.ipam import Range
from labkit.cni.plugins import Plugin
from labkit.cni.wiring import Attachment, Wiring, connect, disconnect, result
from labkit.control.store import Store
from labkit.errors import LabError
from labkit.linux import netns
from labkit.linux.rtnetlink import Links
from labkit.net.place import Place

DNS_IP = "10.96.0.10"


class Attached(msgspec.Struct, frozen=True):
    """A pod's network on its node; `number` is its addresses' in the node's ranges."""

    node: str
    netns: str
    addresses: tuple[str, ...]
    number: int
    wiring: Wiring

    def cni_result(self) -> dict[str, Any]:
        """What the CNI plugin reports."""
        return result(self.wiring)


class Networks:
    """Attaches pods to the nodes, and detaches them. `links` are the nodes' netlink sockets.

    joined, left: called with a node and the path of the network namespace that it has got, or has no longer
    """

    def __init__(self, store: Store, nodes: Mapping[str, Place], links: Mapping[str, Links], plugin: Plugin) -> None:
        self._nodes = nodes
        self._links = links
        self._plugin = plugin
        self._ranges: dict[str, Range] = {}
        self._networks6: dict[str, str] = {}
        self._leaving: dict[str, list[Attached]] = {}
        self.joined: Callable[[str, str], None] = lambda node, path: None
        self.left: Callable[[str, str], None] = lambda node, path: None
        for node in store.list("Node"):
            name = node["metadata"]["name"]
            subnet, *six = node["spec"]["podCIDRs"]
            pods = self._ranges[name] = Range(subnet)
            self._networks6[name] = next(iter(six), "")
            gateways = [(pods.gateway, subnet), *((str(ip_network(net)[1]), net) for net in six)]
            plugin.setup(links[name], [f"{gateway}/{net.split('/')[1]}" for gateway, net in gateways])

    def attach(self, uid: str, node: str) -> Attached:
        """Give a pod its network. Raises `LabError` or `OSError` where that fails; then nothing of it is left."""
        pods, number, path = self._ranges[node], None, ""
        try:
            address, number = pods.allocate()
            path = netns.create(f"cni-{uid}")
            place = self._nodes[node].netns
            wanted = Attachment(uid, path, place, address, pods.subnet, pods.gateway, number)
            wiring = self._plugin.plan(self._with_ipv6(wanted, node))
            connect(wiring, self._links[node])
            self.joined(node, path)
        except (LabError, OSError):
            if path:
                netns.delete(path)  # a veth pair ends with either end
            if number is not None:
                pods.release(number)
            raise
        a = wiring.attachment
        return Attached(node, path, tuple(filter(None, (a.address, a.address6))), number, wiring)

    def _with_ipv6(self, wanted: Attachment, node: str) -> Attachment:
        """The same number in the node's IPv6 range, where it has one."""
        if not (subnet := self._networks6[node]):
            return wanted
        net = ip_network(subnet)
        address, gateway = str(net[wanted.number]), str(net[1])
        return msgspec.structs.replace(wanted, address6=address, subnet6=subnet, gateway6=gateway)

    async def detach(self, attached: Attached) -> None:
        """Take a network away, together with those of pods of the same node that end at the same time."""
        node = attached.node
        self._leaving.setdefault(node, []).append(attached)
        await asyncio.sleep(0)
        together = self._leaving.pop(node, [])
        disconnect([each.wiring for each in together], self._links[node])
        for each in together:
            self.left(node, each.netns)
            netns.delete(each.netns)
            self._ranges[node].release(each.number)
