"""The data centre's router as the cloud's load balancer: routes to the balancers' addresses, and what may pass.

For an address of ipMode VIP the kernel's choice is by a hash of addresses and ports, for each of a group of nodes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import count
from pathlib import Path

from labkit.cluster.datacenter import DataCenter
from labkit.linux import iptables, netns
from labkit.linux.iptables import Variant
from labkit.linux.nexthops import Nexthops
from labkit.net.rules import Family, Ruleset
from labkit.net.topology import CLOUD_IP, CLOUD_IP_6
from labkit.services.cloud.forwarding import CHAIN, Way, alone

HASH_POLICY = "fib_multipath_hash_policy"
BY_PORTS = "1"


class Router:
    """Applies `Way`s and rules; what is there already stays as it is."""

    def __init__(self, datacenter: DataCenter, variant: Variant) -> None:
        self._path = datacenter.places["router"].netns
        self._variant = variant
        self._machines = {m.name: m for m in datacenter.site.machines}
        self._links = Nexthops(self._path)
        self._numbers = count(1)
        self._hops: dict[tuple[str, bool], int] = {}  # by node, and whether for IPv6
        self._groups: dict[str, int] = {}
        self._ways: dict[str, Way] = {}
        self._rules: dict[Family, Ruleset] = {}
        with netns.entered(self._path):
            for version in ("ipv4", "ipv6") if datacenter.site.dual else ("ipv4",):
                Path("/proc/sys/net", version, HASH_POLICY).write_text(BY_PORTS)

    async def apply(self, ways: Mapping[str, Way], rules: Sequence[Ruleset]) -> None:
        """Raises `NetlinkError`, `RuleError`; the next call then tries again."""
        for address in [each for each in self._ways if each not in ways]:
            self._links.delete_route(alone(address))
            self._drop_group(address)
            del self._ways[address]
        for address, way in ways.items():
            if self._ways.get(address) != way:
                self._lead(address, way)
                self._ways[address] = way
        for each in rules:
            known = self._rules.get(each.family)
            if each != known:
                await iptables.apply(self._path, [_text(each, first=known is None)], self._variant, each.family)
                self._rules[each.family] = each

    def _lead(self, address: str, way: Way) -> None:
        to, six = alone(address), ":" in address
        nodes = [name for name in way.nodes if name in self._machines]
        if nodes:
            group = self._groups.get(address) or next(self._numbers)
            self._links.set_group(group, [self._hop(name, six) for name in nodes])
            self._links.lead(to, group)
            self._groups[address] = group
            return
        if way.proxied:
            self._links.add_route(to, via=CLOUD_IP_6 if six else CLOUD_IP)
        else:
            self._links.refuse(to)
        self._drop_group(address)

    def _hop(self, node: str, six: bool) -> int:
        if (node, six) not in self._hops:
            machine = self._machines[node]
            number = self._hops[node, six] = next(self._numbers)
            self._links.add_hop(number, machine.address6 if six else machine.address, f"zone-{machine.zone}")
        return self._hops[node, six]

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
