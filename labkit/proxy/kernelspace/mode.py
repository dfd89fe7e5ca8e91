"""kube-proxy's kernelspace mode on one node: load balancers as HNS would hold them, executed by an emulation.

A node of the lab is no Windows: `plan` is what HNS would have, the iptables rules of `emulation` do what it would do.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Set

from labkit.errors import NotFound
from labkit.linux.iptables import Variant
from labkit.net.rules import Ruleset, ruleset
from labkit.proxy.chains import Block, Chains
from labkit.proxy.config import DEFAULT, ProxyConfig
from labkit.proxy.kernelspace import text, vfp
from labkit.proxy.kernelspace.emulation import FRAME, HOOKS, SHARED, block, frame, is_own
from labkit.proxy.kernelspace.hns import LoadBalancer
from labkit.proxy.kernelspace.plan import HnsPlan, assembled
from labkit.proxy.kernelspace.policies import load_balancers
from labkit.proxy.mode import View
from labkit.proxy.model import PortKey
from labkit.proxy.writer import RuleWriter

COMMANDS: Mapping[str, Callable[[HnsPlan], str]] = {
    "hnsdiag list loadbalancers": str,
    "hnsdiag list loadbalancers -d": lambda plan: text.details(plan.load_balancers),
    "Get-HnsPolicyList": lambda plan: text.policy_lists(plan.load_balancers),
    "Get-HnsEndpoint": lambda plan: text.endpoints(plan.endpoints),
    "vfpctrl /list-rule": lambda plan: "\n".join(map(str, vfp.ports(plan))),
}
"""What the node's tools print, in PowerShell's words where there is no program."""


class KernelspaceMode:
    """Keeps the network namespace at `path`.

    fresh: the node has none of the emulation's rules yet, so that it need not be asked for them first
    """

    def __init__(
        self, path: str, config: ProxyConfig = DEFAULT, variant: Variant = Variant.NFT, fresh: bool = False
    ) -> None:
        self.config = config
        self._writer = RuleWriter(path, variant, config.family, is_own, fresh)
        self._reset()

    def _reset(self) -> None:
        self._chains = Chains(SHARED, HOOKS, self.config.family)
        self._made: dict[PortKey, tuple[LoadBalancer, ...]] = {}
        self._empty = HnsPlan()

    @property
    def plan(self) -> HnsPlan:
        return assembled(self._empty, (self._made[key] for key in sorted(self._made)))

    @property
    def emulation(self) -> Ruleset:
        """The rules that stand for the plan on this node."""
        return self._chains.ruleset()

    async def start(self) -> None:
        """Nothing to prepare."""

    async def sync(self, view: View, changed: Set[PortKey] | None) -> str:
        self._empty = HnsPlan(view.node, view.node_ip, self.config.cluster_cidr)
        keys = view.ports.keys() | self._made.keys() if changed is None else changed
        blocks: dict[PortKey, Block | None] = {FRAME: frame(self.config), **dict.fromkeys(keys)}
        for key in keys:
            self._made.pop(key, None)
            if (port := view.ports.get(key)) is not None:
                made = self._made[key] = load_balancers(port, view, self.config)
                blocks[key] = block(made, view.node_ip, self.config)
        edits = self._chains.replace(blocks, self._writer.batch)
        return await self._writer.write([edits], self._chains.ruleset, changed is None)

    async def show(self, command: str) -> str:
        """As a Windows node would answer."""
        if command not in COMMANDS:
            raise NotFound(f"{command!r} is no command here: there are {', '.join(map(repr, COMMANDS))}")
        return COMMANDS[command](self.plan)

    async def stop(self) -> None:
        await self._writer.write((), ruleset({"nat": {}}, self.config.family), everything=True)
        self._reset()
