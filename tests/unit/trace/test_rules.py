"""The pure parts of the rule trace: what is asked for, and what a report means."""

import pytest

from labkit.errors import TraceError
from labkit.net.path import RuleHit
from labkit.net.rules import parse
from labkit.trace.rules import _evaluated, _first_sent, _raw_rules

from .recorded import SEQ, packet, place, syn

SAVED = """*nat
:PREROUTING ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:KUBE-SEP-X - [0:0]
-A PREROUTING -j KUBE-SEP-X
-A KUBE-SEP-X -s 10.244.3.4/32 -j KUBE-MARK-MASQ
-A KUBE-SEP-X -p tcp -m tcp -j DNAT --to-destination 10.244.3.4:8080
COMMIT
*filter
:FORWARD DROP [0:0]
COMMIT
"""
LISTING = parse(SAVED)
NODE = place("node-1")


@pytest.mark.parametrize(
    ("table", "chain", "number", "expected", "target"),
    [
        ("nat", "KUBE-SEP-X", 2, (2, "-p tcp -m tcp -j DNAT --to-destination 10.244.3.4:8080"), "DNAT"),
        ("nat", "KUBE-SEP-X", 0, (3, ""), "RETURN"),
        ("nat", "PREROUTING", 0, (2, ""), "ACCEPT"),
        ("filter", "FORWARD", 0, (1, ""), "DROP"),
        ("kindnet", "forward", 4, (4, ""), ""),
    ],
)
def test_a_report_becomes_a_hit(table: str, chain: str, number: int, expected: tuple[int, str], target: str) -> None:
    found = _evaluated(NODE, LISTING, table, chain, number)
    assert found is not None
    assert found.hit == RuleHit("node-1", table, chain, *expected)
    assert found.target == target


def test_the_end_of_an_empty_accepting_chain_says_nothing() -> None:
    assert _evaluated(NODE, LISTING, "nat", "OUTPUT", 0) is None


def test_a_rule_that_is_gone() -> None:
    with pytest.raises(TraceError, match="rules of node-1 were changed"):
        _evaluated(NODE, LISTING, "nat", "KUBE-SEP-X", 3)


def test_of_a_packet_sent_again_the_first_counts() -> None:
    sent = packet("10.244.1.2:4000 10.96.0.22:80")
    reports = [("stranger", syn(sent, 7)), ("a", syn(sent, 1)), ("b", syn(sent, 1)), ("a", syn(sent, 2))]
    assert _first_sent(reports[1:], lambda frame: frame.seq == SEQ) == ["a", "b"]
    assert _first_sent(reports, lambda frame: frame.ip_id < 7) == ["a", "b"]
    assert _first_sent(reports, lambda frame: False) == []


@pytest.mark.parametrize(
    ("protocol", "sources", "line"),
    [
        ("TCP", ["10.0.0.1"], "-I OUTPUT -s 10.0.0.1 -p tcp -m tcp --tcp-flags SYN,ACK SYN -j TRACE"),
        ("UDP", [], "-I PREROUTING -p udp -j TRACE"),
    ],
)
def test_rules_that_mark_the_packets(protocol: str, sources: list[str], line: str) -> None:
    text = _raw_rules("-I", protocol, sources)
    assert line in text.splitlines()
    assert text.startswith("*raw\n")
    assert text.endswith("\nCOMMIT\n")
