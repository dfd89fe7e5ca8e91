"""kube-proxy's iptables mode on one node: a change writes the chains of its Service port, in one restore."""

from __future__ import annotations

from collections.abc import Set
from pathlib import Path

from labkit.linux import netns
from labkit.linux.iptables import Variant
from labkit.net.rules import Ruleset, ruleset
from labkit.proxy.chains import Block, Chains
from labkit.proxy.config import DEFAULT, ProxyConfig
from labkit.proxy.iptables.names import is_own
from labkit.proxy.iptables.plan import LAST, SHARED, block, commented, frame, last
from labkit.proxy.mode import View
from labkit.proxy.model import PortKey
from labkit.proxy.writer import RuleWriter

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
        self._writer = RuleWriter(path, variant, config.family, is_own, fresh)
        self._reset()

    def _reset(self) -> None:
        self._chains = Chains(SHARED, frame(self.config), self.config.family)
        self._shape: tuple[bool, Block] = (True, {})  # of all ports: whether with comments, the last rules

    @property
    def plan(self) -> Ruleset:
        return self._chains.ruleset()

    async def start(self) -> None:
        """Let NodePorts on 127.0.0.1 be routed to pods; the rule in KUBE-FIREWALL keeps other machines out."""
        if self.config.localhost:
            with netns.entered(self.path):
                ROUTE_LOCALNET.write_text("1")

    async def sync(self, view: View, changed: Set[PortKey] | None) -> str:
        shape = (commented(view), last(view, self.config))
        keys = changed
        if keys is None or shape != self._shape:
            keys = view.ports.keys() | self._chains.keys() | {LAST}
        self._shape = shape
        edits = self._chains.edits(((key, self._block(key, view)) for key in sorted(keys)), self._writer.batch)
        return await self._writer.write(edits, self._chains.ruleset, changed is None)

    def _block(self, key: PortKey, view: View) -> Block | None:
        """What stands for the port in this node's rules; None where it is gone."""
        if key == LAST:
            return self._shape[1]
        port = view.ports.get(key)
        return block(port, view, self.config) if port else None

    async def stop(self) -> None:
        nothing = ruleset({table: {} for table, _ in frame(self.config)}, self.config.family)
        await self._writer.write((), nothing, everything=True)
        self._reset()
