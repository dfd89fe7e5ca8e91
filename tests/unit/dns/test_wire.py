"""The codec against dnspython, which plays the oracle here."""

from __future__ import annotations

import dns.edns
import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rdatatype
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labkit.net import dnsrecords as records
from labkit.net import dnswire as wire
from labkit.net.dnsrecords import Record, Response, Soa, Srv

LABEL = st.text("abcXYZ019-_", min_size=1, max_size=12)
NAME = st.lists(LABEL, min_size=1, max_size=6).map(lambda labels: ".".join(labels) + ".")
IPV4 = st.tuples(*[st.integers(0, 255)] * 4).map(lambda parts: ".".join(map(str, parts)))
IPV6 = st.integers(1, 2**16 - 1).map(lambda n: f"fd00::{n:x}")
NUMBER = st.integers(0, 65535)
TTL = st.integers(0, 2**31 - 1)
SERIAL = st.integers(0, 2**32 - 1)
RECORD = st.one_of(
    st.builds(Record, NAME, st.just(records.A), TTL, IPV4),
    st.builds(Record, NAME, st.just(records.AAAA), TTL, IPV6),
    st.builds(Record, NAME, st.sampled_from([records.CNAME, records.NS, records.PTR]), TTL, NAME),
    st.builds(Record, NAME, st.just(records.SRV), TTL, st.builds(Srv, NUMBER, NUMBER, NUMBER, NAME)),
    st.builds(
        Record, NAME, st.just(records.SOA), TTL, st.builds(Soa, NAME, NAME, SERIAL, *[st.integers(0, 2**31 - 1)] * 4)
    ),
    st.builds(Record, NAME, st.just(records.TXT), TTL, st.text("abc 1.0", max_size=30)),
)
SECTION = st.lists(RECORD, max_size=6, unique=True).map(tuple)


def query(name: str = "web.shop.svc.cluster.local.", kind: str = "A", **more: object) -> wire.Query:
    found = wire.decode(dns.message.make_query(name, kind, **more).to_wire())
    assert found is not None
    return found


def text(record: Record) -> str:
    data = record.data
    if isinstance(data, Srv):
        shown = f"{data.priority} {data.weight} {data.port} {data.target}"
    elif isinstance(data, Soa):
        shown = " ".join(map(str, (data.mname, data.rname, data.serial, data.refresh, data.retry, data.expire)))
        shown += f" {data.minimum}"
    else:
        shown = f'"{data}"' if record.type == records.TXT else data
    return f"{record.name} {records.TYPE_NAMES[record.type]} {record.ttl} {shown}"


def rows(section: list[dns.rrset.RRset]) -> list[str]:
    found = []
    for rrset in section:
        kind = dns.rdatatype.to_text(rrset.rdtype)
        found += [f"{rrset.name.to_text()} {kind} {rrset.ttl} {rdata.to_text()}" for rdata in rrset]
    return found


@given(NAME, SECTION, SECTION, SECTION, st.booleans())
@settings(deadline=None)
def test_dnspython_reads_what_is_written(
    name: str, answer: tuple[Record, ...], authority: tuple[Record, ...], extra: tuple[Record, ...], edns: bool
) -> None:
    asked = query(name, "A", use_edns=edns)
    data = wire.encode(asked, Response(0, answer, authority, extra), wire.MAX_SIZE)
    message = dns.message.from_wire(data, one_rr_per_rrset=True)
    assert message.id == asked.id
    assert message.question[0].name.to_text() == name
    for section, written in ((message.answer, answer), (message.authority, authority), (message.additional, extra)):
        assert rows(section) == [text(record) for record in written]
    assert (message.edns >= 0) == edns
    assert set(wire.ttls(data).values()) == {record.ttl for record in (*answer, *authority, *extra)}


@given(st.lists(RECORD, min_size=1, max_size=60, unique=True).map(tuple), st.integers(512, 4096), st.booleans())
@settings(deadline=None)
def test_what_does_not_fit_is_cut_and_marked(answer: tuple[Record, ...], limit: int, edns: bool) -> None:
    asked = query(use_edns=edns)
    data = wire.encode(asked, Response(answer=answer), limit)
    assert len(data) <= limit
    message = dns.message.from_wire(data, one_rr_per_rrset=True, raise_on_truncation=False)
    whole = [text(record) for record in answer]
    kept = rows(message.answer)
    assert kept == whole[: len(kept)]
    assert bool(message.flags & dns.flags.TC) == (len(kept) < len(whole))


@given(
    st.lists(st.binary(min_size=1, max_size=20), max_size=5).map(tuple),
    st.sampled_from(["A", "AAAA", "SRV", "PTR", "TXT", "HTTPS"]),
    st.booleans(),
    st.integers(0, 65535),
)
@settings(deadline=None)
def test_queries_of_any_octets_are_understood(labels: tuple[bytes, ...], kind: str, edns: bool, size: int) -> None:
    name = dns.name.Name((*labels, b""))
    sent = dns.message.make_query(name, kind, use_edns=edns, payload=size if edns else None, want_dnssec=edns)
    found = wire.decode(sent.to_wire())
    assert found is not None
    assert dns.name.from_text(found.name) == name
    assert (found.rcode, found.id, found.edns, found.dnssec) == (0, sent.id, edns, edns)
    assert found.type == dns.rdatatype.from_text(kind)
    assert found.size == (max(512, size) if edns else 512)
    owner = (Record(found.name, records.A, 1, "10.0.0.1"),)
    back = dns.message.from_wire(wire.encode(found, Response(answer=owner), 65535))
    assert back.question[0].name == name and back.answer[0].name == name


@given(st.binary(max_size=80))
def test_no_octets_can_break_the_decoder(data: bytes) -> None:
    found = wire.decode(data)
    assert found is None or found.id == int.from_bytes(data[:2], "big")
    if found is not None and found.rcode:
        assert len(wire.encode(found, records.failure(found.rcode), 512)) >= 12
    for reader in (wire.decode_answer, wire.ttls):
        try:
            reader(data)
        except ValueError:
            continue


@given(st.binary(min_size=12, max_size=200), st.integers(0, 199), st.integers(0, 255))
def test_a_damaged_query_is_refused_or_understood(noise: bytes, at: int, octet: int) -> None:
    data = bytearray(dns.message.make_query("web.shop.svc.cluster.local.", "A", use_edns=True).to_wire() + noise)
    data[at % len(data)] = octet
    found = wire.decode(bytes(data))
    assert found is None or found.rcode in records.RCODES


@given(NAME, st.lists(st.one_of(st.builds(Record, NAME, st.just(records.A), TTL, IPV4)), max_size=5).map(tuple))
@settings(deadline=None)
def test_answers_of_others_are_read_back(target: str, addresses: tuple[Record, ...]) -> None:
    answer = (Record("web.shop.svc.cluster.local.", records.CNAME, 30, target), *addresses)
    data = wire.encode(query(), Response(answer=answer, truncated=True), wire.MAX_SIZE)
    found = wire.decode_answer(data)
    assert found.answer == answer and found.truncated and found.rcode == 0


@pytest.mark.parametrize(
    ("change", "rcode"),
    [
        ({"opcode": dns.opcode.UPDATE}, records.NOTIMP),
        ({"questions": 2}, records.FORMERR),
        ({"questions": 0}, records.FORMERR),
        ({"rdclass": "CH"}, records.REFUSED),
        ({"version": 1}, records.BADVERS),
    ],
)
def test_what_is_refused_and_how(change: dict[str, object], rcode: int) -> None:
    message = dns.message.make_query("a.b.", "A", rdclass=change.get("rdclass", "IN"))
    if "version" in change:
        message.use_edns(edns=1)
    data = bytearray(message.to_wire())
    if "opcode" in change:
        data[2] |= int(dns.opcode.to_flags(dns.opcode.UPDATE)) >> 8
    if "questions" in change:
        data[5] = int(str(change["questions"]))
    found = wire.decode(bytes(data))
    assert found is not None and found.rcode == rcode
    reply = wire.encode(found, records.failure(found.rcode), 512)
    assert reply[2] & 0x80, "an answer"
    if rcode == records.BADVERS:
        assert dns.message.from_wire(reply).rcode() == records.BADVERS


def test_names_beyond_the_reach_of_pointers_are_written_in_full() -> None:
    answer = tuple(Record(f"n{n}.elsewhere-{n % 700}.example.", records.NS, 1, f"t{n}.") for n in range(1400))
    data = wire.encode(query(), Response(answer=answer), wire.MAX_SIZE)
    assert len(data) > 0x4000
    assert rows(dns.message.from_wire(data, one_rr_per_rrset=True).answer) == [text(record) for record in answer]


def test_answers_and_fragments_are_dropped() -> None:
    answer = bytearray(dns.message.make_query("a.b.", "A").to_wire())
    answer[2] |= 0x80
    assert wire.decode(bytes(answer)) is None
    assert wire.decode(bytes(answer)[:11]) is None


def test_a_question_longer_than_a_name_may_be_is_refused() -> None:
    good = dns.message.make_query("a.b.", "A").to_wire()
    found = wire.decode(good[:12] + (b"\x3c" + b"a" * 60) * 5 + b"\0\0\1\0\1")
    assert found is not None and found.rcode == records.FORMERR


def test_a_pointer_that_leads_nowhere_back_is_refused() -> None:
    with pytest.raises(ValueError, match="pointer"):
        wire.read_name(b"\0" * 12 + b"\xc0\x0c", 12)


@pytest.mark.parametrize("name", ["a" * 64 + ".", "a..b.", ".".join(["a" * 60] * 5) + "."])
def test_names_that_dns_cannot_carry(name: str) -> None:
    with pytest.raises(ValueError, match="no DNS name"):
        wire.question(1, name, records.A)


def test_the_question_comes_back_letter_by_letter_and_flags_follow() -> None:
    asked = query("WeB.Shop.svc.cluster.local.")
    message = dns.message.from_wire(wire.encode(asked, Response(), 512))
    assert message.question[0].name.to_text() == "WeB.Shop.svc.cluster.local."
    assert dns.flags.to_text(message.flags) == "QR AA RD"


def test_an_answer_is_taken_for_its_own_question_only() -> None:
    query = wire.question(4711, "web.shop.svc.cluster.local.", records.A)
    answer = dns.message.make_response(dns.message.from_wire(query)).to_wire()
    assert wire.answer_to(query, answer) == Response(authoritative=False)
    other_name = wire.question(4711, "api.shop.svc.cluster.local.", records.A)
    other_id = wire.question(4712, "web.shop.svc.cluster.local.", records.A)
    assert wire.answer_to(other_name, answer) is None
    assert wire.answer_to(other_id, answer) is None
    assert wire.answer_to(query, query) is None, "a question is no answer"
    assert wire.answer_to(query, answer[:20]) is None
    assert wire.answer_to(query, b"") is None
