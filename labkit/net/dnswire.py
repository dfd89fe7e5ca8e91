"""DNS messages on the wire: the part that the lab's server and its clients read and write.

A codec of its own because dnspython costs 50 ms of import and 150 µs a query, more than all else together; it is the
oracle in the tests instead. Source: RFC 1035 section 4 (messages, compression), RFC 6891 (EDNS), RFC 2782 (SRV).

    query bytes -> decode -> Query -> … -> Response -> encode -> bytes
"""

from __future__ import annotations

from socket import AF_INET, AF_INET6, inet_ntop, inet_pton
from struct import Struct, error, pack

import msgspec

from labkit.net import dnsrecords as dns
from labkit.net.dnsrecords import Record, Response, Soa, Srv

IN = 1
UDP_SIZE = 512  # octets that a client takes without EDNS
MAX_SIZE = 65535
EDNS_SIZE = 1232  # what this server takes by UDP; DNS flag day 2020

_HEADER = Struct("!6H")
_FIXED = Struct("!HHIH")
_QR, _AA, _TC, _RD, _CD = 0x8000, 0x0400, 0x0200, 0x0100, 0x0010
_OPCODE = 0x7800
_DO = 0x8000
_TEXT = b"-_0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ*/"
_OPT_LENGTH = 11
_QUESTION = 12  # offset of the first question


class Query(msgspec.Struct, frozen=True):
    """A message that asks. `section` is the question section as it came, to be sent back unchanged.

    rcode    FORMERR, NOTIMP, REFUSED or BADVERS where the message cannot be answered; the name may be empty then
    size     octets that the asker takes by UDP;  edns  whether an OPT record came;  dnssec  its DO flag
    """

    id: int
    flags: int
    name: str = ""
    type: int = 0
    section: bytes = b""
    rcode: int = dns.NOERROR
    size: int = UDP_SIZE
    edns: bool = False
    dnssec: bool = False


def decode(data: bytes) -> Query | None:
    """The query in a message; None for what is not a query at all (too short, or itself an answer): drop it.

    What is refused, and how, as miekg/dns does it before CoreDNS sees the message (acceptfunc.go).
    """
    if len(data) < _QUESTION:
        return None
    id_, flags, questions, answers, authorities, extras = _HEADER.unpack_from(data)
    if flags & _QR:
        return None
    if flags & _OPCODE:
        return Query(id_, flags, rcode=dns.NOTIMP)
    if questions != 1 or answers > 1 or authorities > 1 or extras > 2:
        return Query(id_, flags, rcode=dns.FORMERR)
    try:
        name, end = read_name(data, _QUESTION, pointers=False)
        type_, class_ = int.from_bytes(data[end : end + 2], "big"), int.from_bytes(data[end + 2 : end + 4], "big")
        if end + 4 > len(data):
            raise ValueError("question cut off")
        section = data[_QUESTION : end + 4]
        edns = _find_edns(data, end + 4, answers + authorities + extras) if answers + authorities + extras else None
    except (ValueError, IndexError, error):
        return Query(id_, flags, rcode=dns.FORMERR)
    rcode = dns.NOERROR if class_ == IN else dns.REFUSED
    if edns is None:
        return Query(id_, flags, name, type_, section, rcode)
    size, version, dnssec = edns
    if version:
        rcode = dns.BADVERS
    return Query(id_, flags, name, type_, section, rcode, max(size, UDP_SIZE), True, dnssec)


def _find_edns(data: bytes, at: int, count: int) -> tuple[int, int, bool] | None:
    """(size, version, DO) of the OPT record among the next `count` records; None if there is none."""
    found = None
    for _ in range(count):
        _, at = read_name(data, at)
        type_, class_, ttl, length = _FIXED.unpack_from(data, at)
        at += _FIXED.size + length
        if at > len(data):
            raise ValueError("record cut off")
        if type_ == dns.OPT:
            found = class_, ttl >> 16 & 0xFF, bool(ttl & _DO)
    return found


def encode(query: Query, response: Response, limit: int) -> bytes:
    """The answer to a query in at most `limit` octets; records that do not fit are left out and TC says so.

    Raises `ValueError` where a record cannot be written (a label of more than 63 octets, a text that is no address).
    """
    out = bytearray(_HEADER.size)
    out += query.section
    names = _question_names(query)
    room = limit - (_OPT_LENGTH if query.edns else 0)
    counts = [0, 0, 0]
    truncated = response.truncated
    for section, group in enumerate((response.answer, response.authority, response.additional)):
        for record in group:
            start = len(out)
            _write_record(out, record, names)
            if len(out) > room:
                del out[start:]
                truncated = True
                break
            counts[section] += 1
        if truncated and not response.truncated:
            break
    if query.edns:
        out += b"\0" + _FIXED.pack(dns.OPT, EDNS_SIZE, response.rcode >> 4 << 24 | (_DO if query.dnssec else 0), 0)
        counts[2] += 1
    flags = _QR | query.flags & (_OPCODE | _RD | _CD) | response.rcode & 0xF
    flags |= (_AA if response.authoritative else 0) | (_TC if truncated else 0)
    _HEADER.pack_into(out, 0, query.id, flags, 1 if query.section else 0, *counts)
    return bytes(out)


def _question_names(query: Query) -> dict[str, int]:
    """Where the question's name and each of its parents stand, for pointers to them."""
    names: dict[str, int] = {}
    at, name = _QUESTION, query.name if query.section else "."
    while name not in (".", ""):
        names[name] = at
        label, name = _first_label(name)
        at += len(label) + 1
    return names


def _write_record(out: bytearray, record: Record, names: dict[str, int]) -> None:
    _write_name(out, record.name, names)
    at = len(out) + _FIXED.size
    out += _FIXED.pack(record.type, IN, record.ttl, 0)
    data = record.data
    if isinstance(data, Srv):
        out += pack("!3H", data.priority, data.weight, data.port)
        _write_name(out, data.target, None)  # RFC 2782: the target is never compressed
    elif isinstance(data, Soa):
        _write_name(out, data.mname, names)
        _write_name(out, data.rname, names)
        out += pack("!5I", data.serial, data.refresh, data.retry, data.expire, data.minimum)
    elif record.type == dns.A:
        out += _address(AF_INET, data)
    elif record.type == dns.AAAA:
        out += _address(AF_INET6, data)
    elif record.type == dns.TXT:
        out += bytes([len(data)]) + data.encode()
    else:
        _write_name(out, data, names)
    out[at - 2 : at] = (len(out) - at).to_bytes(2, "big")


def _address(family: int, text: str) -> bytes:
    try:
        return inet_pton(family, text)
    except OSError:
        raise ValueError(f"no address: {text}") from None


def _write_name(out: bytearray, name: str, names: dict[str, int] | None) -> None:
    """A name; what has been written before (`names`: text -> offset) becomes a pointer. None: write it in full."""
    length = 1
    while name != ".":
        if names is not None:
            seen = names.get(name)
            if seen is not None:
                out += (0xC000 | seen).to_bytes(2, "big")
                return
            if len(out) < 0x4000:
                names[name] = len(out)
        label, name = _first_label(name)
        length += len(label) + 1
        if not 0 < len(label) < 64 or length > 255:
            raise ValueError(f"no DNS name: label of {len(label)} octets, {length} in all")
        out.append(len(label))
        out += label
        name = name or "."
    out.append(0)


def _first_label(name: str) -> tuple[bytes, str]:
    """The first label of a name in text, escapes undone, and the rest."""
    head, _, rest = name.partition(".")
    if "\\" not in head:
        return head.encode(), rest
    label, at = bytearray(), 0
    while at < len(name) and name[at] != ".":
        if name[at] != "\\":
            label += name[at].encode()
            at += 1
        elif name[at + 1 : at + 4].isdigit():
            label.append(int(name[at + 1 : at + 4]))
            at += 4
        else:
            label += name[at + 1].encode()
            at += 2
    return bytes(label), name[at + 1 :]


def read_name(data: bytes, at: int, *, pointers: bool = True) -> tuple[str, int]:
    """A name and the offset behind it. Pointers must lead backwards, so that reading ends.

    Raises `ValueError` or `IndexError` where there is no name.
    """
    labels: list[str] = []
    end, length, lowest = 0, 1, at
    while size := data[at]:
        if size >= 0xC0:
            target = (size & 0x3F) << 8 | data[at + 1]
            if not pointers or target >= lowest:
                raise ValueError("bad compression pointer")
            end = end or at + 2
            at = lowest = target
            continue
        label = data[at + 1 : at + 1 + size]
        length += size + 1
        if size > 63 or length > 255:
            raise ValueError("bad label")
        labels.append(label.decode() if not label.translate(None, _TEXT) else _escape(label))
        at += size + 1
    return ".".join(labels) + ".", end or at + 1


def _escape(label: bytes) -> str:
    return "".join(chr(b) if b in _TEXT else f"\\{chr(b)}" if b in b'.\\";()@$' else f"\\{b:03}" for b in label)


def question(id_: int, name: str, type_: int) -> bytes:
    """A query of one's own, recursion desired. Raises `ValueError` where the name cannot be written."""
    out = bytearray(_HEADER.pack(id_, _RD, 1, 0, 0, 0))
    _write_name(out, name, {})
    return bytes(out) + pack("!HH", type_, IN)


def answer_to(query: bytes, data: bytes) -> Response | None:
    """What a message answers to a query made by `question`; None where it is malformed or answers something else."""
    if data[:2] != query[:2] or len(data) < _QUESTION or not data[2] & _QR >> 8:
        return None
    if data[_QUESTION : len(query)] != query[_QUESTION:]:
        return None
    try:
        return decode_answer(data)
    except ValueError:
        return None


def ttls(data: bytes) -> dict[int, int]:
    """Offset -> TTL of every record of an answer, EDNS aside. Raises `ValueError` where the message is malformed."""
    try:
        _, _, questions, *counts = _HEADER.unpack_from(data)
        at, found = _QUESTION, {}
        for _ in range(questions):
            at = read_name(data, at)[1] + 4
        for _ in range(sum(counts)):
            at = read_name(data, at)[1]
            type_, _, ttl, length = _FIXED.unpack_from(data, at)
            if type_ != dns.OPT:
                found[at + 4] = ttl
            at += _FIXED.size + length
    except (IndexError, error) as problem:
        raise ValueError(str(problem)) from None
    return found


def decode_answer(data: bytes) -> Response:
    """What another server answered: code, truncation, and the A, AAAA and CNAME records of its answer section.

    Raises `ValueError` where the message is malformed.
    """
    try:
        _, flags, questions, answers, _, _ = _HEADER.unpack_from(data)
        at = _QUESTION
        for _ in range(questions):
            at = read_name(data, at)[1] + 4
        found = []
        for _ in range(answers):
            name, at = read_name(data, at)
            type_, _, ttl, length = _FIXED.unpack_from(data, at)
            at += _FIXED.size
            rdata = data[at : at + length]
            if type_ in (dns.A, dns.AAAA):
                found.append(Record(name, type_, ttl, inet_ntop(AF_INET if type_ == dns.A else AF_INET6, rdata)))
            elif type_ == dns.CNAME:
                found.append(Record(name, type_, ttl, read_name(data, at)[0]))
            at += length
    except (IndexError, error) as problem:
        raise ValueError(str(problem)) from None
    return Response(flags & 0xF, tuple(found), authoritative=False, truncated=bool(flags & _TC))
