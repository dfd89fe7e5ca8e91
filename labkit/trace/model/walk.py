"""A packet's walk through the hooks, chains and rules of one node.

    from elsewhere:  nat PREROUTING -> (for this node? filter INPUT : filter FORWARD -> nat POSTROUTING)
    from this node:  nat OUTPUT -> filter OUTPUT -> nat POSTROUTING (-> filter INPUT where it stays here)

Source: hook order of linux/netfilter_ipv4.h; conditions and targets of iptables-extensions(8).
"""

from __future__ import annotations

from collections.abc import Iterator, Set
from dataclasses import dataclass, replace
from ipaddress import ip_address, ip_network

import msgspec

from labkit.errors import RuleError
from labkit.net.packet import Packet
from labkit.net.path import RuleHit
from labkit.net.rules import Ruleset
from labkit.trace.model import rule_text as rule
from labkit.trace.model.prediction import State
from labkit.trace.model.rule_text import Condition, Target, parse_rule

Hooks = tuple[tuple[str, str], ...]

FROM_NODE: Hooks = (("nat", "OUTPUT"), ("filter", "OUTPUT"), ("nat", "POSTROUTING"), ("filter", "INPUT"))
FROM_ELSEWHERE: Hooks = (("nat", "PREROUTING"), ("filter", "INPUT"), ("filter", "FORWARD"), ("nat", "POSTROUTING"))


@dataclass(frozen=True, slots=True)
class Branch:
    """A packet on its way, with what happened so far.

    decided   what ended the current hook: ACCEPT, DROP, REJECT; RETURN ends a chain; empty goes on
    accepted  a rule of the filter table let it pass explicitly
    """

    original: Packet
    packet: Packet
    state: State
    probability: float = 1.0
    mark: int = 0
    masquerade: bool = False
    decided: str = ""
    accepted: bool = False
    hits: tuple[RuleHit, ...] = ()
    remembered: frozenset[str] = frozenset()

    @property
    def translated(self) -> bool:
        return (self.packet.dst, self.packet.dport) != (self.original.dst, self.original.dport)

    @property
    def lost(self) -> bool:
        return self.decided in ("DROP", "REJECT")


@dataclass(frozen=True, slots=True)
class Walk:
    """arrival: address of the interface by which the packet came in; bridged: whether that is a port of a bridge."""

    rules: Ruleset
    place: str
    node_addresses: Set[str]
    from_node: bool
    arrival: str = ""
    bridged: bool = False

    def ends(self, branch: Branch) -> Iterator[Branch]:
        """Every way the packet can go, to its end."""
        return self._through(branch, FROM_NODE if self.from_node else FROM_ELSEWHERE)

    def _through(self, branch: Branch, hooks: Hooks) -> Iterator[Branch]:
        if branch.lost or not hooks:
            yield branch
            return
        (table, hook), rest = hooks[0], hooks[1:]
        if not self._passes(branch, table, hook):
            yield from self._through(branch, rest)
            return
        for after in self._chain(table, hook, replace(branch, decided=""), ()):
            accepted = after.accepted or (table == "filter" and after.decided == "ACCEPT")
            yield from self._through(replace(after, accepted=accepted), rest)

    def _passes(self, branch: Branch, table: str, hook: str) -> bool:
        """Whether the packet comes by this hook, by its destination as it is now."""
        here = self._own(branch.packet.dst)
        if table == "nat" and branch.state != "NEW":
            return False
        return {"INPUT": here, "FORWARD": not here, "POSTROUTING": self.from_node or not here}.get(hook, True)

    def _own(self, address: str) -> bool:
        return address in self.node_addresses or ip_address(address).is_loopback

    def _entrance(self) -> str:
        """Where REDIRECT sends a packet to."""
        if self.from_node:
            return "::1" if self.rules.family == "IPv6" else "127.0.0.1"
        if not self.arrival:
            raise RuleError("REDIRECT leads to the interface by which a packet came in: the model is not told which")
        return self.arrival

    def _chain(self, table: str, name: str, branch: Branch, above: tuple[str, ...]) -> Iterator[Branch]:
        """The branches as they leave a chain: decided, or back to where it was called from."""
        chain = self.rules.chain(table, name)
        if chain is None and above:
            raise RuleError(f"the chain {name} of table {table}, to which {above[-1]} jumps, does not exist")
        if name in above:
            raise RuleError(f"the chains {' -> '.join((*above, name))} of table {table} form a loop")
        going = [branch]
        for number, one in enumerate(chain.rules if chain else (), 1):
            parsed = parse_rule(one.text)
            hit = RuleHit(self.place, table, name, number, one.text)
            here, going = going, []
            for before in here:
                matched, share = self._match(parsed.conditions, before)
                if share < 1:
                    going.append(replace(before, probability=before.probability * (1 - share)))
                if not share:
                    continue
                matched = replace(matched, probability=before.probability * share, hits=(*before.hits, hit))
                for after in self._do(parsed.target, table, matched, (*above, name)):
                    if not after.decided:
                        going.append(after)
                    else:
                        yield replace(after, decided="") if after.decided == "RETURN" else after
        yield from going

    def _do(self, target: Target, table: str, branch: Branch, above: tuple[str, ...]) -> Iterator[Branch]:
        """What the rule's target makes of a packet that matched."""
        match target:
            case rule.SetMark(value, mask):
                yield replace(branch, mark=(branch.mark & ~mask) ^ value)
            case rule.Dnat(to):
                ip, _, port = to.rpartition(":")
                packet = msgspec.structs.replace(branch.packet, dst=ip.strip("[]"), dport=int(port))
                yield replace(branch, packet=packet, decided="ACCEPT")
            case rule.Redirect(port):
                packet = msgspec.structs.replace(branch.packet, dst=self._entrance(), dport=port)
                yield replace(branch, packet=packet, decided="ACCEPT")
            case rule.Jump(""):
                yield branch
            case rule.Jump("MASQUERADE"):
                yield replace(branch, masquerade=True, decided="ACCEPT")
            case rule.Jump("ACCEPT" | "DROP" | "REJECT" | "RETURN" as verdict):
                yield replace(branch, decided=verdict)
            case rule.Jump(chain):
                yield from self._chain(table, chain, branch, above)

    def _match(self, conditions: tuple[Condition, ...], branch: Branch) -> tuple[Branch, float]:
        """The branch as the conditions leave it, and the probability with which all of them hold."""
        share = 1.0
        for condition in conditions:
            if isinstance(condition, rule.Random):
                share *= condition.probability
            elif isinstance(condition, rule.Recent) and condition.update:
                branch = replace(branch, remembered=branch.remembered | {condition.name})
            elif not self._holds(condition, branch):
                return branch, 0.0
        return branch, share

    def _holds(self, condition: Condition, branch: Branch) -> bool:
        packet = branch.packet
        match condition:
            case rule.Source(prefix, negated):
                return (ip_address(packet.src) in ip_network(prefix)) != negated
            case rule.Destination(prefix, negated):
                return (ip_address(packet.dst) in ip_network(prefix)) != negated
            case rule.OfProtocol(protocol):
                return packet.protocol == protocol
            case rule.ToPort(port):
                return packet.dport == port
            case rule.InState(states, negated):
                return bool(states & {branch.state, *(["DNAT"] if branch.translated else [])}) != negated
            case rule.Marked(value, mask, negated):
                return (branch.mark & mask == value) != negated
            case rule.Local(end, negated):
                return self._own(packet.src if end == "src" else packet.dst) != negated
            case rule.FromBridge(negated):
                return (self.bridged and not self.from_node) != negated
            case rule.Recent(name):
                return name in branch.remembered
        raise RuleError(f"the model tracer cannot decide {condition}")
