"""nf_tables' objects as netlink messages: what makes, fills and removes them.

Source: linux/netfilter/nf_tables.h; userdata as libnftnl writes it (include/libnftnl/udata.h).
"""

from __future__ import annotations

import hashlib
import itertools
import sys
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from labkit.linux.netlink import CREATE, attr
from labkit.linux.nfnetlink import APPEND, nest, number, text
from labkit.linux.nftables.expressions import expressions, value, verdict_data
from labkit.net.nft import Chain, Element, InRanges, NamedSet, NftFamily, Rule, Spread, Verdict
from labkit.net.nft.intervals import merged
from labkit.net.nft.table import Key, KeyType, element_text, key_bytes

SUBSYSTEM = 10
NEW_TABLE, DEL_TABLE, NEW_CHAIN, GET_CHAIN, DEL_CHAIN = 0, 2, 3, 4, 5
NEW_RULE, GET_RULE, DEL_RULE, NEW_SET, GET_SET, DEL_SET = 6, 7, 8, 9, 10, 11
NEW_ELEMENT, GET_ELEMENT, DEL_ELEMENT = 12, 13, 14

HOOKS = {"prerouting": 0, "input": 1, "forward": 2, "output": 3, "postrouting": 4}
TYPES: dict[KeyType, tuple[int, int]] = {
    "ipv4_addr": (7, 4),
    "ipv6_addr": (8, 16),
    "inet_proto": (12, 1),
    "inet_service": (13, 2),
}
_INTEGER, _VERDICT = 4, 0xFFFFFF00
_ANONYMOUS, _CONSTANT, _INTERVAL, _MAP, _TIMEOUT, _EVAL = 0x1, 0x2, 0x4, 0x8, 0x10, 0x20
_HOST_ENDIAN, _BIG_ENDIAN = 1, 2
_INTERVAL_END = 1
_OPEN_END = bytes([1, 4, 1, 0, 0, 0])  # userdata: the last interval goes to the last address
_RULE_COMMENT, SET_COMMENT, DIGEST = 0, 7, 0x80
_FIRST_NAME = 1 << 20  # nft numbers its own anonymous sets from 0
_MOST_BYTES = 60_000  # of elements in one message: an attribute may not exceed 64 KiB


class Message(msgspec.Struct, frozen=True, gc=False):
    """One change. `line`: the same as `nft -f` is told it; empty for what belongs to the rule that follows."""

    kind: int
    flags: int
    body: bytes
    line: str


class Names:
    """Names of anonymous sets: with a number of our own, for the kernel to find a free one looks at every set."""

    def __init__(self) -> None:
        self._numbers = itertools.count(_FIRST_NAME)

    def taken(self, names: Iterable[str]) -> None:
        """Go on behind those that the table has."""
        numbers = [int(n[5:]) for n in names if n.startswith("__") and n[5:].isdigit()]
        self._numbers = itertools.count(max([_FIRST_NAME, *(n + 1 for n in numbers)]))

    def next(self, kind: str) -> str:
        return f"__{kind}{next(self._numbers)}"


class Messages:
    """Makes messages for one table."""

    def __init__(self, family: NftFamily, table: str) -> None:
        self.family = family
        self.names = Names()
        self._id = 0  # of the last set that was made
        self._table = text(1, table)
        self._in = f"{family} {table}"

    def add_table(self, comment: str) -> Message:
        line = f'add table {self._in} {{ comment "{comment}" ; }}'
        return Message(NEW_TABLE, CREATE, self._table + attr(6, _told(0, comment)), line)

    def delete_table(self) -> Message:
        return Message(DEL_TABLE, 0, self._table, f"delete table {self._in}")

    def add_chain(self, chain: Chain) -> Message:
        body = self._table + text(3, chain.name)
        if hook := chain.hook:
            body += text(7, hook.kind) + nest(4, number(1, HOOKS[hook.name]), number(2, hook.priority))
        if chain.comment:
            body += attr(12, _told(0, chain.comment))
        return Message(NEW_CHAIN, CREATE, body, f"add chain {self._in} {chain.name}{_defined(chain)}")

    def delete_chain(self, name: str) -> Message:
        return Message(DEL_CHAIN, 0, self._table + text(3, name), f"delete chain {self._in} {name}")

    def flush_chain(self, name: str) -> Message:
        return Message(DEL_RULE, 0, self._table + text(2, name), f"flush chain {self._in} {name}")

    def add_set(self, one: NamedSet) -> Message:
        size = sum(-(-TYPES[part][1] // 4) * 4 for part in one.key)
        kind = 0
        for part in one.key:
            kind = kind << 6 | TYPES[part][0]
        flags = (_MAP if one.verdicts else 0) | (_EVAL | _TIMEOUT if one.timeout else 0)
        order = _BIG_ENDIAN if len(one.key) == 1 else 0
        said = _told(SET_COMMENT, one.comment) if one.comment else b""
        body = self._set(one.name, flags, kind, size, order, said)
        if one.timeout:
            body += attr(11, (one.timeout * 1000).to_bytes(8, "big"))
        return Message(NEW_SET, CREATE, body, f"add {'map' if one.verdicts else 'set'} {self._in} {_specified(one)}")

    def delete_set(self, name: str) -> Message:
        return Message(DEL_SET, 0, self._table + text(2, name), f"delete set {self._in} {name}")

    def add_elements(self, name: str, elements: Sequence[tuple[Key, Element]]) -> Iterator[Message]:
        for key, one in elements:
            encoded = _element(_padded(key), one.verdict, _told(0, one.comment) if one.comment else b"")
            line = f"add element {self._in} {name} {{ {element_text(key, one)} }}"
            yield Message(NEW_ELEMENT, CREATE, self._elements(name, [encoded]), line)

    def delete_elements(self, name: str, keys: Sequence[Key]) -> Iterator[Message]:
        for key in keys:
            line = f"delete element {self._in} {name} {{ {' . '.join(key)} }}"
            yield Message(DEL_ELEMENT, 0, self._elements(name, [_element(_padded(key))]), line)

    def add_rule(self, chain: str, rule: Rule) -> Iterator[Message]:
        """The rule, after the anonymous set that it may bring along."""
        anonymous = ""
        for one in rule.statements:
            if isinstance(one, Spread | InRanges):
                anonymous = self.names.next("map" if isinstance(one, Spread) else "set")
                yield from self._anonymous(anonymous, one)
        encoded = [e for s in rule.statements for e in expressions(s, self.family, anonymous)]
        told = str(rule)
        body = self._table + text(2, chain) + nest(4, *encoded) + attr(7, _userdata(rule, told))
        yield Message(NEW_RULE, CREATE | APPEND, body, f"add rule {self._in} {chain} {told}")

    def _set(self, name: str, flags: int, kind: int, size: int, order: int, said: bytes = b"") -> bytes:
        self._id += 1
        verdicts = number(6, _VERDICT - (1 << 32)) + number(7, 0) if flags & _MAP else b""
        data_order = bytes([1, 4, 0, 0, 0, 0]) if flags & _MAP else b""
        userdata = bytes([0, 4, order, 0, 0, 0]) + data_order + said
        where = self._table + text(2, name) + number(3, flags) + number(4, kind) + number(5, size)
        return where + verdicts + number(10, self._id) + attr(13, userdata)

    def _anonymous(self, name: str, one: Spread | InRanges) -> Iterator[Message]:
        if isinstance(one, Spread):
            body = self._set(name, _ANONYMOUS | _CONSTANT | _MAP, _INTEGER, 4, _HOST_ENDIAN)
            body += nest(9, number(1, len(one.to)))
            elements = [_element(n.to_bytes(4, sys.byteorder), verdict) for n, verdict in enumerate(one.to)]
        else:
            kind, size = TYPES["ipv6_addr" if "6" in one.field[:3] else "ipv4_addr"]
            body = self._set(name, _ANONYMOUS | _CONSTANT | _INTERVAL, kind, size, _BIG_ENDIAN)
            elements = list(_intervals(one.prefixes, size))
        yield Message(NEW_SET, CREATE, body, "")
        for some in _lists(elements):
            # By its id, which this transaction alone knows: by name the kernel would look at every set of the table.
            yield Message(NEW_ELEMENT, CREATE, self._table + number(4, self._id) + nest(3, *some), "")

    def _elements(self, name: str, encoded: Iterable[bytes]) -> bytes:
        return self._table + text(2, name) + nest(3, *encoded)


def digest(told: str) -> bytes:
    """Eight bytes that tell the rule of this text from every other."""
    return hashlib.blake2b(told.encode(), digest_size=8).digest()


def _userdata(rule: Rule, told: str) -> bytes:
    """The comment, and what a rule is found again by: a rule that somebody replaced by hand has none."""
    said = _told(_RULE_COMMENT, rule.comment) if rule.comment else b""
    return said + bytes([DIGEST, 8]) + digest(told)


def _defined(chain: Chain) -> str:
    """A chain's definition, in knftables' words."""
    hook = chain.hook
    parts = [f"type {hook.kind} hook {hook.name} priority {hook.priority} ;"] if hook else []
    parts += [f'comment "{chain.comment}" ;'] if chain.comment else []
    return f" {{ {' '.join(parts)} }}" if parts else ""


def _specified(one: NamedSet) -> str:
    parts = [f"type {' . '.join(one.key)}{' : verdict' if one.verdicts else ''} ;"]
    parts += [f"flags dynamic,timeout ; timeout {one.timeout}s ;"] if one.timeout else []
    parts += [f'comment "{one.comment}" ;'] if one.comment else []
    return f"{one.name} {{ {' '.join(parts)} }}"


def _told(kind: int, comment: str) -> bytes:
    data = comment.encode() + b"\0"
    return bytes([kind, len(data)]) + data


def _padded(key: Key) -> bytes:
    return b"".join(part + bytes(-len(part) % 4) for part in key_bytes(key))


def _element(key: bytes, verdict: Verdict | None = None, userdata: bytes = b"", flags: int = 0) -> bytes:
    body = (number(3, flags) if flags else b"") + nest(1, value(key))
    if verdict:
        body += nest(2, verdict_data(verdict))
    return nest(1, body, attr(6, userdata) if userdata else b"")


def _intervals(prefixes: Sequence[str], size: int) -> Iterator[bytes]:
    """Where each interval begins and, but for one that goes to the last address, where it has ended."""
    top = (1 << size * 8) - 1
    intervals = merged(prefixes)
    if intervals[0].first:
        yield _element(bytes(size), flags=_INTERVAL_END)
    for one in intervals:
        yield _element(one.first.to_bytes(size, "big"), userdata=_OPEN_END if one.last == top else b"")
        if one.last != top:
            yield _element((one.last + 1).to_bytes(size, "big"), flags=_INTERVAL_END)


def _lists(encoded: Iterable[bytes]) -> Iterator[list[bytes]]:
    """Lists short enough for one attribute."""
    some: list[bytes] = []
    size = 0
    for one in encoded:
        if size + len(one) > _MOST_BYTES:
            yield some
            some, size = [], 0
        some.append(one)
        size += len(one)
    if some:
        yield some
