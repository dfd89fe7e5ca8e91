"""kube-proxy on every node: a Proxier each, woken when Services, endpoints or nodes change.

    store -- watch --> Tracker (one for all nodes) -- changed ports --> Proxier of each node

Changes that come while a node is being served are taken together afterwards.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from labkit.api.objects import EndpointSlice, Node, Service, view
from labkit.cluster.work import Work
from labkit.cni import masquerade
from labkit.control.store import Store
from labkit.control.watch import Event
from labkit.linux import iptables
from labkit.linux.iptables import Variant
from labkit.net.place import Place
from labkit.proxy.config import ProxyConfig
from labkit.proxy.mode import KnowsPods, Relays, view_of
from labkit.proxy.model import PortKey
from labkit.proxy.modes import MODES
from labkit.proxy.proxier import Proxier
from labkit.proxy.restore import diff
from labkit.proxy.tracker import Tracker


class NodeRules:
    """Keeps every node as the Services ask, in the proxy mode `mode`, for one IP family.

    silent: whether a node is cut off: its rules stay as they are, until `rejoin`.
    """

    def __init__(
        self, store: Store, nodes: Mapping[str, Place], mode: str, variant: Variant, config: ProxyConfig, work: Work
    ) -> None:
        self.mode = mode
        self.variant = variant
        self.silent: Callable[[str], bool] = lambda node: False
        self._store = store
        self._work = work
        self._masquerade = masquerade.plan(config.cluster_cidr)
        self._tracker = Tracker(config.family)
        self._proxiers = {
            name: Proxier(place.netns, MODES[mode](place.netns, config, variant), config.family)
            for name, place in nodes.items()
        }
        self._nodes: dict[str, Node] = {}
        self._dirty: dict[str, set[PortKey] | None] = {}  # what changed since a node was served; None: all
        self._busy: set[str] = set()
        self._idle = asyncio.Event()
        self._idle.set()

    async def start(self) -> None:
        """Masquerade what leaves the cluster, then follow the store."""
        text = diff(None, self._masquerade)
        await asyncio.gather(*(p.mode.start() for p in self._proxiers.values()))
        family = self._tracker.family
        await asyncio.gather(*(iptables.apply(p.path, text, self.variant, family) for p in self._proxiers.values()))
        self._store.watch(["Service", "EndpointSlice", "Node"], self._heard)

    async def synced(self) -> None:
        """Wait until every node that is not cut off has the rules that the changes so far ask for."""
        await self._idle.wait()

    def rejoin(self, node: str) -> None:
        """A node is no longer cut off: it hears of all that has changed meanwhile."""
        if node in self._dirty:
            self._wake(node)

    def join(self, node: str, path: str) -> None:
        """A pod of the node has got its network namespace."""
        if isinstance(mode := self._proxiers[node].mode, KnowsPods):
            mode.join(path)

    def leave(self, node: str, path: str) -> None:
        """It will be gone."""
        if isinstance(mode := self._proxiers[node].mode, KnowsPods):
            mode.leave(path)

    @property
    def translates_sockets(self) -> bool:
        """Whether the mode translates addresses before there is a packet: no conntrack table knows of it."""
        return any(isinstance(p.mode, KnowsPods) for p in self._proxiers.values())

    def name_servers(self, place: Place, protocol: str, rows: list[dict[str, Any]]) -> None:
        """Put into rows of requests which endpoints those went to, where such a mode has chosen it.

        Takes their field "socket" out: its cookie.
        """
        asked = [place.node] if place.node else list(self._proxiers)
        modes = (self._proxiers[node].mode for node in asked)
        delivers = [mode.deliveries() for mode in modes if isinstance(mode, KnowsPods)]
        for row in rows:
            to = (row.pop("socket"), protocol, row["local"], row["remote"])
            row["server"] = next(filter(None, (deliver(*to) for deliver in delivers)), row["server"])

    async def name_relayed(self, place: Place, protocol: str, rows: list[dict[str, Any]]) -> None:
        """Put into rows of requests which endpoints those were passed on to, where a process of a node does that."""
        for node in [place.node] if place.node else list(self._proxiers):
            if isinstance(mode := self._proxiers[node].mode, Relays):
                found = [row for row in rows if row["local"] and row["server"]]
                ends = await mode.relayed(protocol, [(row["local"], row["server"]) for row in found])
                for row, end in zip(found, ends, strict=True):
                    row["server"] = end or row["server"]

    def _heard(self, event: Event) -> None:
        gone = event.type == "DELETED"
        match event.object["kind"]:
            case "Service":
                self._changed(self._tracker.service(view(event.object, Service), gone=gone))
            case "EndpointSlice":
                self._changed(self._tracker.slice(view(event.object, EndpointSlice), gone=gone))
            case "Node" if event.object["metadata"]["name"] in self._proxiers:
                self._node(view(event.object, Node), gone)

    def _changed(self, keys: frozenset[PortKey]) -> None:
        for node in self._nodes if keys else ():
            dirty = self._dirty.setdefault(node, set())
            if dirty is not None:
                dirty |= keys
            self._wake(node)

    def _node(self, node: Node, gone: bool) -> None:
        """Only a node's own name, zone and addresses count for its rules."""
        known = self._nodes.pop(node.name, None)
        if gone:
            return
        self._nodes[node.name] = node
        if known is None or (known.zone, known.status.addresses) != (node.zone, node.status.addresses):
            self._dirty[node.name] = None
            self._wake(node.name)

    def _wake(self, node: str) -> None:
        if node not in self._busy and not self.silent(node):
            self._busy.add(node)
            self._idle.clear()
            self._work.start(self._serve(node))

    async def _serve(self, name: str) -> None:
        try:
            while name in self._dirty and not self.silent(name):
                changed = self._dirty.pop(name)
                if (node := self._nodes.get(name)) is not None:
                    await self._proxiers[name].sync(view_of(self._tracker, node), changed)
        finally:
            self._busy.discard(name)
            if not self._busy:
                self._idle.set()
