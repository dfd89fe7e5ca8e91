"""The cloud: follows Services and nodes, and makes their load balancers work.

    store ──> plan ──┬─> Checks ── which nodes are healthy ──┐
                     ├─> Router    routes, what may pass  <──┤   ipMode VIP
                     └─> Proxies   on the cloud's machine <──┘   ipMode Proxy

Nothing of it exists before the first load balancer does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from labkit.api.objects import Node
from labkit.cluster.cloud.checks import Checks
from labkit.cluster.cloud.proxies import Proxies
from labkit.cluster.cloud.router import Router
from labkit.cluster.datacenter import DataCenter
from labkit.cluster.work import Work
from labkit.control.store import Raw, Store
from labkit.control.watch import Event
from labkit.linux.iptables import Variant
from labkit.services.cloud import forwarding
from labkit.services.cloud.balancer import Balancer, plan
from labkit.services.cloud.controller import balanced, other_node, standing


class Cloud:
    """known: returns once the nodes' rules are as all changes so far ask for."""

    def __init__(
        self,
        store: Store,
        datacenter: DataCenter,
        variant: Variant,
        work: Work,
        known: Callable[[], Awaitable[None]],
    ) -> None:
        self._store = store
        self._datacenter = datacenter
        self._variant = variant
        self._work = work
        self._known = known
        self._balancers: dict[str, Balancer] = {}
        self._parts: tuple[Router, Checks, Proxies] | None = None
        self._dirty = self._busy = False
        self._turn = asyncio.Lock()
        store.watch(["Service", "EndpointSlice", "Node"], self._heard)

    @property
    def proxies(self) -> Proxies | None:
        """What stands before load balancers in ipMode Proxy; None where there are none."""
        return self._parts[2] if self._parts else None

    @property
    def addresses(self) -> frozenset[str]:
        """Those of all load balancers."""
        return frozenset(address for balancer in self._balancers.values() for address in balancer.addresses)

    def _heard(self, event: Event) -> None:
        if self._concerns(event.object, event.old):
            self._dirty = True
            if not self._busy:
                self._busy = True
                self._work.start(self._serve())

    def _concerns(self, new: Raw, old: Raw | None) -> bool:
        match new["kind"]:
            case "Node":
                return bool(self._balancers) and other_node(new, old)
            case "Service":
                return bool(standing(new)) or _key(new, new["metadata"]["name"]) in self._balancers
            case _:
                name = new["metadata"].get("labels", {}).get("kubernetes.io/service-name", "")
                return _key(new, name) in self._balancers

    async def _serve(self) -> None:
        try:
            while self._dirty:
                self._dirty = False
                await self._known()
                await self._follow()
        finally:
            self._busy = False

    async def _follow(self) -> None:
        self._balancers = plan(balanced(self._store), self._store.views(Node), self._datacenter.balanced.values())
        if self._parts is None:
            if not self._balancers:
                return
            place = self._datacenter.cloud()
            links = self._datacenter.net["cloud"].links
            router = Router(self._datacenter, self._variant)
            self._parts = router, Checks(place.netns, self._changed), Proxies(place.netns, links)
        checks = self._parts[1]
        checks.follow(self._balancers)
        await self._apply()
        await checks.ask()
        await self._apply()

    def _changed(self) -> None:
        """A node has become healthy, or is so no more."""
        self._work.start(self._apply())

    async def _apply(self) -> None:
        if self._parts is None:
            return
        async with self._turn:
            router, checks, proxies = self._parts
            standing, healthy = self._balancers.values(), checks.healthy()
            await proxies.apply(standing, healthy)
            rules = [forwarding.rules(standing, network) for network in self._datacenter.balanced.values()]
            await router.apply(forwarding.ways(standing, healthy), rules)


def _key(raw: Raw, name: str) -> str:
    return f"{raw['metadata']['namespace']}/{name}"
