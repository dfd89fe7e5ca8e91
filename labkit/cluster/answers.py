"""Which pod answered each request: what conntrack tables tell, and those who pass connections on without them.

a socket chose (ebpf mode)  ──> pod
conntrack of the nodes      ──> pod
                            ──> the cloud's proxy (ipMode Proxy)   ── a connection of its own ──> a node, and on
                            ──> a node's process (userspace mode)  ── a connection of its own ──> pod
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from labkit.cluster.cloud import Cloud
from labkit.cluster.node_rules import NodeRules
from labkit.net.packet import split_endpoint
from labkit.net.place import Place
from labkit.proxy.mode import Deliver
from labkit.sandbox.channel import Peer

Row = dict[str, Any]


class Answers:
    """traffic: the process that made the requests; nodes: by name."""

    def __init__(self, nodes: Mapping[str, Place], rules: NodeRules, cloud: Cloud, traffic: Peer) -> None:
        self._nodes = nodes
        self._rules = rules
        self._cloud = cloud
        self._traffic = traffic
        self._owners = {address: place.name for place in nodes.values() for address in place.addresses}

    @property
    def machines(self) -> dict[str, str]:
        """The network namespaces of the nodes by address."""
        return {address: self._nodes[name].netns for address, name in self._owners.items()}

    @property
    def balanced(self) -> list[str]:
        """The addresses of load balancers, from which a request may come to any node."""
        return sorted(self._cloud.addresses)

    @property
    def by_socket(self) -> bool:
        """Whether the mode translates addresses before there is a packet: no conntrack table knows of it."""
        return any(p.translators() for p in self._rules.proxies.values())

    async def name(self, source: Place, protocol: str, rows: Sequence[Row]) -> None:
        """Bring the field `server` of rows (`labkit.traffic.requests.Row`) to who answered in the end.

        It stays the address of whoever passed a connection on where that one knows of it no more: it remembers the
        latest, and a client's port that serves again belongs to the latest alone.
        """
        if self.by_socket:
            self._chosen(source.node, protocol, rows)
        await self._through_the_cloud(protocol, [row for row in rows if row["client"]])
        await self._through_processes(source.node, protocol, [row for row in rows if row["client"]])

    def _chosen(self, node: str, protocol: str, rows: Sequence[Row]) -> None:
        """What a socket chose as it connected, or a program of the node that the request came to; that may be another
        node, which saw another client. Takes the rows' field "socket" out: its cookie.
        """
        delivers = self._delivers([node] if node else list(self._rules.proxies))
        others: dict[str, list[Deliver]] = {}
        for row in rows:
            to = (row.pop("socket"), protocol, row["local"], row["remote"])
            ends = [deliver(*to) for deliver in delivers]
            arrived = self._owners.get(_ip(row["server"]), "") if node and row["client"] else ""
            if not any(ends) and arrived not in ("", node):
                if arrived not in others:
                    others[arrived] = self._delivers([arrived])
                ends = [deliver(0, protocol, row["client"], row["server"]) for deliver in others[arrived]]
            row["server"] = next(filter(None, ends), row["server"])

    def _delivers(self, nodes: Sequence[str]) -> list[Deliver]:
        proxies = self._rules.proxies
        return [mode.deliveries() for node in nodes if node in proxies for mode in proxies[node].translators()]

    async def _through_the_cloud(self, protocol: str, rows: Sequence[Row]) -> None:
        proxies = self._cloud.proxies
        found = [row for row in rows if proxies and _ip(row["server"]) in proxies.addresses]
        if not proxies or not found:
            return
        legs = await proxies.relayed(protocol, [(row["client"], row["server"]) for row in found])
        known = [(row, leg) for row, leg in zip(found, legs, strict=True) if leg]
        sent = [leg for _, leg in known]
        ends = await self._traffic.call("follow", protocol=protocol, sent=sent, machines=self.machines)
        delivers = self._delivers(list(self._rules.proxies))
        for (row, leg), (client, server) in zip(known, ends, strict=True):
            chosen = (deliver(0, protocol, *leg) for deliver in delivers)
            row["client"], row["server"] = client, next(filter(None, chosen), server)

    async def _through_processes(self, node: str, protocol: str, rows: Sequence[Row]) -> None:
        """Ask the proxy of the node that has the address; of the source's own for one that no node is known by."""
        arrived: dict[str, list[Row]] = {}
        for row in rows:
            arrived.setdefault(self._owners.get(_ip(row["server"]), node), []).append(row)
        for name, those in arrived.items():
            proxy = self._rules.proxies.get(name)
            for mode in proxy.relays() if proxy else ():
                ends = await mode.relayed(protocol, [(row["client"], row["server"]) for row in those])
                for row, end in zip(those, ends, strict=True):
                    row["server"] = end or row["server"]


def _ip(address: str) -> str:
    return split_endpoint(address)[0]
