"""kube-proxy on every node: a Proxier each, woken when Services, endpoints or nodes change.

    store -- watch --> Tracker (one for all nodes) -- changed ports --> Proxier of each node

Changes that come while a node is being served are taken together afterwards.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from labkit.api.objects import EndpointSlice, Node, Service, view
from labkit.cluster.work import Work
from labkit.cni import masquerade
from labkit.control.store import Store
from labkit.control.watch import Event
from labkit.linux import iptables
from labkit.linux.iptables import Variant
from labkit.net.place import Place
from labkit.proxy.config import ProxyConfig
from labkit.proxy.mode import view_of
from labkit.proxy.model import PortKey
from labkit.proxy.modes import MODES
from labkit.proxy.proxier import Proxier
from labkit.proxy.restore import diff
from labkit.proxy.tracker import Tracker


class NodeRules:
    """Keeps every node as the Services ask, in the proxy mode `mode`.

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
            name: Proxier(place.netns, MODES[mode](place.netns, config, variant)) for name, place in nodes.items()
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
        await asyncio.gather(*(iptables.apply(p.path, text, self.variant) for p in self._proxiers.values()))
        self._store.watch(["Service", "EndpointSlice", "Node"], self._heard)

    async def synced(self) -> None:
        """Wait until every node that is not cut off has the rules that the changes so far ask for."""
        await self._idle.wait()

    def rejoin(self, node: str) -> None:
        """A node is no longer cut off: it hears of all that has changed meanwhile."""
        if node in self._dirty:
            self._wake(node)

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
