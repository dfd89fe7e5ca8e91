"""Bytes of an IPv4 packet -> `Frame`: its addresses, and what makes it recognisable after an address translation.

Pure. The bytes start at the IP header and may be cut after the transport header. Source: RFC 791, 792, 768, 9293.
"""

from __future__ import annotations

import socket
import struct

import msgspec

from labkit.net.packet import Packet

FIN, SYN, RST, ACK = 0x01, 0x02, 0x04, 0x10

_PROTOCOLS = {1: "ICMP", 6: "TCP", 17: "UDP"}
_ERRORS = {3, 11, 12}  # unreachable, time exceeded, parameter problem: they carry the start of the packet at fault


class Frame(msgspec.Struct, frozen=True):
    """A packet as it was on one interface.

    length      bytes of payload behind the transport header, as the IP header says
    flags, seq, ack   TCP's; 0 elsewhere
    kind        ICMP: type and code; cause: the packet that an ICMP error speaks of
    """

    packet: Packet
    ttl: int
    ip_id: int
    length: int
    flags: int = 0
    seq: int = 0
    ack: int = 0
    kind: tuple[int, int] | None = None
    cause: Frame | None = None

    @property
    def identity(self) -> tuple[object, ...]:
        """Equal for the same packet before and after NAT.

        TCP by its sequence numbers: the IP ID collides and is often 0. UDP by IP ID and length, and that is no more
        than a hint where the ID is 0 (an unconnected socket's): compare addresses as well.
        """
        if self.packet.protocol == "TCP":
            return "TCP", self.seq, self.ack, self.flags, self.length
        if self.cause:
            return "ICMP", self.kind, self.cause.identity
        return self.packet.protocol, self.ip_id, self.length, self.kind


def parse(data: bytes) -> Frame | None:
    """The frame in `data`; None for what the lab does not trace: IPv6, other protocols, later fragments, scraps."""
    if len(data) < 20 or data[0] >> 4 != 4:
        return None
    total, ip_id, fragment, ttl, protocol, src, dst = struct.unpack_from("!2xHHHBB2x4s4s", data)
    start = (data[0] & 0xF) * 4
    name = _PROTOCOLS.get(protocol)
    if name is None or fragment & 0x1FFF or len(data) < start + 8:
        return None
    addresses = socket.inet_ntoa(src), socket.inet_ntoa(dst)
    # Offloads: a frame that the kernel has not cut up yet may carry the length 0.
    room = (total or len(data)) - start
    if name == "TCP":
        return _tcp(data, start, addresses, ttl, ip_id, room)
    if name == "UDP":
        sport, dport = struct.unpack_from("!HH", data, start)
        return Frame(Packet(*addresses, "UDP", sport, dport), ttl, ip_id, room - 8)
    kind = data[start], data[start + 1]
    cause = parse(data[start + 8 :]) if kind[0] in _ERRORS else None
    return Frame(Packet(*addresses, "ICMP"), ttl, ip_id, room - 8, kind=kind, cause=cause)


def _tcp(data: bytes, start: int, addresses: tuple[str, str], ttl: int, ip_id: int, room: int) -> Frame:
    """An ICMP error may cut TCP's header after the sequence number (RFC 792: 8 bytes): the rest is then 0."""
    whole = data[start : start + 20].ljust(20, b"\0")
    sport, dport, seq, ack, offset, flags = struct.unpack_from("!HHIIBB", whole)
    packet = Packet(*addresses, "TCP", sport, dport)
    return Frame(packet, ttl, ip_id, max(room - (offset >> 4) * 4, 0), flags & 0x3F, seq, ack)
