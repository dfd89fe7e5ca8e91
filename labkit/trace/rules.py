"""Which rules the kernel evaluated for a packet: one signature, two ways of asking.

    nft      a table of our own marks the packet, nf_tables reports each rule by its handle     labkit.linux.nfttrace
    legacy   raw's TRACE target marks it, x_tables logs each rule by its number                 labkit.linux.nflog

Both report a rule whose matches all held, an implicit return at a chain's end, and a built-in chain's policy. Both give
equal hits for the same rules; the end of an empty chain that accepts says nothing and is left out (only x_tables has
all built-in chains of a table as soon as one is used).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from typing import Protocol, TypeVar

import msgspec

from labkit.errors import TraceError
from labkit.linux import iptables, nflog, nfttrace
from labkit.linux.iptables import Variant
from labkit.linux.nftables.listing import ListedChain, listed
from labkit.net import rules
from labkit.net.path import RuleHit
from labkit.net.place import Place
from labkit.trace.frames import Frame, parse

T = TypeVar("T")

BUFFER = 4 << 20

_TRACE_GROUP = 0  # the group in which nfnetlink_log puts what TRACE reports
_PREFIX = "TRACE: "
_RAW_CHAINS = ("PREROUTING", "OUTPUT")


class Evaluated(msgspec.Struct, frozen=True):
    """A hit and what it led to: a rule's target (empty where it has none), a policy, or RETURN at a chain's end."""

    hit: RuleHit
    target: str


class RuleTrace(Protocol):
    """The trace of one place: `drain` as long as it lasts, `close`, then ask for `hits`.

    Making and closing it, and `hits`, may take some milliseconds.
    """

    place: Place

    def fileno(self) -> int: ...

    def drain(self) -> None:
        """Take what has been reported; never waits."""

    def lost(self) -> int:
        """How often the kernel dropped reports."""

    def frames(self) -> list[Frame]:
        """The packets reported so far, one for each report."""

    def hits(self, wanted: Callable[[Frame], bool]) -> list[Evaluated]:
        """The rules that the wanted packets met, in order. Raises `TraceError` where they have been changed since."""

    def close(self) -> None:
        """Take back all that was set up."""


def open_trace(variant: Variant, place: Place, protocol: str, sources: Sequence[str]) -> RuleTrace:
    """Trace the first packets (TCP: SYN; UDP: all) from `sources` in a place; without sources, from anywhere."""
    if variant is Variant.NFT:
        return NftRules(place, protocol, sources)
    return LegacyRules(place, protocol, sources)


class NftRules:
    """By nf_tables' own trace."""

    def __init__(self, place: Place, protocol: str, sources: Sequence[str]) -> None:
        self.place = place
        self._trace = nfttrace.NftTrace(place.netns, protocol, sources, BUFFER)
        self._events: list[tuple[nfttrace.TraceEvent, Frame]] = []

    def fileno(self) -> int:
        return self._trace.fileno()

    def drain(self) -> None:
        self._events += [(event, frame) for event in self._trace.events() if (frame := parse(event.data))]

    def lost(self) -> int:
        return self._trace.overruns

    def frames(self) -> list[Frame]:
        return [frame for _, frame in self._events]

    def hits(self, wanted: Callable[[Frame], bool]) -> list[Evaluated]:
        events = _first_sent(self._events, wanted)
        if not events:
            return []
        handles = nfttrace.handles(self.place.netns)
        listing = _listing(self.place, Variant.NFT)
        own = {t.name for t in listing.tables}
        others = {name: listed(self.place.netns, "ip", name) for name in {e.table for e in events} - own}
        found = []
        for event in events:
            if others.get(event.table):
                found.append(_other(self.place, others[event.table], event))
                continue
            built_in = (chain := listing.chain(event.table, event.chain)) is not None and chain.policy != "-"
            if event.kind == "end" and built_in:
                continue  # the policy's event says it
            position = 0
            if event.kind == "rule":
                known = handles.get((event.table, event.chain), [])
                if event.handle not in known:
                    raise _changed(self.place)
                position = known.index(event.handle) + 1
            found.append(_evaluated(self.place, listing, event.table, event.chain, position))
        return [e for e in found if e]

    def close(self) -> None:
        self._trace.close()


def _other(place: Place, chains: Mapping[str, ListedChain], event: nfttrace.TraceEvent) -> Evaluated | None:
    """What was met in a table that is not iptables'; None for the end of a base chain, as its policy says it."""
    chain = chains.get(event.chain)
    if chain is None or (event.kind == "rule" and event.handle not in chain.rules):
        raise _changed(place)
    if event.kind != "rule":
        if (event.kind == "end" and chain.base) or not chain.rules:
            return None
        target = "RETURN" if event.kind == "end" else "ACCEPT"
        return Evaluated(RuleHit(place.name, event.table, event.chain, len(chain.rules) + 1, ""), target)
    text = chain.rules[event.handle]
    number = list(chain.rules).index(event.handle) + 1
    target = _nft_target(text)
    if event.dropped and target != "REJECT":  # which is an answer, and a drop
        target = "DROP"
    return Evaluated(RuleHit(place.name, event.table, event.chain, number, text), target)


def _nft_target(text: str) -> str:
    """What a rule of nft's leads to, in iptables' words: the words behind its conditions, without its comment."""
    match text.partition(' comment "')[0].split():
        case [*_, "dnat", "to", _]:
            return "DNAT"
        case [*_, "masquerade"] | [*_, "masquerade", "fully-random"]:
            return "MASQUERADE"
        case [*_, "reject" | "drop" | "accept" | "return" as verdict]:
            return verdict.upper()
        case [*_, "jump" | "goto", chain]:
            return chain
    return ""


class LegacyRules:
    """By the TRACE target, in rules of our own at the head of raw's chains."""

    def __init__(self, place: Place, protocol: str, sources: Sequence[str]) -> None:
        self.place = place
        self._logged: list[tuple[str, Frame]] = []
        self._own = max(len(sources), 1)  # rules at the head of each of raw's two chains
        path = place.netns
        with ExitStack() as undo:
            before = nflog.choose_logger(path, "nfnetlink_log")
            undo.callback(nflog.choose_logger, path, before)
            self._log = nflog.NfLog(path, _TRACE_GROUP, BUFFER)
            undo.callback(self._log.close)
            change = partial(_raw_rules, protocol=protocol, sources=sources)
            iptables.restore(path, change("-I"), Variant.LEGACY)
            undo.callback(iptables.restore, path, change("-D"), Variant.LEGACY)
            self._undo = undo.pop_all()

    def fileno(self) -> int:
        return self._log.fileno()

    def drain(self) -> None:
        packets = (p for p in self._log.packets() if p.prefix.startswith(_PREFIX))
        self._logged += [(packet.prefix, frame) for packet in packets if (frame := parse(packet.data))]

    def lost(self) -> int:
        return self._log.overruns

    def frames(self) -> list[Frame]:
        return [frame for _, frame in self._logged]

    def hits(self, wanted: Callable[[Frame], bool]) -> list[Evaluated]:
        prefixes = _first_sent(self._logged, wanted)
        if not prefixes:
            return []
        listing = _listing(self.place, Variant.LEGACY)
        found = []
        for prefix in prefixes:
            # "TRACE: nat:KUBE-SERVICES:rule:2 "
            table, rest = prefix.removeprefix(_PREFIX).strip().split(":", 1)
            chain, kind, number = rest.rsplit(":", 2)
            position = int(number) if kind == "rule" else 0
            if position and table == "raw" and chain in _RAW_CHAINS:
                position -= self._own  # its own rules are never reported: the packet is marked by them, and once
            found.append(_evaluated(self.place, listing, table, chain, position))
        return [e for e in found if e]

    def close(self) -> None:
        self._undo.close()


def _first_sent(reports: Sequence[tuple[T, Frame]], wanted: Callable[[Frame], bool]) -> list[T]:
    """The reports on a packet; where it was sent again, those on the first that came here (each has its IP ID)."""
    met = [(report, frame.ip_id) for report, frame in reports if wanted(frame)]
    return [report for report, ip_id in met if ip_id == met[0][1]]


def _raw_rules(command: str, protocol: str, sources: Sequence[str]) -> str:
    """iptables-restore's input that inserts ("-I") or deletes ("-D") the rules which mark the packets."""
    match = "-p tcp -m tcp --tcp-flags SYN,ACK SYN" if protocol == "TCP" else f"-p {protocol.lower()}"
    origins = [f"-s {address} " for address in sources] or [""]
    lines = [f"{command} {chain} {origin}{match} -j TRACE" for chain in _RAW_CHAINS for origin in origins]
    return "\n".join(["*raw", *lines, "COMMIT", ""])


def _listing(place: Place, variant: Variant) -> rules.Ruleset:
    return rules.parse(iptables.save(place.netns, variant))


def _evaluated(place: Place, listing: rules.Ruleset, table: str, name: str, number: int) -> Evaluated | None:
    """Rule `number` of a chain, its end where that is 0; None for the end of an empty chain that accepts."""
    chain = listing.chain(table, name)
    if chain is None:  # a table that is not iptables', and no nft to list it
        return Evaluated(RuleHit(place.name, table, name, number, ""), "")
    if number > len(chain.rules):
        raise _changed(place)
    if number:
        rule = chain.rules[number - 1]
        return Evaluated(RuleHit(place.name, table, name, number, rule.text), rule.target)
    if not chain.rules and chain.policy == "ACCEPT":
        return None
    target = "RETURN" if chain.policy == "-" else chain.policy
    return Evaluated(RuleHit(place.name, table, name, len(chain.rules) + 1, ""), target)


def _changed(place: Place) -> TraceError:
    return TraceError(f"the rules of {place.name} were changed while the packet was traced: take the trace again")
