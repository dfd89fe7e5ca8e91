"""What a rule is made of: conditions and actions, each printing itself as `nft list` does.

    ip saddr != 10.244.0.0/16 jump mark-for-masquerade
    `------ Match ----------' `------ Verdict -------'

Source: man 8 nft; output as of nft 1.0.6, the one in kube-proxy's own image.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from labkit.net.nft.intervals import merged

Field = Literal["ip saddr", "ip daddr", "ip6 saddr", "ip6 daddr", "meta l4proto", "th dport"]


class Match(msgspec.Struct, frozen=True):
    """A field compared with an address, a prefix, or a protocol's name."""

    field: Field
    value: str
    negated: bool = False

    def __str__(self) -> str:
        return f"{self.field} {'!= ' if self.negated else ''}{self.value}"


class InSet(msgspec.Struct, frozen=True):
    """The field is in a named set."""

    field: Field
    name: str

    def __str__(self) -> str:
        return f"{self.field} @{self.name}"


class InRanges(msgspec.Struct, frozen=True):
    """The field is in one of two or more prefixes, an anonymous set; prints them merged, as nft keeps them."""

    field: Field
    prefixes: tuple[str, ...]
    negated: bool = False

    def __str__(self) -> str:
        shown = ", ".join(map(str, merged(self.prefixes)))
        return f"{self.field} {'!= ' if self.negated else ''}{{ {shown} }}"


class Verdict(msgspec.Struct, frozen=True):
    """`accept`, `drop`, `return`; `jump` comes back from the chain, `goto` does not."""

    kind: Literal["accept", "drop", "return", "jump", "goto"]
    chain: str = ""

    def __str__(self) -> str:
        return f"{self.kind} {self.chain}" if self.chain else self.kind


class Dispatch(msgspec.Struct, frozen=True):
    """The verdict that a named map has for the fields; none where the map has no such key."""

    fields: tuple[Field, ...]
    name: str

    def __str__(self) -> str:
        return f"{' . '.join(self.fields)} vmap @{self.name}"


class Spread(msgspec.Struct, frozen=True):
    """One of the verdicts, at random, each as likely as the others."""

    to: tuple[Verdict, ...]

    def __str__(self) -> str:
        choices = ", ".join(f"{number} : {verdict}" for number, verdict in enumerate(self.to))
        return f"numgen random mod {len(self.to)} vmap {{ {choices} }}"


class CtState(msgspec.Struct, frozen=True):
    """The state of the packet's connection is this one."""

    state: Literal["new"]

    def __str__(self) -> str:
        return f"ct state {self.state}"


class FibLocal(msgspec.Struct, frozen=True):
    """The address is one of this machine's own."""

    end: Literal["saddr", "daddr"]

    def __str__(self) -> str:
        return f"fib {self.end} type local"


class Unmarked(msgspec.Struct, frozen=True):
    """None of the mark's bits in `mask` is set."""

    mask: int

    def __str__(self) -> str:
        return f"meta mark & {self.mask:#010x} == 0x00000000"


class SetMark(msgspec.Struct, frozen=True):
    """Set bits of the packet's mark (`|`), or flip them (`^`)."""

    operator: Literal["|", "^"]
    bits: int

    def __str__(self) -> str:
        return f"meta mark set meta mark {self.operator} {self.bits:#010x}"


class Update(msgspec.Struct, frozen=True):
    """Put the field into a named set, or make its time there begin anew."""

    name: str
    field: Field

    def __str__(self) -> str:
        return f"update @{self.name} {{ {self.field} }}"


class Dnat(msgspec.Struct, frozen=True):
    """Rewrite the destination to `ip:port` (`[ip]:port`)."""

    to: str

    def __str__(self) -> str:
        return f"dnat to {self.to}"


class Masquerade(msgspec.Struct, frozen=True):
    """Rewrite the source to the address of the interface by which the packet leaves, with a random port."""

    def __str__(self) -> str:
        return "masquerade fully-random"


class Reject(msgspec.Struct, frozen=True):
    """Answer "port unreachable"."""

    def __str__(self) -> str:
        return "reject"


Statement = (
    Match
    | InSet
    | InRanges
    | Verdict
    | Dispatch
    | Spread
    | CtState
    | FibLocal
    | Unmarked
    | SetMark
    | Update
    | Dnat
    | Masquerade
    | Reject
)
