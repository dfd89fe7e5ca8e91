"""Values as the live tracer recorded them, written short: a frame for each hop of `place interface direction`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from labkit.linux.conntrack import Flow
from labkit.net.packet import Packet
from labkit.net.path import RuleHit
from labkit.net.place import Place
from labkit.trace.capture import Seen
from labkit.trace.correlate import Asked, First, forms
from labkit.trace.frames import ACK, SYN, Frame
from labkit.trace.rules import Evaluated

SEQ, SERVER_SEQ = 1000, 5000
KINDS: dict[str, Any] = {"node": "node", "s-": "switch", "router": "router", "internet": "outside"}


def place(name: str) -> Place:
    kind = next((k for start, k in KINDS.items() if name.startswith(start)), "pod")
    addresses = {"client": ("10.244.1.2",), "node-1": ("172.18.1.11",)}.get(name, ())
    return Place(name, kind, f"/run/netns/{name}", addresses=addresses)


def packet(text: str, protocol: str = "TCP") -> Packet:
    """From "10.0.0.1:1 10.0.0.2:2"."""
    (src, sport), (dst, dport) = (end.split(":") for end in text.split())
    return Packet(src, dst, protocol, int(sport), int(dport))


def syn(of: Packet, ip_id: int = 1) -> Frame:
    return Frame(of, 64, ip_id, 0, SYN, SEQ, 0)


def synack(of: Packet) -> Frame:
    return Frame(of, 64, 0, 0, SYN | ACK, SERVER_SEQ, SEQ + 1)


def seen(hop: str, time: int, frame: Frame) -> Seen:
    name, interface, direction = hop.split()
    assert direction == "in" or direction == "out"
    return Seen(place(name), interface, direction, 10**18 + time, frame)


def way(hops: Sequence[str], start: int, *frames: Frame) -> list[Seen]:
    """One hop after the other, 10 ns apart; the last frame is that of all further hops."""
    return [seen(hop, start + 10 * i, frames[min(i, len(frames) - 1)]) for i, hop in enumerate(hops)]


def flow(original: str, reply: str, protocol: str = "TCP") -> Flow:
    return Flow(packet(original, protocol), packet(reply, protocol), "ESTABLISHED")


def asked(source: str = "client", port: int = 80, protocol: str = "TCP", **row: Any) -> Asked:
    return Asked(place(source), source, "http://web", protocol, port, {"status": None, "error": "", "local": ""} | row)


def first(of: Packet, frame: Frame, *flows: Flow) -> First:
    return First(of, frame, frozenset([of, *(form for f in flows for form in forms(f))]))


def hit(where: str, table: str, chain: str, number: int, text: str, target: str) -> Evaluated:
    return Evaluated(RuleHit(where, table, chain, number, text), target)
