"""kube-proxy on every node: a Proxier each, woken when Services, endpoints or nodes change.

Level-triggered: what a change was does not matter, only that there was one. Changes that come while a node is being
served are taken together afterwards.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from labkit.api.objects import EndpointSlice, Node, Service
from labkit.cluster.work import Work
from labkit.cni import masquerade
from labkit.control.store import Store
from labkit.control.watch import Event
from labkit.linux import iptables
from labkit.linux.iptables import Variant
from labkit.net.place import Place
from labkit.net.rules import Ruleset, merge
from labkit.proxy.changes import diff
from labkit.proxy.plan import ProxyConfig
from labkit.proxy.proxier import Proxier


class NodeRules:
    """Keeps the rules of every node as the Services ask.

    silent: whether a node is cut off: its rules stay as they are, until `rejoin`.
    """

    def __init__(
        self, store: Store, nodes: Mapping[str, Place], variant: Variant, pod_network: str, work: Work
    ) -> None:
        self.variant = variant
        self.silent: Callable[[str], bool] = lambda node: False
        self._store = store
        self._work = work
        self._masquerade = masquerade.plan(pod_network)
        config = ProxyConfig(cluster_cidr=pod_network)
        self._proxiers = {name: Proxier(place.netns, variant, config) for name, place in nodes.items()}
        self._dirty: set[str] = set()
        self._busy: set[str] = set()
        self._idle = asyncio.Event()
        self._idle.set()

    async def start(self) -> None:
        """Masquerade what leaves the cluster, then follow the store."""
        text = diff(None, self._masquerade)
        for proxier in self._proxiers.values():
            proxier.start()
        await asyncio.gather(*(iptables.apply(p.path, text, self.variant) for p in self._proxiers.values()))
        self._store.watch(["Service", "EndpointSlice", "Node"], self._heard)

    def planned(self, node: str) -> Ruleset:
        """All rules of a node as they were last applied."""
        return merge(self._proxiers[node].rules or Ruleset(), self._masquerade)

    async def synced(self) -> None:
        """Wait until every node that is not cut off has the rules that the changes so far ask for."""
        await self._idle.wait()

    def rejoin(self, node: str) -> None:
        """A node is no longer cut off: it hears of all that has changed meanwhile."""
        if node in self._dirty:
            self._wake(node)

    def _heard(self, _: Event) -> None:
        for node in self._proxiers:
            self._wake(node)

    def _wake(self, node: str) -> None:
        self._dirty.add(node)
        if node not in self._busy and not self.silent(node):
            self._busy.add(node)
            self._idle.clear()
            self._work.start(self._serve(node))

    async def _serve(self, name: str) -> None:
        try:
            while name in self._dirty and not self.silent(name):
                self._dirty.discard(name)
                if node := self._store.view(Node, "", name):
                    await self._proxiers[name].sync(self._store.views(Service), self._store.views(EndpointSlice), node)
        finally:
            self._busy.discard(name)
            if not self._busy:
                self._idle.set()
