"""What one packet did: the value that `trace` makes and `show` draws."""

from __future__ import annotations

from typing import Literal

import msgspec

from labkit.net.packet import Packet
from labkit.net.place import PlaceKind


class Hop(msgspec.Struct, frozen=True):
    """The packet seen on one interface. `time_ns` counts from the first hop."""

    place: str
    kind: PlaceKind
    interface: str
    direction: Literal["in", "out"]
    packet: Packet
    time_ns: int


class RuleHit(msgspec.Struct, frozen=True):
    """A rule that the kernel reported for the packet: `number` counts from 1 within the chain.

    `text` is the rule as `iptables-save` prints it; empty for a chain's policy or an implicit return.
    """

    place: str
    table: str
    chain: str
    number: int
    text: str


class Rewrite(msgspec.Struct, frozen=True):
    """An address translation: the packet before and after, and the rule that asked for it."""

    place: str
    hook: Literal["PREROUTING", "INPUT", "OUTPUT", "POSTROUTING"]
    action: Literal["DNAT", "SNAT"]
    before: Packet
    after: Packet
    rule: str


class Conntrack(msgspec.Struct, frozen=True):
    """A connection tracking entry of one node: the tuple as it came, and the tuple that replies must have."""

    place: str
    original: Packet
    reply: Packet
    state: str = ""
    timeout: int = 0


class PacketPath(msgspec.Struct, frozen=True):
    """The way of one request's first packet (`request`), of the first reply to it (`reply`), and why it went so.

    source, target  as the caller named them; `packet` is the first packet as the source sent it
    hops            in the order in which the packet crossed the interfaces
    rules           in the order in which the kernel evaluated them, on every node that the packet crossed
    lost            captured frames that the kernel had to drop: above 0 the path may have gaps
    outcome         "200", "refused", "timeout", "rejected by rule …": what the requester saw
    """

    source: str
    target: str
    packet: Packet
    request: tuple[Hop, ...]
    reply: tuple[Hop, ...]
    rules: tuple[RuleHit, ...]
    rewrites: tuple[Rewrite, ...]
    conntrack: tuple[Conntrack, ...]
    lost: int
    outcome: str
