"""The data centre's router as the cloud's load balancer: routes to the balancers' addresses, and what may pass.

For an address of ipMode VIP the kernel's choice is by a hash of addresses and ports, for each of a group of nodes.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import count
from pathlib import Path

from labkit.cluster.datacenter import DataCenter
from labkit.linux import iptables, netns
from labkit.linux.iptables import Variant
from labkit.linux.nexthops import Nexthops
from labkit.net.rules import Ruleset
from labkit.net.topology import CLOUD_IP
from labkit.services.cloud.forwarding import CHAIN, Way

HASH_POLICY = Path("/proc/sys/net/ipv4/fib_multipath_hash_policy")
BY_PORTS = "1"


class Router:
    """Applies `Way`s and rules; what is there already stays as it is."""

    def __init__(self, datacenter: DataCenter, variant: Variant) -> None:
        self._path = datacenter.places["router"].netns
        self._variant = variant
        self._machines = {m.name: m for m in datacenter.site.machines}
        self._links = Nexthops(self._path)
        self._numbers = count(1)
        self._hops: dict[str, int] = {}
        self._groups: dict[str, int] = {}
        self._ways: dict[str, Way] = {}
        self._rules: Ruleset | None = None
        with netns.entered(self._path):
            HASH_POLICY.write_text(BY_PORTS)

    async def apply(self, ways: Mapping[str, Way], rules: Ruleset) -> None:
        """Raises `NetlinkError`, `RuleError`; the next call then tries again."""
        for address in [each for each in self._ways if each not in ways]:
            self._links.delete_route(f"{address}/32")
            self._drop_group(address)
            del self._ways[address]
        for address, way in ways.items():
            if self._ways.get(address) != way:
                self._lead(address, way)
                self._ways[address] = way
        if rules != self._rules:
            await iptables.apply(self._path, _text(rules, first=self._rules is None), self._variant)
            self._rules = rules

    def _lead(self, address: str, way: Way) -> None:
        to, nodes = f"{address}/32", [name for name in way.nodes if name in self._machines]
        if nodes:
            group = self._groups.get(address) or next(self._numbers)
            self._links.set_group(group, [self._hop(name) for name in nodes])
            self._links.lead(to, group)
            self._groups[address] = group
            return
        if way.proxied:
            self._links.add_route(to, via=CLOUD_IP)
        else:
            self._links.refuse(to)
        self._drop_group(address)

    def _hop(self, node: str) -> int:
        if node not in self._hops:
            machine = self._machines[node]
            self._hops[node] = next(self._numbers)
            self._links.add_hop(self._hops[node], machine.address, f"zone-{machine.zone}")
        return self._hops[node]

    def _drop_group(self, address: str) -> None:
        if group := self._groups.pop(address, 0):
            self._links.delete_hop(group)


def _text(rules: Ruleset, first: bool) -> str:
    """For iptables-restore: the chain anew, and at first the jump to it."""
    table = rules.table("filter")
    found = {chain.name: chain.rules for chain in table.chains}
    lines = [f"-A {CHAIN} {rule.text}" for rule in found[CHAIN]]
    lines += [f"-A FORWARD {rule.text}" for rule in found["FORWARD"]] if first else []
    return "\n".join(["*filter", f":{CHAIN} - [0:0]", *lines, "COMMIT", ""])
