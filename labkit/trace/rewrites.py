"""Where a packet's addresses were rewritten, by which hook, for which rule. Pure.

    from a hop that came in to one that went out    destination differs: PREROUTING    source differs: POSTROUTING
    sent by the place itself                        destination differs: OUTPUT
    received by the place itself                                                       source differs: INPUT
    from a hop that came in, by IPVS                destination differs: INPUT

Replies are translated back by conntrack without any rule; there the hooks are the same (a reply's source is restored
where a source is rewritten). Source: net/netfilter/nf_nat_core.c, HOOK2MANIP.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

import msgspec

from labkit.linux.conntrack import Flow
from labkit.net.packet import Packet
from labkit.net.path import Hop, Rewrite, RuleHit
from labkit.trace.balanced import TABLE
from labkit.trace.rules import Evaluated

_TARGETS = {"DNAT": ("DNAT", "REDIRECT"), "SNAT": ("SNAT", "MASQUERADE")}
_Stage = tuple[str, Literal["sent", "hop", "received"], Packet]


def rewrites(
    packet: Packet,
    request: Sequence[Hop],
    reply: Sequence[Hop],
    rules: Sequence[Evaluated],
    entries: Mapping[str, Sequence[Flow]],
) -> tuple[Rewrite, ...]:
    """The request's rewrites, then the reply's. `packet` as its sender made it; `entries`: this flow's, by place.

    `rule` is the text of the rule that asked for it; empty for a reply's.
    """
    there = _changes(_stages(request, packet, entries, reply=False))
    found = [_explained(change, _rule(rules, change)) for change in there]
    if reply and reply[0].packet.protocol != "ICMP":
        found += _changes(_stages(reply, None, entries, reply=True))
    return tuple(found)


def _explained(change: Rewrite, hit: RuleHit | None) -> Rewrite:
    """With the rule that asked for it. IPVS takes what comes from elsewhere behind INPUT's filter."""
    if hit is None:
        return change
    balanced = hit.table == TABLE and change.hook == "PREROUTING"
    return msgspec.structs.replace(change, rule=hit.text, hook="INPUT" if balanced else change.hook)


def _stages(
    hops: Sequence[Hop], sent: Packet | None, entries: Mapping[str, Sequence[Flow]], *, reply: bool
) -> Iterator[_Stage]:
    """The packet's forms in order: as a process sent it, on each interface, as a process received it."""
    if not hops:
        return
    first, last = hops[0], hops[-1]
    if first.direction == "out":
        yield first.place, "sent", sent or _before(first, entries)
    for hop in hops:
        yield hop.place, "hop", hop.packet
    if last.direction == "in":
        yield last.place, "received", _after(last, entries, reply=reply)


def _before(hop: Hop, entries: Mapping[str, Sequence[Flow]]) -> Packet:
    """A reply as its sender made it, where the sender's own node translates it back before its first interface."""
    flows = entries.get(hop.place, ())
    return next((f.reply for f in flows if f.original.reversed() == hop.packet), hop.packet)


def _after(hop: Hop, entries: Mapping[str, Sequence[Flow]], *, reply: bool) -> Packet:
    for flow in entries.get(hop.place, ()):
        arrived, delivered = (flow.reply, flow.original.reversed()) if reply else (flow.original, flow.reply.reversed())
        if arrived == hop.packet:
            return delivered
    return hop.packet


def _changes(stages: Iterator[_Stage]) -> Iterator[Rewrite]:
    """Each difference between two neighbouring forms at one place: the destination's first, as the hooks come."""
    previous: _Stage | None = None
    for stage in stages:
        if previous and previous[0] == stage[0] and previous[2] != stage[2]:
            place, before, after = stage[0], previous[2], stage[2]
            between = Packet(before.src, after.dst, before.protocol, before.sport, after.dport)
            if between != before:
                yield Rewrite(place, "OUTPUT" if previous[1] == "sent" else "PREROUTING", "DNAT", before, between, "")
            if between != after:
                yield Rewrite(place, "INPUT" if stage[1] == "received" else "POSTROUTING", "SNAT", between, after, "")
        previous = stage


def _rule(rules: Sequence[Evaluated], change: Rewrite) -> RuleHit | None:
    hits = (e.hit for e in rules if e.target in _TARGETS[change.action])
    return next((hit for hit in hits if hit.place == change.place), None)
