"""kube-proxy of one node: keeps the node's rules equal to the plan for the current objects."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from pathlib import Path

from labkit.api.objects import EndpointSlice, Node, Service
from labkit.linux import conntrack, iptables, netns
from labkit.linux.conntrack_find import Entries
from labkit.net.rules import Ruleset, parse
from labkit.proxy.changes import diff, own_part
from labkit.proxy.plan import DEFAULT, ProxyConfig, plan
from labkit.proxy.stale import stale_flows, udp_servers

ROUTE_LOCALNET = Path("/proc/sys/net/ipv4/conf/all/route_localnet")


class Proxier:
    """Applies plans to the network namespace at `path`, which starts without rules of kube-proxy.

    `rules` is what the node has now; None where that is not known, so that the next sync reads it back first.
    """

    def __init__(self, path: str, variant: iptables.Variant, config: ProxyConfig = DEFAULT) -> None:
        self.path = path
        self.variant = variant
        self.config = config
        self.rules: Ruleset | None = Ruleset(family=config.family)
        self._turn = asyncio.Lock()
        self._udp_servers: frozenset[str] = frozenset()

    def start(self) -> None:
        """Let NodePorts on 127.0.0.1 be routed to pods; the rule in KUBE-FIREWALL keeps other machines out."""
        if self.config.localhost:
            with netns.entered(self.path):
                ROUTE_LOCALNET.write_text("1")

    async def sync(self, services: Sequence[Service], slices: Sequence[EndpointSlice], node: Node) -> str:
        """Bring the node's rules to the plan; returns the restore text that was applied, empty where nothing changed.

        Raises `RuleError` where the kernel refuses; the next call then starts from what the kernel really has.
        """
        async with self._turn:
            desired = plan(services, slices, node, self.config)
            previous = await self._found() if self.rules is None else self.rules
            text = diff(previous, desired, self.variant.batch)
            self.rules = None  # unknown while it changes, and after a failure
            await iptables.apply(self.path, text, self.variant, self.config.family)
            self.rules = desired
            servers = udp_servers(slices, self.config.family)
            if self._udp_servers - servers and self.config.family == "IPv4":
                await asyncio.to_thread(self._forget_stale, services, slices)
            self._udp_servers = servers
            return text

    def _forget_stale(self, services: Sequence[Service], slices: Sequence[EndpointSlice]) -> None:
        """Let UDP clients whose server has gone be drawn anew, by the rules as they are now."""
        flows = conntrack.dump(self.path, socket.IPPROTO_UDP)
        with Entries(self.path) as entries:
            for flow in stale_flows(flows, services, slices):
                entries.forget(flow.original)

    async def _found(self) -> Ruleset:
        family = self.config.family
        return own_part(parse(await asyncio.to_thread(iptables.save, self.path, self.variant, "", family), family))
