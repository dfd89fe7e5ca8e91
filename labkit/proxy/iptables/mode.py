"""kube-proxy's iptables mode on one node: changes are written chain by chain, in one restore."""

from __future__ import annotations

import asyncio
from collections.abc import Set
from pathlib import Path

from labkit.linux import iptables, netns
from labkit.linux.iptables import Variant
from labkit.net.rules import Ruleset, parse
from labkit.proxy.config import DEFAULT, ProxyConfig
from labkit.proxy.iptables.assembly import Assembly
from labkit.proxy.iptables.names import is_own
from labkit.proxy.mode import View
from labkit.proxy.model import PortKey
from labkit.proxy.restore import changes, diff, own_part

ROUTE_LOCALNET = Path("/proc/sys/net/ipv4/conf/all/route_localnet")


class IptablesMode:
    """Keeps the rules of the network namespace at `path`, through the iptables variant of the node.

    fresh: the node has no rule of kube-proxy yet, so that it need not be asked for them first
    """

    def __init__(
        self, path: str, config: ProxyConfig = DEFAULT, variant: Variant = Variant.NFT, fresh: bool = False
    ) -> None:
        self.path = path
        self.config = config
        self.variant = variant
        self._assembly = Assembly(config)
        self._fresh = fresh
        self._known = False  # whether the node has what the assembly says

    @property
    def plan(self) -> Ruleset:
        return self._assembly.ruleset()

    async def start(self) -> None:
        """Let NodePorts on 127.0.0.1 be routed to pods; the rule in KUBE-FIREWALL keeps other machines out."""
        if self.config.localhost:
            with netns.entered(self.path):
                ROUTE_LOCALNET.write_text("1")

    async def sync(self, view: View, changed: Set[PortKey] | None) -> str:
        known, self._known = self._known, False  # unknown while it changes, and after a failure
        fresh, self._fresh = self._fresh, False
        moved = self._assembly.update(view, changed)
        if moved is None or not known:
            found = Ruleset(family=self.config.family) if fresh else await self._found()
            text = diff(found, self._assembly.ruleset(), self.variant.batch)
        else:
            text = "".join(changes(table, *chains, self.variant.batch) for table, chains in moved.items())
        await iptables.apply(self.path, text, self.variant, self.config.family)
        self._known = True
        return text

    async def stop(self) -> None:
        text = diff(await self._found(), Assembly.nothing(self.config), self.variant.batch)
        await iptables.apply(self.path, text, self.variant, self.config.family)
        self._assembly, self._known = Assembly(self.config), False

    async def _found(self) -> Ruleset:
        family = self.config.family
        saved = await asyncio.to_thread(iptables.save, self.path, self.variant, "", family)
        return own_part(parse(saved, family), is_own)
