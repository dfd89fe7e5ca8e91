"""The model tracer of kube-proxy's nftables mode: a packet's walk through the base chains of one table.

    from elsewhere:  prerouting -> (for this node? input : forward -> postrouting)
    from this node:  output -> postrouting (-> input where it stays here)

At each hook the base chains come by priority; those of kind nat see only the first packet of a connection. Where the
table chooses at random, every branch is followed. Source: man 8 nft; net/netfilter/nf_tables_core.c (`nft_do_chain`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass, replace
from ipaddress import ip_address, ip_network

import msgspec

from labkit.errors import RuleError
from labkit.net import nft
from labkit.net.packet import Packet
from labkit.net.path import RuleHit
from labkit.trace.model.prediction import Arrival, Outcome, Prediction, State, Verdict

FROM_NODE = ("output", "postrouting", "input")
FROM_ELSEWHERE = ("prerouting", "input", "forward", "postrouting")
_ENDS: Mapping[str, Verdict] = {"drop": "DROP", "reject": "REJECT"}


@dataclass(frozen=True, slots=True)
class Branch:
    """A packet on its way. `decided`: accept, drop or reject, which end the current hook; empty goes on."""

    original: Packet
    packet: Packet
    state: State
    probability: float = 1.0
    mark: int = 0
    masquerade: bool = False
    decided: str = ""
    hits: tuple[RuleHit, ...] = ()
    remembered: frozenset[str] = frozenset()

    @property
    def outcome(self) -> Outcome:
        moved = (self.packet.dst, self.packet.dport) != (self.original.dst, self.original.dport)
        verdict = _ENDS.get(self.decided) or ("DNAT" if moved else "UNTOUCHED")
        return Outcome(self.probability, verdict, self.packet, self.masquerade, self.hits, self.remembered)


def predict(plan: nft.Table, packet: Packet, at: Arrival) -> Prediction:
    """What can happen to `packet` on the node that has this table; `Arrival` says what is what.

    remembered  names of the table's sets that hold the source address
    """
    if (":" in packet.dst) != (plan.family == "ip6"):
        return Prediction(packet, (Branch(packet, packet, at.state).outcome,))
    chains = {chain.name: chain for chain in plan.chains}
    walk = _Walk(plan, chains, at.place, at.node_addresses, at.from_node)
    start = Branch(packet, packet, at.state, remembered=at.remembered)
    return Prediction(packet, tuple(branch.outcome for branch in walk.ends(start)))


@dataclass(frozen=True, slots=True)
class _Walk:
    table: nft.Table
    chains: Mapping[str, nft.Chain]
    place: str
    node_addresses: Set[str]
    from_node: bool

    def ends(self, start: Branch) -> Iterator[Branch]:
        """Every way the packet can go, to its end."""
        hooked = [(chain.hook, chain) for chain in self.chains.values() if chain.hook]
        order = FROM_NODE if self.from_node else FROM_ELSEWHERE
        at = [(h, c) for name in order for h, c in sorted(hooked, key=lambda p: p[0].priority) if h.name == name]
        yield from self._through(start, at)

    def _through(self, branch: Branch, hooks: list[tuple[nft.Hook, nft.Chain]]) -> Iterator[Branch]:
        if branch.decided in _ENDS or not hooks:
            yield branch
            return
        (hook, chain), rest = hooks[0], hooks[1:]
        if not self._passes(branch, hook):
            yield from self._through(branch, rest)
            return
        for after in self._chain(chain.name, replace(branch, decided=""), ()):
            yield from self._through(after, rest)

    def _passes(self, branch: Branch, hook: nft.Hook) -> bool:
        """Whether the packet comes by this hook, by its destination as it is now."""
        here = self._own(branch.packet.dst)
        if hook.kind == "nat" and branch.state != "NEW":
            return False
        return {"input": here, "forward": not here, "postrouting": self.from_node or not here}.get(hook.name, True)

    def _own(self, address: str) -> bool:
        return address in self.node_addresses or ip_address(address).is_loopback

    def _chain(self, name: str, branch: Branch, above: tuple[str, ...]) -> Iterator[Branch]:
        """The branches as they leave a chain: decided, or back to where it was called from."""
        if name not in self.chains:
            raise RuleError(f"the chain {name}, to which {above[-1] if above else 'nothing'} leads, does not exist")
        if name in above:
            raise RuleError(f"the chains {' -> '.join((*above, name))} form a loop")
        going = [branch]
        for number, rule in enumerate(self.chains[name].rules, 1):
            hit = RuleHit(self.place, self.table.name, name, number, str(rule))
            here, going = going, []
            for before in here:
                matched = list(self._rule(rule, before))
                going += [] if matched else [before]
                for after, verdict in matched:
                    met = replace(after, hits=(*after.hits, hit))
                    for left, back in self._act(verdict, met, (*above, name)):
                        if back and not left.decided:
                            going.append(left)
                        else:
                            yield left
        yield from going

    def _act(
        self, verdict: nft.Verdict | None, branch: Branch, above: tuple[str, ...]
    ) -> Iterator[tuple[Branch, bool]]:
        """What follows a rule, and whether the next rule of its chain is to be asked."""
        match verdict:
            case None:
                yield branch, True
            case nft.Verdict("jump" | "goto" as kind, chain):
                for after in self._chain(chain, branch, above):
                    yield after, kind == "jump"
            case nft.Verdict("return"):
                yield branch, False
            case nft.Verdict(kind):
                yield replace(branch, decided=kind), False

    def _rule(self, rule: nft.Rule, branch: Branch) -> Iterator[tuple[Branch, nft.Verdict | None]]:
        """The packet after the rule's statements, with its verdict; nothing where a condition does not hold."""
        for statement in rule.statements:
            match statement:
                case nft.Verdict():
                    yield branch, statement
                    return
                case nft.Spread(to):
                    share = branch.probability / len(to)
                    yield from ((replace(branch, probability=share), verdict) for verdict in to)
                    return
                case nft.Dispatch(fields, name):
                    if found := self._elements(name).get(tuple(_field(field, branch.packet) for field in fields)):
                        yield branch, found.verdict
                    return
                case nft.Reject():
                    yield replace(branch, decided="reject"), None
                    return
            if (after := self._statement(statement, branch)) is None:
                return
            branch = after
        yield branch, None

    def _statement(self, statement: nft.Statement, branch: Branch) -> Branch | None:
        """The packet after a statement; None where it is a condition that does not hold."""
        match statement:
            case nft.SetMark(operator, bits):
                return replace(branch, mark=branch.mark | bits if operator == "|" else branch.mark ^ bits)
            case nft.Update(name, _):
                return replace(branch, remembered=branch.remembered | {name})
            case nft.Masquerade():
                return replace(branch, masquerade=True, decided="accept")
            case nft.Dnat(to):
                ip, _, port = to.rpartition(":")
                packet = msgspec.structs.replace(branch.packet, dst=ip.strip("[]"), dport=int(port))
                return replace(branch, packet=packet, decided="accept")
        return branch if self._holds(statement, branch) else None

    def _holds(self, statement: nft.Statement, branch: Branch) -> bool:
        packet = branch.packet
        match statement:
            case nft.Match("meta l4proto", value, negated):
                return (packet.protocol.lower() == value) != negated
            case nft.Match(field, value, negated):
                return (ip_address(_field(field, packet)) in ip_network(value)) != negated
            case nft.InRanges(field, prefixes, negated):
                address = ip_address(_field(field, packet))
                return any(address in ip_network(prefix) for prefix in prefixes) != negated
            case nft.InSet(field, name):
                return name in branch.remembered or (_field(field, packet),) in self._elements(name)
            case nft.CtState(state):
                return branch.state.lower() == state
            case nft.FibLocal(end):
                return self._own(packet.src if end == "saddr" else packet.dst)
            case nft.Unmarked(mask):
                return not branch.mark & mask
        raise RuleError(f"the model tracer does not know the statement {statement}")

    def _elements(self, name: str) -> Mapping[nft.Key, nft.Element]:
        if all(one.name != name for one in self.table.sets):
            raise RuleError(f"the set {name} does not exist")
        return self.table.elements.get(name, {})


def _field(field: str, packet: Packet) -> str:
    match field:
        case "meta l4proto":
            return packet.protocol.lower()
        case "th dport":
            return str(packet.dport)
    return packet.src if field.endswith("saddr") else packet.dst
