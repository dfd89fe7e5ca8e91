"""The text of a rule, taken apart into conditions and a target.

Exactly the matches and targets that `labkit.proxy` and `labkit.cni` plan are known. Anything else raises `RuleError`: a
prediction that skips a rule would be a guess. Source: the man page iptables-extensions(8).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache

import msgspec

from labkit.errors import RuleError


class Source(msgspec.Struct, frozen=True):
    prefix: str
    negated: bool = False


class Destination(msgspec.Struct, frozen=True):
    prefix: str
    negated: bool = False


class OfProtocol(msgspec.Struct, frozen=True):
    """`protocol` in upper case."""

    protocol: str


class ToPort(msgspec.Struct, frozen=True):
    port: int


class InState(msgspec.Struct, frozen=True):
    """Of the connection: NEW, ESTABLISHED, RELATED, INVALID, or the status DNAT."""

    states: frozenset[str]
    negated: bool = False


class Marked(msgspec.Struct, frozen=True):
    value: int
    mask: int
    negated: bool = False


class Local(msgspec.Struct, frozen=True):
    """An address of this node. `end` is "src" or "dst"."""

    end: str
    negated: bool = False


class FromBridge(msgspec.Struct, frozen=True):
    """The packet came in by a port of a bridge."""

    negated: bool = False


class Random(msgspec.Struct, frozen=True):
    probability: float


class Recent(msgspec.Struct, frozen=True):
    """The source address is in the named list; with `update` it is put there, and always matches."""

    name: str
    update: bool


class InSet(msgspec.Struct, frozen=True):
    """In an ipset. `ends` says whose part of the packet is compared with each part of an entry: "src" or "dst"."""

    name: str
    ends: tuple[str, ...]


class Balanced(msgspec.Struct, frozen=True):
    """IPVS sent it on from this virtual server. `protocol` is a number."""

    protocol: int
    ip: str
    port: int


Condition = (
    Source
    | Destination
    | OfProtocol
    | ToPort
    | InState
    | Marked
    | Local
    | Random
    | Recent
    | InSet
    | FromBridge
    | Balanced
)


class Jump(msgspec.Struct, frozen=True):
    """To a chain, or one of ACCEPT, DROP, REJECT, RETURN, MASQUERADE; empty: the rule only counts."""

    target: str = ""


class SetMark(msgspec.Struct, frozen=True):
    """mark = (mark & ~mask) ^ value"""

    value: int
    mask: int


class Dnat(msgspec.Struct, frozen=True):
    """To `ip:port`."""

    to: str


class Redirect(msgspec.Struct, frozen=True):
    """To this port at the address of the interface by which the packet came in; of the node's own, at its loopback."""

    port: int


Target = Jump | SetMark | Dnat | Redirect


class Parsed(msgspec.Struct, frozen=True):
    conditions: tuple[Condition, ...]
    target: Target


# One pattern for each match; the text of a rule is used up from left to right. A comment is no condition.
_MATCHES: tuple[tuple[str, Callable[[re.Match[str]], Condition | None]], ...] = (
    (r"(! )?-s (\S+)", lambda m: Source(m[2], bool(m[1]))),
    (r"(! )?-d (\S+)", lambda m: Destination(m[2], bool(m[1]))),
    (r"-p (tcp|udp|sctp)", lambda m: OfProtocol(m[1].upper())),
    (r'-m comment --comment (?:"(?:[^"\\]|\\.)*"|[\w-]+)', lambda m: None),
    (r"-m (?:tcp|udp|sctp) --dport (\d+)", lambda m: ToPort(int(m[1]))),
    (r"-m (?:tcp|udp|sctp)(?= -j)", lambda m: None),
    (r"-m conntrack (! )?--ctstate (\S+)", lambda m: InState(frozenset(m[2].split(",")), bool(m[1]))),
    (r"-m state --state (\S+)", lambda m: InState(frozenset(m[1].split(",")))),
    (r"-m physdev (! )?--physdev-is-in", lambda m: FromBridge(bool(m[1]))),
    (r"-m mark (! )?--mark (\w+)/(\w+)", lambda m: Marked(int(m[2], 16), int(m[3], 16), bool(m[1]))),
    (r"-m addrtype (! )?--(src|dst)-type LOCAL", lambda m: Local(m[2], bool(m[1]))),
    (r"-m set --match-set (\S+) ((?:src|dst)(?:,(?:src|dst))*)", lambda m: InSet(m[1], tuple(m[2].split(",")))),
    (r"-m ipvs --vproto (\d+) --vaddr (\S+) --vport (\d+)", lambda m: Balanced(int(m[1]), m[2], int(m[3]))),
    (r"-m statistic --mode random --probability (\d\.\d+)", lambda m: Random(float(m[1]))),
    (r"-m recent --set --name (\S+) --mask \S+ --rsource", lambda m: Recent(m[1], True)),
    (r"-m recent --rcheck (?:--seconds \d+ --reap )?--name (\S+) --mask \S+ --rsource", lambda m: Recent(m[1], False)),
)
_PATTERNS = tuple((re.compile(pattern + r"(?: |$)"), make) for pattern, make in _MATCHES)
_STATES = frozenset({"NEW", "ESTABLISHED", "RELATED", "INVALID", "DNAT"})


@lru_cache(maxsize=65536)
def parse_rule(text: str) -> Parsed:
    """The rule behind `-A CHAIN `. Raises `RuleError` for what is not known."""
    conditions: list[Condition] = []
    at = 0
    while at < len(text) and not text.startswith("-j ", at):
        for pattern, make in _PATTERNS:
            if found := pattern.match(text, at):
                if (condition := make(found)) is not None:
                    conditions.append(condition)
                at = found.end()
                break
        else:
            raise _unknown(text, text[at:])
    for condition in conditions:
        if isinstance(condition, InState) and condition.states - _STATES:
            raise _unknown(text, f"the state {', '.join(sorted(condition.states - _STATES))}")
    return Parsed(tuple(conditions), _target(text, text[at:].split()))


def _target(text: str, words: list[str]) -> Target:
    match words:
        case []:
            return Jump()
        case ["-j", "MARK", "--set-xmark", mark]:
            value, _, mask = mark.partition("/")
            return SetMark(int(value, 16), int(mask, 16))
        case ["-j", "DNAT", "--to-destination", to]:
            return Dnat(to)
        case ["-j", "REDIRECT", "--to-ports", port]:
            return Redirect(int(port))
        case ["-j", "MASQUERADE", "--random-fully"] | ["-j", "MASQUERADE"]:
            return Jump("MASQUERADE")
        case ["-j", "REJECT", "--reject-with", "icmp-port-unreachable" | "icmp6-port-unreachable"]:
            return Jump("REJECT")
        case ["-j", target]:
            return Jump(target)
    raise _unknown(text, " ".join(words))


def _unknown(text: str, part: str) -> RuleError:
    return RuleError(f"the model tracer does not know {part!r} in the rule {text!r}", text=text)
