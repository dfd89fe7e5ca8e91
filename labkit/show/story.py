"""A PacketPath told in steps: the addresses at each hop, where they change and by which rule, and the claim of it all.

Ports that a client took at random are left out: they differ from run to run and explain nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Literal

from labkit.net.packet import Packet, endpoint
from labkit.net.path import Hop, PacketPath, Rewrite, RuleHit

Way = Literal["request", "reply"]


@dataclass(frozen=True)
class Change:
    """Addresses rewritten just before hop number `gap` of its way (the number of hops: after the last one).

    label  which NAT and which rule
    text   what became of which address
    ends   whether the source, and whether the destination is another now, client's ports apart
    """

    gap: int
    place: str
    label: str
    text: str
    ends: tuple[bool, bool]


@dataclass(frozen=True)
class Step:
    """One hop as the table shows it; `what` is empty where the packet just passed."""

    way: Way
    hop: Hop
    src: str
    dst: str
    what: str


@dataclass(frozen=True)
class Story:
    title: str
    answered: bool
    request: tuple[Step, ...]
    reply: tuple[Step, ...]
    changes: dict[Way, tuple[Change, ...]]
    notes: tuple[str, ...]


def tell(path: PacketPath) -> Story:
    """The story of a path: pure, in the order in which things happened."""
    there, left = _changes(path, "request", path.packet, path.request, path.rewrites)
    first = path.reply[0].packet if path.reply else path.packet.reversed()
    back, _ = _changes(path, "reply", first, path.reply, left)
    answered = is_answered(path)
    return Story(
        title=_title(path, there, answered),
        answered=answered,
        request=_steps("request", path.request, there, _ending(path, answered)),
        reply=_steps("reply", path.reply, back, "received"),
        changes={"request": there, "reply": back},
        notes=_notes(path),
    )


def is_answered(path: PacketPath) -> bool:
    """Whether the requester got an answer of the server's own, were it an HTTP error; other outcomes are failures."""
    return bool(path.reply) and (path.outcome.isdigit() or path.outcome == "answered")


def shown(packet: Packet, way: Way) -> tuple[str, str]:
    """Source and destination, each with its port only where the port is the server's."""
    if way == "request":
        return packet.src, endpoint(packet.dst, packet.dport)
    return endpoint(packet.src, packet.sport), packet.dst


def _changes(
    path: PacketPath, way: Way, start: Packet, hops: Sequence[Hop], rewrites: Sequence[Rewrite]
) -> tuple[tuple[Change, ...], list[Rewrite]]:
    """Every change of address between `start`, the hops and the end; and the rewrites that were not needed for it."""
    found: list[Change] = []
    left = list(rewrites)
    current = start
    for gap, hop in enumerate(hops):
        while current != hop.packet:
            rewrite = next((r for r in left if r.before == current), None)
            if rewrite is None:
                if shown(current, way) != shown(hop.packet, way):
                    found.append(_change(way, gap, hop.place, "", current, hop.packet))
                break
            left.remove(rewrite)
            found.append(_rewritten(path, way, gap, rewrite))
            current = rewrite.after
        current = hop.packet
    while hops and (rewrite := next((r for r in left if r.before == current), None)):
        left.remove(rewrite)
        found.append(_rewritten(path, way, len(hops), rewrite))
        current = rewrite.after
    return tuple(found), left


def _rewritten(path: PacketPath, way: Way, gap: int, rewrite: Rewrite) -> Change:
    rule = rule_name(path.rules, rewrite)
    label = f"{rewrite.action} by {rule}" if rule else ""
    return _change(way, gap, rewrite.place, label, rewrite.before, rewrite.after)


def _change(way: Way, gap: int, place: str, label: str, before: Packet, after: Packet) -> Change:
    """A change without a label has no rule: a reply's is conntrack's own work, a request's should have had one."""
    (src, dst), (new_src, new_dst) = shown(before, way), shown(after, way)
    parts = []
    if src != new_src:
        parts.append(f"source {src} -> {new_src}")
    if dst != new_dst:
        parts.append(f"destination {dst} -> {new_dst}")
    text = ", ".join(parts) or "the client's port only"
    label = label or ("turned back by conntrack" if way == "reply" else "by a rule that was not seen")
    return Change(gap, place, label, text, (src != new_src, dst != new_dst))


def rule_name(rules: Sequence[RuleHit], rewrite: Rewrite) -> str:
    """Chain and number of the rule behind a rewrite where the path's rules have its text; else the rule as given."""
    for hit in rules:
        if hit.place == rewrite.place and hit.text and hit.text == rewrite.rule:
            return f"{hit.chain} rule {hit.number}"
    return rewrite.rule


def _steps(way: Way, hops: Sequence[Hop], changes: Sequence[Change], ending: str) -> tuple[Step, ...]:
    steps = []
    for number, hop in enumerate(hops):
        what = [f"{c.label}: {c.text}" for c in changes if c.gap == number]
        if number == 0:
            what.insert(0, "sent")
        if number == len(hops) - 1:
            what.append(ending)
            what += [f"{c.label}: {c.text}" for c in changes if c.gap == len(hops)]
        steps.append(Step(way, hop, *shown(hop.packet, way), "; ".join(what)))
    return tuple(steps)


def _ending(path: PacketPath, answered: bool) -> str:
    return "received" if answered or path.reply else f"last seen: {path.outcome}"


def _title(path: PacketPath, changes: Sequence[Change], answered: bool) -> str:
    target = endpoint(path.packet.dst, path.packet.dport)
    if not path.request:
        return f"No packet from {path.source} to {target} was seen: {path.outcome}"
    if not answered and path.outcome == "refused":
        return f"{target} refuses {path.source}"
    if not answered:
        last = path.request[-1]
        seen = "" if path.reply else f", last seen at {last.place} {last.interface}"
        return f"{target} does not answer {path.source}: {path.outcome}{seen}"
    told = [c for c in changes if any(c.ends)]
    if not told:
        return f"{path.packet.src} reaches {target} over {_count(len(path.request), 'hop')}, no address changed"
    by_place = groupby(told, key=lambda change: change.place)
    return "; ".join(f"{' and '.join(_becomes(c) for c in same)} on {place}" for place, same in by_place)


def _becomes(change: Change) -> str:
    """`10.96.0.1:80 becomes 10.244.1.2:80`; a source is called so."""
    return change.text.replace("destination ", "").replace(" -> ", " becomes ").replace(", ", " and ")


def _notes(path: PacketPath) -> tuple[str, ...]:
    notes = [f"Outcome: {path.outcome}"]
    if not path.reply:
        notes.append("no reply was seen")
    if path.lost:
        notes.append(f"{_count(path.lost, 'captured frame')} lost, so the path may have gaps")
    return tuple(notes)


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
