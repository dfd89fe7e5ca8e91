"""What a table holds, read back by netlink dumps.

Rules are told by the digest that `messages` gave them; one that somebody else wrote, or replaced, has none.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable, Iterator, Mapping

import msgspec

from labkit.linux.netlink import attrs, each
from labkit.linux.nfnetlink import string, text
from labkit.linux.nftables.expressions import VERDICTS
from labkit.linux.nftables.kernel import NfTables
from labkit.linux.nftables.messages import DIGEST, GET_CHAIN, GET_ELEMENT, GET_RULE, GET_SET, HOOKS, SET_COMMENT, TYPES
from labkit.net.nft import Chain, Element, Hook, Key, NamedSet, Verdict
from labkit.net.nft.change import Place
from labkit.net.nft.table import PROTOCOLS, KeyType

_ANONYMOUS, _MAP = 0x1, 0x8
_ACCEPT = 1
_HOOK_NAMES = {number: name for name, number in HOOKS.items()}
_TYPE_NAMES: Mapping[int, KeyType] = {number: name for name, (number, _) in TYPES.items()}
_PROTOCOL_NAMES = {number: name for name, number in PROTOCOLS.items()}
_VERDICT_NAMES = {number: name for name, number in VERDICTS.items()}


class Found(msgspec.Struct, frozen=True):
    """A table as the kernel has it.

    chains     without their rules
    rules      chain -> the rules' digests in order; b"" for a rule that is not ours
    sets       named ones; of one that we cannot have made, the key is empty
    anonymous  names of the others
    """

    chains: Mapping[str, Chain]
    rules: Mapping[str, tuple[bytes, ...]]
    sets: Mapping[str, NamedSet]
    anonymous: tuple[str, ...]


def read(kernel: NfTables, table: str) -> Found:
    """Chains, rules and sets; all empty where there is no such table."""
    chains = {}
    for found in kernel.listed(GET_CHAIN, b""):
        if string(found[1]) == table:
            chain = _chain(found)
            chains[chain.name] = chain
    sets: dict[str, NamedSet] = {}
    anonymous = []
    rules: dict[str, list[bytes]] = {name: [] for name in chains}
    if chains:
        for found in kernel.listed(GET_SET, text(1, table)):
            name = string(found[2])
            if _number(found.get(3, b"")) & _ANONYMOUS:
                anonymous.append(name)
            else:
                sets[name] = _set(name, found)
        for found in kernel.listed(GET_RULE, text(1, table)):
            if string(found[1]) == table:
                rules[string(found[2])].append(_userdata(found.get(7, b"")).get(DIGEST, b""))
    return Found(chains, {name: tuple(own) for name, own in rules.items()}, sets, tuple(anonymous))


def elements(kernel: NfTables, table: str, sets: Iterable[NamedSet]) -> dict[Place, Element]:
    """What is in the sets."""
    return {
        (one.name, key): element
        for one in sets
        for found in kernel.listed(GET_ELEMENT, text(1, table) + text(2, one.name))
        for key, element in _elements(found.get(3, b""), one.key)
    }


def _chain(found: Mapping[int, bytes]) -> Chain:
    hook = None
    if 4 in found:
        where = attrs(found[4])
        name, priority = _HOOK_NAMES[_number(where[1])], int.from_bytes(where[2], "big", signed=True)
        kind = string(found[7]) if _number(found[5]) == _ACCEPT else "drop"  # another policy is not ours
        hook = Hook(kind, name, priority)  # type: ignore[arg-type]
    return Chain(string(found[3]), (), hook, string(_userdata(found.get(12, b"")).get(0, b"")))


def _set(name: str, found: Mapping[int, bytes]) -> NamedSet:
    kinds, number = [], _number(found[4])
    while number:
        kinds.append(_TYPE_NAMES.get(number & 0x3F))
        number >>= 6
    known = tuple(kind for kind in reversed(kinds) if kind)
    comment = string(_userdata(found.get(13, b"")).get(SET_COMMENT, b""))
    verdicts = bool(_number(found.get(3, b"")) & _MAP)
    timeout = int.from_bytes(found.get(11, b""), "big") // 1000
    return NamedSet(name, known if len(known) == len(kinds) else (), verdicts, comment, timeout)


def _elements(listed: bytes, kinds: tuple[KeyType, ...]) -> Iterator[tuple[Key, Element]]:
    for _, one in each(listed):
        found = attrs(one)
        verdict = None
        if 2 in found:
            data = attrs(attrs(found[2])[2])
            code = int.from_bytes(data[1], "big", signed=True)
            verdict = Verdict(_VERDICT_NAMES[code], string(data.get(2, b"")))  # type: ignore[arg-type]
        comment = string(_userdata(found.get(6, b"")).get(0, b""))
        yield _key(attrs(found[1])[1], kinds), Element(verdict, comment)


def _key(data: bytes, kinds: tuple[KeyType, ...]) -> Key:
    parts, at = [], 0
    for kind in kinds:
        size = TYPES[kind][1]
        parts.append(_text(kind, data[at : at + size]))
        at += size + -size % 4
    return tuple(parts)


def _text(kind: KeyType, data: bytes) -> str:
    match kind:
        case "inet_proto":
            return _PROTOCOL_NAMES.get(data[0], str(data[0]))
        case "inet_service":
            return str(_number(data))
    return socket.inet_ntop(socket.AF_INET if kind == "ipv4_addr" else socket.AF_INET6, data)


def _userdata(data: bytes) -> dict[int, bytes]:
    """Type, length, value, one after another."""
    found, at = {}, 0
    while at + 2 <= len(data):
        kind, size = data[at], data[at + 1]
        found[kind] = data[at + 2 : at + 2 + size]
        at += 2 + size
    return found


def _number(data: bytes) -> int:
    return int.from_bytes(data, "big")
