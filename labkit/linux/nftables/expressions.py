"""A rule's statements as the expressions that the kernel evaluates, the same ones that `nft` makes of the text.

    ip saddr != 10.0.0.0/8     payload load 1 byte at 12 -> register; cmp neq 0x0a
    ip daddr . meta l4proto . th dport vmap @m     three loads side by side; lookup -> verdict

Source: linux/netfilter/nf_tables.h; `nft --debug=netlink`.
"""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator
from functools import lru_cache
from ipaddress import ip_network

from labkit.linux.netlink import attr
from labkit.linux.nfnetlink import nest, number, text
from labkit.net.nft import (
    CtState,
    Dispatch,
    Dnat,
    FibLocal,
    InRanges,
    InSet,
    Masquerade,
    Match,
    NftFamily,
    Reject,
    SetMark,
    Spread,
    Statement,
    Unmarked,
    Update,
    Verdict,
)
from labkit.net.nft.statements import Field
from labkit.net.nft.table import PROTOCOLS

VERDICTS = {"drop": 0, "accept": 1, "jump": -3, "goto": -4, "return": -5}
_NETWORK, _TRANSPORT = 1, 2
_EQUAL, _UNEQUAL = 0, 1
_L4PROTO, _MARK = 16, 3
_REG = 8  # the first of the 4-byte registers
_VERDICT_REG = 0
_FIRST, _SECOND = 1, 2  # of the 16-byte registers
_ALL = 0xFFFFFFFF
_OFFSETS = {"ip saddr": (12, 4), "ip daddr": (16, 4), "ip6 saddr": (8, 16), "ip6 daddr": (24, 16)}
_STATES = {"new": 8}
_FAMILY = {"ip": 2, "ip6": 10}
_UNREACHABLE_PORT = {"ip": 3, "ip6": 4}
_NAT_FLAGS = 0x3  # addresses and ports are given
_FULLY_RANDOM = 0x10


def expressions(statement: Statement, family: NftFamily, anonymous: str) -> tuple[bytes, ...]:
    """The encoded expressions of one statement; `anonymous` is the name of the set that it brings along."""
    match statement:
        case Match(field, value, negated):
            return _compared(field, value, negated)
        case Dnat(to):
            return tuple(_dnat(to, family))
        case InSet(field, name):
            return (_load(field, 0), _lookup(name))
        case InRanges(field, _, negated):
            return (_load(field, 0), _lookup(anonymous, inverted=negated))
        case Dispatch(fields, name):
            return (*_loads(fields), _lookup(name, verdict=True))
        case Spread(to):
            return (_random(len(to)), _lookup(anonymous, verdict=True))
        case Verdict():
            return (_verdict(statement),)
        case _:
            return _fixed(statement, family)


@lru_cache(maxsize=1024)
def _fixed(statement: Statement, family: NftFamily) -> tuple[bytes, ...]:
    match statement:
        case CtState(state):
            bits = _host(_STATES[state])
            loaded = expression("ct", number(2, 0), number(1, _REG))
            return (loaded, _bitwise(bits, bytes(4)), _cmp(_UNEQUAL, bytes(4)))
        case FibLocal(end):
            flag, by_type, local = {"saddr": 1, "daddr": 2}[end], 3, _host(2)
            return (expression("fib", number(1, _REG), number(2, by_type), number(3, flag)), _cmp(_EQUAL, local))
        case Unmarked(mask):
            return (_load_mark(), _bitwise(_host(mask), bytes(4)), _cmp(_EQUAL, bytes(4)))
        case SetMark(operator, bits):
            keep = _ALL & ~bits if operator == "|" else _ALL
            return (_load_mark(), _bitwise(_host(keep), _host(bits)), expression("meta", number(2, 3), number(3, _REG)))
        case Update(name, field):
            update = 1
            return (_load(field, 0), expression("dynset", text(1, name), number(3, update), number(4, _REG)))
        case Masquerade():
            return (expression("masq", number(1, _FULLY_RANDOM)),)
        case Reject():
            return (expression("reject", number(1, 0), attr(2, bytes([_UNREACHABLE_PORT[family]]))),)
    raise TypeError(f"no expressions for {statement!r}")


def verdict_data(verdict: Verdict) -> bytes:
    """A verdict as the value of a register or of a map's element."""
    to = text(2, verdict.chain) if verdict.chain else b""
    return nest(2, number(1, VERDICTS[verdict.kind]), to)


def value(data: bytes) -> bytes:
    return attr(1, data)


def expression(name: str, *parts: bytes) -> bytes:
    return nest(1, text(1, name), nest(2, *parts))


@lru_cache(maxsize=4096)
def _verdict(verdict: Verdict) -> bytes:
    return expression("immediate", number(1, _VERDICT_REG), nest(2, verdict_data(verdict)))


@lru_cache(maxsize=64)
def _load(field: Field, at: int) -> bytes:
    """The field into the 4-byte registers from `at` on."""
    if field == "meta l4proto":
        return expression("meta", number(2, _L4PROTO), number(1, _REG + at))
    if field == "th dport":
        return _payload(_TRANSPORT, 2, 2, at)
    offset, size = _OFFSETS[field]
    return _payload(_NETWORK, offset, size, at)


@lru_cache(maxsize=16)
def _loads(fields: tuple[Field, ...]) -> tuple[bytes, ...]:
    found, at = [], 0
    for field in fields:
        found.append(_load(field, at))
        at += _OFFSETS[field][1] // 4 if field in _OFFSETS else 1
    return tuple(found)


def _payload(base: int, offset: int, size: int, at: int) -> bytes:
    return expression("payload", number(1, _REG + at), number(2, base), number(3, offset), number(4, size))


@lru_cache(maxsize=4096)
def _compared(field: Field, value: str, negated: bool) -> tuple[bytes, ...]:
    """A prefix that ends with a byte needs only the bytes before it, another one a mask."""
    how = _UNEQUAL if negated else _EQUAL
    if field == "meta l4proto":
        return (_load(field, 0), _cmp(how, bytes([PROTOCOLS[value]])))
    offset, size = _OFFSETS[field]
    if "/" not in value:
        family = socket.AF_INET if size == 4 else socket.AF_INET6
        return (_load(field, 0), _cmp(how, socket.inet_pton(family, value)))
    network = ip_network(value)
    whole, rest = divmod(network.prefixlen, 8)
    if whole and not rest:
        return (_payload(_NETWORK, offset, whole, 0), _cmp(how, network.network_address.packed[:whole]))
    mask = _bitwise(network.netmask.packed, bytes(size))
    return (_load(field, 0), mask, _cmp(how, network.network_address.packed))


def _cmp(how: int, data: bytes) -> bytes:
    return _filled(_cmp_start(how, len(data)), data)


@lru_cache
def _cmp_start(how: int, size: int) -> bytes:
    return _start(expression("cmp", number(1, _REG), number(2, how), nest(3, value(bytes(size)))), size)


@lru_cache
def _immediate_start(register: int, size: int) -> bytes:
    return _start(expression("immediate", number(1, register), nest(2, value(bytes(size)))), size)


def _start(encoded: bytes, size: int) -> bytes:
    """An expression without the data of that size that it ends with: most of what is encoded differs in data only."""
    return encoded[: len(encoded) - size - -size % 4]


def _filled(start: bytes, data: bytes) -> bytes:
    return start + data + bytes(-len(data) % 4)


def _bitwise(mask: bytes, flip: bytes) -> bytes:
    size = number(3, len(mask))
    return expression("bitwise", number(1, _REG), number(2, _REG), size, nest(4, value(mask)), nest(5, value(flip)))


def _load_mark() -> bytes:
    return expression("meta", number(2, _MARK), number(1, _REG))


def _lookup(name: str, verdict: bool = False, inverted: bool = False) -> bytes:
    to = number(3, _VERDICT_REG) if verdict else b""
    return expression("lookup", number(2, _REG), to, text(1, name), number(5, 1) if inverted else b"")


@lru_cache(maxsize=1024)
def _random(modulus: int) -> bytes:
    kind = 1
    return expression("numgen", number(1, _REG), number(2, modulus), number(3, kind), number(4, 0))


def _dnat(to: str, family: NftFamily) -> Iterator[bytes]:
    ip, _, port = to.rpartition(":")
    address = socket.inet_pton(socket.AF_INET6 if family == "ip6" else socket.AF_INET, ip.strip("[]"))
    yield _filled(_immediate_start(_FIRST, len(address)), address)
    yield _filled(_immediate_start(_SECOND, 2), int(port).to_bytes(2, "big"))
    yield _nat(family)


@lru_cache
def _nat(family: NftFamily) -> bytes:
    kind = number(1, 1), number(2, _FAMILY[family])
    registers = number(3, _FIRST), number(4, _FIRST), number(5, _SECOND), number(6, _SECOND)
    return expression("nat", *kind, *registers, number(7, _NAT_FLAGS))


def _host(bits: int) -> bytes:
    """As a number of this machine: what conntrack, fib and marks are compared as."""
    return bits.to_bytes(4, sys.byteorder)
