"""DNS as plain values: questions, records, responses. Names are fully qualified text, escaped as in zone files.

Type and code numbers: IANA DNS parameters (RFC 1035, 2782, 3596, 6891).
"""

from __future__ import annotations

import msgspec

A, NS, CNAME, SOA, PTR, MX, TXT, AAAA, SRV, OPT, ANY = 1, 2, 5, 6, 12, 15, 16, 28, 33, 41, 255
TYPES = {"A": A, "NS": NS, "CNAME": CNAME, "SOA": SOA, "PTR": PTR, "MX": MX, "TXT": TXT, "HINFO": 13}
TYPES |= {"AAAA": AAAA, "SRV": SRV, "OPT": OPT, "SVCB": 64, "HTTPS": 65, "AXFR": 252, "ANY": ANY}
TYPE_NAMES = {number: name for name, number in TYPES.items()}

NOERROR, FORMERR, SERVFAIL, NXDOMAIN, NOTIMP, REFUSED, BADVERS = 0, 1, 2, 3, 4, 5, 16
RCODES = {NOERROR: "NOERROR", FORMERR: "FORMERR", SERVFAIL: "SERVFAIL", NXDOMAIN: "NXDOMAIN"}
RCODES |= {NOTIMP: "NOTIMP", REFUSED: "REFUSED", BADVERS: "BADVERS"}


class Question(msgspec.Struct, frozen=True):
    """What is asked, in the class IN. `name` keeps the case in which it was asked."""

    name: str
    type: int


class Srv(msgspec.Struct, frozen=True):
    priority: int
    weight: int
    port: int
    target: str


class Soa(msgspec.Struct, frozen=True):
    mname: str
    rname: str
    serial: int
    refresh: int
    retry: int
    expire: int
    minimum: int


class Record(msgspec.Struct, frozen=True):
    """One resource record; `data` is an address, a name or a text where it is a string. `ttl` in seconds."""

    name: str
    type: int
    ttl: int
    data: str | Srv | Soa


class Response(msgspec.Struct, frozen=True):
    """An answer. `target`: a name outside the zone to which the last CNAME points, for somebody else to resolve."""

    rcode: int = NOERROR
    answer: tuple[Record, ...] = ()
    authority: tuple[Record, ...] = ()
    additional: tuple[Record, ...] = ()
    authoritative: bool = True
    truncated: bool = False
    target: str = ""


def failure(rcode: int) -> Response:
    """An answer that carries a code and nothing else, as the server gives where no plugin answered."""
    return Response(rcode=rcode, authoritative=False)


def qualified(name: str) -> str:
    """The name with its trailing dot."""
    return name if name.endswith(".") else name + "."


def within(name: str, zone: str) -> bool:
    """Whether a lower-case name is the zone's own or below it."""
    return zone == "." or name == zone or name.endswith("." + zone)


def best_zone(name: str, zones: tuple[str, ...]) -> str | None:
    """The longest of the zones that holds a lower-case name."""
    return max((zone for zone in zones if within(name, zone)), key=len, default=None)
