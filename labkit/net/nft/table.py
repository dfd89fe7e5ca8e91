r"""Tables, sets, chains and rules, as `nft list table` prints them.

table ip kube-proxy
  set, map    keys -> nothing, or a verdict; keys are tuples of texts: ("10.96.0.10", "udp", "53")
  chain       rules in the order of evaluation; a base chain has a hook
"""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping
from typing import Literal

import msgspec

from labkit.net.nft.statements import Statement, Verdict

NftFamily = Literal["ip", "ip6"]
KeyType = Literal["ipv4_addr", "ipv6_addr", "inet_proto", "inet_service"]
Key = tuple[str, ...]

PROTOCOLS = {"tcp": 6, "udp": 17, "sctp": 132}
_PRIORITIES = {"filter": 0, "dstnat": -100, "srcnat": 100}
_ONLY_IN = {"dstnat": "prerouting", "srcnat": "postrouting"}
_NEAR = 10  # a priority this close to a named one is printed by that name
_IN_A_ROW = {"ipv4_addr": 2}  # elements of a set in one line; else one
_ELEMENTS = ",\n\t\t\t     "


class Element(msgspec.Struct, frozen=True):
    """What a set has for a key: nothing, a verdict, a comment."""

    verdict: Verdict | None = None
    comment: str = ""


class NamedSet(msgspec.Struct, frozen=True):
    """A set, or with `verdicts` a map. `timeout`: seconds after which a key that packets put there is forgotten."""

    name: str
    key: tuple[KeyType, ...]
    verdicts: bool = False
    comment: str = ""
    timeout: int = 0

    def text(self, elements: Mapping[Key, Element]) -> Iterator[str]:
        yield f"\t{'map' if self.verdicts else 'set'} {self.name} {{"
        yield f"\t\ttype {' . '.join(self.key)}{' : verdict' if self.verdicts else ''}"
        if self.timeout:
            yield "\t\tsize 65535"  # the kernel's, for a set that packets fill
            yield "\t\tflags dynamic,timeout"
            yield f"\t\ttimeout {duration(self.timeout)}"
        if self.comment:
            yield f'\t\tcomment "{self.comment}"'
        if elements:
            yield f"\t\telements = {{ {self._listed(elements)} }}"
        yield "\t}"

    def _listed(self, elements: Mapping[Key, Element]) -> str:
        shown = [element_text(key, elements[key]) for key in sorted(elements, key=self._order)]
        row = 1 if self.verdicts else _IN_A_ROW.get(self.key[0], 1)
        return _ELEMENTS.join(", ".join(shown[at : at + row]) for at in range(0, len(shown), row))

    def _order(self, key: Key) -> bytes:
        """By number, as nft sorts: concatenations as if they were numbers of a little-endian machine."""
        packed = key_bytes(key)
        return b"".join(packed)[::-1] if len(packed) > 1 else packed[0]


class Hook(msgspec.Struct, frozen=True):
    """Where packets enter a base chain: the hook's name, the kind of the chain, its priority."""

    kind: Literal["filter", "nat"]
    name: Literal["prerouting", "input", "forward", "output", "postrouting"]
    priority: int

    def __str__(self) -> str:
        return f"type {self.kind} hook {self.name} priority {self._priority()}; policy accept;"

    def _priority(self) -> str:
        for name, standard in _PRIORITIES.items():
            distance = self.priority - standard
            if abs(distance) <= _NEAR and _ONLY_IN.get(name, self.name) == self.name:
                return name if not distance else f"{name} {'-' if distance < 0 else '+'} {abs(distance)}"
        return str(self.priority)


class Rule(msgspec.Struct, frozen=True):
    statements: tuple[Statement, ...]
    comment: str = ""

    def __str__(self) -> str:
        said = f' comment "{self.comment}"' if self.comment else ""
        return " ".join(map(str, self.statements)) + said


class Chain(msgspec.Struct, frozen=True):
    name: str
    rules: tuple[Rule, ...] = ()
    hook: Hook | None = None
    comment: str = ""

    def text(self) -> Iterator[str]:
        yield f"\tchain {self.name} {{"
        if self.comment:
            yield f'\t\tcomment "{self.comment}"'
        if self.hook:
            yield f"\t\t{self.hook}"
        yield from (f"\t\t{rule}" for rule in self.rules)
        yield "\t}"


class Table(msgspec.Struct, frozen=True):
    """A table with the elements of its sets, by set and key. Sets and chains are in the order of their making."""

    family: NftFamily
    name: str
    sets: tuple[NamedSet, ...] = ()
    chains: tuple[Chain, ...] = ()
    elements: Mapping[str, Mapping[Key, Element]] = {}
    comment: str = ""

    def __str__(self) -> str:
        """As `nft list table` prints it."""
        blocks = [list(s.text(self.elements.get(s.name, {}))) for s in self.sets]
        blocks += [list(chain.text()) for chain in self.chains]
        body = "\n\n".join("\n".join(block) for block in blocks)
        said = f'\tcomment "{self.comment}"\n' if self.comment else ""
        return f"table {self.family} {self.name} {{\n{said}{body}{chr(10) if body else ''}}}\n"


def key_bytes(key: Key) -> list[bytes]:
    """Each part of a key as the kernel compares it, without padding: address, protocol's number, or port."""
    return [_part(part) for part in key]


def duration(seconds: int) -> str:
    """`3h`, `1m30s`: a time-out as nft prints it."""
    days, rest = divmod(seconds, 86400)
    hours, rest = divmod(rest, 3600)
    minutes, left = divmod(rest, 60)
    parts = ((days, "d"), (hours, "h"), (minutes, "m"), (left, "s"))
    return "".join(f"{number}{unit}" for number, unit in parts if number)


def _part(part: str) -> bytes:
    if part.isdigit():
        return int(part).to_bytes(2, "big")
    if part in PROTOCOLS:
        return bytes([PROTOCOLS[part]])
    return socket.inet_pton(socket.AF_INET6 if ":" in part else socket.AF_INET, part)


def element_text(key: Key, element: Element) -> str:
    """`10.96.0.1 . tcp . 80 : goto service-…`"""
    said = f' comment "{element.comment}"' if element.comment else ""
    return " . ".join(key) + said + (f" : {element.verdict}" if element.verdict else "")
