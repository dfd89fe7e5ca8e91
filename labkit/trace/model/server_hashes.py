"""The hash tables of IPVS's schedulers sh, dh and mh: from a packet's addresses to a real server's place in the list.

Source: Linux, net/netfilter/ipvs/ip_vs_{sh,dh,mh}.c, include/linux/hash.h (`hash_32`), lib/siphash.c (`hsiphash`, which
is SipHash-1-3 cut to 32 bits on a 64-bit kernel); "Maglev", NSDI 2016, section 3.4.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from ipaddress import ip_address
from math import gcd

from labkit.net.ipvs import RealServer
from labkit.net.packet import Packet

Find = Callable[[Packet], int | None]

_BITS, _GOLDEN_RATIO = 8, 0x61C88647
_SLOTS, _SLOT_BITS = 4093, 6
_KEYS = (2654435761, 2654446892)
_64 = (1 << 64) - 1


def by_source(servers: Sequence[RealServer], _: bool) -> Find:
    """Buckets are dealt out in turn, each server as many in a row as it has weight."""
    buckets: list[int] = []
    while servers and len(buckets) < 1 << _BITS:
        for at, server in enumerate(servers):
            buckets += [at] * max(server.weight, 1)
    return lambda packet: buckets[_bucket(packet.src)] if buckets else None


def by_destination(servers: Sequence[RealServer], _: bool) -> Find:
    """Buckets are dealt out in turn, whatever the weights. All clients of one address have one server."""
    return lambda packet: _bucket(packet.dst) % len(servers) if servers else None


def maglev(servers: Sequence[RealServer], with_port: bool) -> Find:
    """Every server fills the slots of its own permutation in turn, so that few slots move when one comes or goes.

    Servers without weight take no part.
    """
    slots = _fill(servers)

    def find(packet: Packet) -> int | None:
        port = (packet.sport or 0) if with_port else 0
        return slots[_maglev_hash(packet.src, port, _KEYS[0]) % _SLOTS] if slots else None

    return find


HASHES: Mapping[str, Callable[[Sequence[RealServer], bool], Find]] = {
    "sh": by_source,
    "dh": by_destination,
    "mh": maglev,
}


def _fill(servers: Sequence[RealServer]) -> list[int]:
    step = gcd(*(s.weight for s in servers))
    if step < 1:
        return []
    shift = max((max(s.weight for s in servers) // step).bit_length() - _SLOT_BITS, 0)
    turns = [((s.weight // step) >> shift) or int(s.weight != 0) for s in servers]
    at = [_maglev_hash(s.ip, s.port, _KEYS[0]) % _SLOTS for s in servers]
    skip = [_maglev_hash(s.ip, s.port, _KEYS[1]) % (_SLOTS - 1) + 1 for s in servers]
    slots = [-1] * _SLOTS
    left = _SLOTS
    while True:
        for number in range(len(servers)):
            for _ in range(turns[number]):
                while slots[at[number]] >= 0:
                    at[number] = (at[number] + skip[number]) % _SLOTS
                slots[at[number]] = number
                left -= 1
                if not left:
                    return slots


def _bucket(address: str) -> int:
    return (_folded(address) * _GOLDEN_RATIO & 0xFFFFFFFF) >> (32 - _BITS)


def _folded(address: str) -> int:
    """An IPv4 address as a number; of an IPv6 one, its four words combined by exclusive or."""
    packed = ip_address(address).packed
    number = 0
    for at in range(0, len(packed), 4):
        number ^= int.from_bytes(packed[at : at + 4], "big")
    return number


def _maglev_hash(address: str, port: int, key: int) -> int:
    return _hsiphash((_folded(address) + port) & 0xFFFFFFFF, key)


def _hsiphash(value: int, key: int) -> int:
    """Of one 32-bit number, with both halves of the key equal."""
    v = [
        key ^ 0x736F6D6570736575,
        key ^ 0x646F72616E646F6D,
        key ^ 0x6C7967656E657261,
        key ^ 0x7465646279746573,
    ]
    last = 4 << 56 | value
    v[3] ^= last
    _round(v)
    v[0] ^= last
    v[2] ^= 0xFF
    for _ in range(3):
        _round(v)
    return (v[0] ^ v[1] ^ v[2] ^ v[3]) & 0xFFFFFFFF


def _round(v: list[int]) -> None:
    v[0] = v[0] + v[1] & _64
    v[1] = _rotated(v[1], 13) ^ v[0]
    v[0] = _rotated(v[0], 32)
    v[2] = v[2] + v[3] & _64
    v[3] = _rotated(v[3], 16) ^ v[2]
    v[0] = v[0] + v[3] & _64
    v[3] = _rotated(v[3], 21) ^ v[0]
    v[2] = v[2] + v[1] & _64
    v[1] = _rotated(v[1], 17) ^ v[2]
    v[2] = _rotated(v[2], 32)


def _rotated(value: int, by: int) -> int:
    return (value << by | value >> (64 - by)) & _64
