"""Bytes to frames: recorded packets, made ones, and whatever bytes there are."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labkit.net.packet import Packet
from labkit.trace.frames import ACK, RST, SYN, parse

# SYN of 10.244.1.2:40000 -> 10.96.0.22:80 as tcpdump -x shows it.
SYN_BYTES = bytes.fromhex(
    "4500003cf7a840004006 2eb1 0af40102 0a600016"  # IP: id 0xf7a8, DF, TTL 64
    "9c400050 ce829105 00000000 a002faf0 1491 0000"  # TCP: seq, SYN, window
    "020405b4 0402080a 00000000 00000000 01030307"
)


def ip(
    payload: bytes, protocol: int, src: str = "10.244.1.2", dst: str = "10.96.0.22", ip_id: int = 7, ttl: int = 64
) -> bytes:
    ends = b"".join(bytes(map(int, a.split("."))) for a in (src, dst))
    return struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(payload), ip_id, 0, ttl, protocol, 0) + ends + payload


def test_syn() -> None:
    frame = parse(SYN_BYTES)
    assert frame is not None
    assert frame.packet == Packet("10.244.1.2", "10.96.0.22", "TCP", 40000, 80)
    assert (frame.ttl, frame.ip_id, frame.length, frame.flags, frame.seq, frame.ack) == (
        64,
        0xF7A8,
        0,
        SYN,
        0xCE829105,
        0,
    )


def test_identity_survives_nat_but_not_another_sequence_number() -> None:
    translated = bytearray(SYN_BYTES)
    translated[16:20] = bytes([10, 244, 3, 4])
    translated[22:24] = (8080).to_bytes(2, "big")
    translated[8] = 61
    other = bytearray(SYN_BYTES)
    other[27] ^= 1
    first, second, third = parse(SYN_BYTES), parse(bytes(translated)), parse(bytes(other))
    assert first and second and third
    assert second.packet.dst == "10.244.3.4"
    assert first.identity == second.identity != third.identity


def test_length_comes_from_the_header_not_from_what_was_captured() -> None:
    segment = struct.pack("!HHIIBBHHH", 1, 2, 3, 4, 5 << 4, ACK, 0, 0, 0)
    frame = parse(ip(segment + bytes(1000), 6)[:60])
    assert frame and frame.length == 1000


def test_udp_identity_is_ip_id_and_length() -> None:
    datagram = struct.pack("!HHHH", 5000, 53, 13, 0) + b"hello"
    one, again, other = (
        parse(ip(datagram, 17)),
        parse(ip(datagram, 17, dst="10.244.1.9")),
        parse(ip(datagram, 17, ip_id=8)),
    )
    assert one and again and other
    assert one.length == 5
    assert one.identity == again.identity != other.identity


@pytest.mark.parametrize("quoted", [len(SYN_BYTES), 28])
def test_icmp_error_names_the_packet_at_fault(quoted: int) -> None:
    """RFC 792 asks for 8 bytes behind the IP header; Linux sends more."""
    frame = parse(ip(bytes([3, 3]) + bytes(6) + SYN_BYTES[:quoted], 1, src="10.244.1.1", dst="10.244.1.2"))
    assert frame and frame.cause
    assert frame.packet == Packet("10.244.1.1", "10.244.1.2", "ICMP")
    assert frame.kind == (3, 3)
    assert frame.cause.packet == Packet("10.244.1.2", "10.96.0.22", "TCP", 40000, 80)
    assert frame.cause.seq == 0xCE829105


def test_reset_is_told_apart_from_synack() -> None:
    flags = []
    for value in (SYN | ACK, RST | ACK):
        frame = parse(ip(struct.pack("!HHIIBBHHH", 80, 40000, 0, 6, 5 << 4, value, 0, 0, 0), 6))
        assert frame
        flags.append(frame.flags)
    assert flags == [SYN | ACK, RST | ACK]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x45",
        bytes(40),
        b"\x60" + bytes(60),
        ip(b"", 6),
        ip(bytes(8), 132),
        ip(bytes(20), 17)[:6] + b"\x00\x10" + bytes(40),
    ],
)
def test_what_is_not_traced(data: bytes) -> None:
    frame = parse(data)
    assert frame is None or frame.packet.protocol == "UDP"


def test_later_fragment_is_not_traced() -> None:
    fragment = bytearray(ip(bytes(20), 17))
    fragment[6:8] = (0x2001).to_bytes(2, "big")
    assert parse(bytes(fragment)) is None


@given(st.binary(max_size=120))
def test_any_bytes_are_parsed_or_left(data: bytes) -> None:
    parse(data)
    parse(b"\x45" + data)
