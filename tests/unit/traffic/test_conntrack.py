"""Conntrack messages as the kernel lays them out (nfnetlink_conntrack.h)."""

import socket
import struct

from labkit.linux.conntrack import Flow, read_flow
from labkit.net.packet import Packet


def attr(kind: int, value: bytes, nested: bool = False) -> bytes:
    return struct.pack("=HH", 4 + len(value), kind | (0x8000 if nested else 0)) + value + bytes(-len(value) % 4)


def ports(kind: int, src: str, dst: str, protocol: int, sport: int, dport: int) -> bytes:
    family, first = (socket.AF_INET6, 3) if ":" in src else (socket.AF_INET, 1)
    addresses = attr(first, socket.inet_pton(family, src)) + attr(first + 1, socket.inet_pton(family, dst))
    proto = attr(1, bytes([protocol])) + attr(2, struct.pack(">H", sport)) + attr(3, struct.pack(">H", dport))
    return attr(kind, attr(1, addresses, True) + attr(2, proto, True), True)


def tcp_state(number: int) -> bytes:
    return attr(4, attr(1, attr(1, bytes([number])), True), True)


def test_a_translated_tcp_connection() -> None:
    body = bytes(4)
    body += ports(1, "10.244.1.5", "10.96.0.20", 6, 40000, 80) + ports(2, "10.244.2.7", "10.244.1.5", 6, 8080, 40000)
    body += attr(3, struct.pack(">I", 0x18E)) + attr(7, struct.pack(">I", 119)) + tcp_state(7)
    body += attr(8, struct.pack(">I", 0x4000))
    flow = read_flow(body)
    assert flow == Flow(
        Packet("10.244.1.5", "10.96.0.20", "TCP", 40000, 80),
        Packet("10.244.2.7", "10.244.1.5", "TCP", 8080, 40000),
        "TIME_WAIT",
        119,
        0x4000,
    )
    assert flow.translated


def test_udp_says_whether_it_was_answered() -> None:
    tuples = bytes(4) + ports(1, "10.0.0.1", "10.0.0.2", 17, 1, 53) + ports(2, "10.0.0.2", "10.0.0.1", 17, 53, 1)
    assert read_flow(tuples + attr(3, struct.pack(">I", 0x8))).state == "UNREPLIED"
    answered = read_flow(tuples + attr(3, struct.pack(">I", 0xA)))
    assert answered.state == "" and not answered.translated and answered.timeout == 0


def test_ipv6_and_icmp() -> None:
    tuples = bytes(4) + ports(1, "fd00::1", "fd00::2", 6, 1, 80) + ports(2, "fd00::2", "fd00::1", 6, 80, 1)
    assert read_flow(tuples + tcp_state(3)).original == Packet("fd00::1", "fd00::2", "TCP", 1, 80)

    def ping(kind: int, src: str, dst: str, icmp: int) -> bytes:
        addresses = attr(1, socket.inet_aton(src)) + attr(2, socket.inet_aton(dst))
        proto = attr(1, b"\x01") + attr(4, b"\0\x07") + attr(5, bytes([icmp])) + attr(6, b"\0")
        return attr(kind, attr(1, addresses, True) + attr(2, proto, True), True)

    body = bytes(4) + ping(1, "10.0.0.1", "10.0.0.2", 8) + ping(2, "10.0.0.2", "10.0.0.1", 0) + attr(3, bytes(4))
    assert read_flow(body).original == Packet("10.0.0.1", "10.0.0.2", "ICMP", None, None)
