"""Frames, rules and conntrack entries -> the way of one packet. Pure: everything comes in as values.

    pod eth0 out -> node veth in -> (PREROUTING: DNAT, POSTROUTING: SNAT) -> node eth0 out -> … -> pod eth0 in

It is one packet by its identity (`frames.Frame.identity`); its addresses may differ between two hops of one place, and
which forms they may take is known from the conntrack entries.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import msgspec

from labkit.errors import TraceError
from labkit.linux.conntrack import Flow
from labkit.net.packet import Packet
from labkit.net.path import Conntrack, Hop, PacketPath
from labkit.net.place import Place
from labkit.trace.capture import Seen
from labkit.trace.frames import ACK, RST, SYN, Frame
from labkit.trace.rewrites import rewrites
from labkit.trace.rules import Evaluated

Flows = Mapping[str, Sequence[Flow]]  # place name -> its conntrack entries


class Asked(msgspec.Struct, frozen=True):
    """The request that was traced, and the row that it gave (as `labkit.traffic` makes it: status, error, local).

    `home`: name of the place whose network the source is in: itself, or the node of a pod with hostNetwork.
    """

    source: Place
    home: str
    target: str
    protocol: str
    port: int
    row: Mapping[str, Any]


class First(msgspec.Struct, frozen=True):
    """The request's first packet: as the source made it, its first frame, all forms that NAT gives it on its way."""

    packet: Packet
    frame: Frame
    forms: frozenset[Packet]

    def matches(self, frame: Frame) -> bool:
        return frame.identity == self.frame.identity and frame.packet in self.forms

    def answered_by(self, frame: Frame) -> bool:
        """Whether `frame` is a reply: SYN-ACK or reset, an ICMP error about the packet, a datagram back."""
        if frame.cause:
            return self.matches(frame.cause)
        if frame.packet.protocol == "TCP":
            acknowledges = frame.ack == (self.frame.seq + 1) % (1 << 32) and frame.flags & ACK
            return bool(acknowledges and frame.flags & (SYN | RST) and frame.packet.reversed() in self.forms)
        return frame.packet.reversed() in self.forms


def first_packet(
    asked: Asked, seen: Sequence[Seen], reported: Iterable[Frame], original: Callable[[Packet], Packet]
) -> tuple[Packet, Frame]:
    """The packet that began the request, as its source made it, and its first frame.

    Raises `TraceError` where none left the source (its name had no address).

    Known by the request's own address and port where the row has them, else by the port asked for. A source that
    translates its own packets (a node) shows them already translated on its interfaces: `original` turns them back.
    `reported` are the packets that rules saw: one that was rejected on the way out never reached an interface.
    """
    sent = [s.frame for s in sorted(seen, key=_time) if s.place.name == asked.home and s.direction == "out"]
    for frame in (f for f in [*sent, *reported] if _is_first(f, asked.protocol)):
        packet = original(frame.packet)
        if _is_asked(packet, asked):
            return packet, frame
    error = asked.row.get("error") or "the request gave no packet of its own"
    raise TraceError(f"no packet for {asked.target} left {asked.source.name}: {error}")


def forms(flow: Flow) -> tuple[Packet, Packet, Packet]:
    """A packet of the flow's original direction: as it came, between the hooks of the place, as it goes on.

    Between the hooks it has its new destination and still its old source.
    """
    before, after = flow.original, flow.reply.reversed()
    return before, Packet(before.src, after.dst, before.protocol, before.sport, after.dport), after


def path(
    asked: Asked, first: First, seen: Sequence[Seen], evaluated: Sequence[Evaluated], flows: Flows, lost: int
) -> PacketPath:
    """All of it. `evaluated`: the rules that the packet met, in order for each place; `flows`: its own entries."""
    request = _way(seen, first.matches)
    answers = sorted((s for s in seen if first.answered_by(s.frame)), key=_time)
    reply = _way(answers, lambda frame: frame.identity == answers[0].frame.identity)
    start = next((s.time_ns for s in (*request, *reply)), 0)
    order = {name: i for i, name in reversed(list(enumerate(s.place.name for s in request)))}
    rules = sorted(evaluated, key=lambda e: order.get(e.hit.place, len(order)))
    hops, back = _hops(request, start), _hops(reply, start)
    return PacketPath(
        source=asked.source.name,
        target=asked.target,
        packet=first.packet,
        request=hops,
        reply=back,
        rules=tuple(e.hit for e in rules),
        rewrites=rewrites(first.packet, hops, back, rules, flows),
        conntrack=tuple(
            Conntrack(name, f.original, f.reply, f.state, f.timeout)
            for name in sorted(flows, key=lambda name: order.get(name, len(order)))
            for f in flows[name]
        ),
        lost=lost,
        outcome=_outcome(asked.row, rules),
    )


def _is_first(frame: Frame, protocol: str) -> bool:
    return frame.packet.protocol == protocol and (protocol != "TCP" or frame.flags & (SYN | ACK | RST) == SYN)


def _is_asked(packet: Packet, asked: Asked) -> bool:
    local = str(asked.row.get("local") or "")
    if local:  # a socket's own: the destination may be another than was asked for, chosen as it connected
        return local == f"{packet.src}:{packet.sport}"
    return packet.dport == asked.port and (not asked.source.addresses or packet.src in asked.source.addresses)


def _way(seen: Iterable[Seen], wanted: Callable[[Frame], bool]) -> list[Seen]:
    """The wanted frames in the order of their way; of a packet sent again, the first on each interface and direction.

    Equal times (a bridge forwards within the clock's step) are put right by what follows what: a packet that came
    into a place leaves it, one that left a place comes into another.
    """
    left: list[Seen] = []
    met = set()
    for s in sorted((s for s in seen if wanted(s.frame)), key=_time):
        where = s.place.name, s.interface, s.direction
        if where not in met:
            met.add(where)
            left.append(s)
    way: list[Seen] = []
    while left:
        tied = [s for s in left if s.time_ns == left[0].time_ns]
        following = next((s for s in tied if _follows(way, s)), tied[0])
        left.remove(following)
        way.append(following)
    return way


def _follows(way: Sequence[Seen], after: Seen) -> bool:
    if not way:
        return after.direction == "out"
    before = way[-1]
    if before.direction == "in":
        return after.place == before.place
    return after.direction == "in" and (after.place != before.place or after.interface == before.interface == "lo")


def _hops(way: Sequence[Seen], start: int) -> tuple[Hop, ...]:
    return tuple(
        Hop(s.place.name, s.place.kind, s.interface, s.direction, s.frame.packet, s.time_ns - start) for s in way
    )


def _outcome(row: Mapping[str, Any], rules: Sequence[Evaluated]) -> str:
    if (status := row.get("status")) is not None:
        return str(status)
    error = str(row.get("error") or "")
    stopped = next((e for e in rules if e.target in ("REJECT", "DROP")), None)
    if stopped:
        hit = stopped.hit
        which = f"rule {hit.number} of {hit.chain}" if hit.text else f"the policy of {hit.chain}"
        return f"{'rejected' if stopped.target == 'REJECT' else 'dropped'} by {which} ({hit.table}) on {hit.place}"
    if "refused" in error:
        return "refused"
    return "timeout" if "timed out" in error else error or "answered"


def _time(seen: Seen) -> int:
    return seen.time_ns
