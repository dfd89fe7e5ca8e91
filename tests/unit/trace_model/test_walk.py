"""The walk itself: branches, marks, returns, state, and what it refuses to guess."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labkit.errors import RuleError
from labkit.net.packet import Packet
from labkit.net.rules import ruleset
from labkit.proxy.draft import saved_probability
from labkit.trace.model.predict import predict
from labkit.trace.model.rule_text import parse_rule

PACKET = Packet("10.244.1.5", "10.96.0.20", "TCP", 40000, 80)


def nat(**chains: list[str]):
    return ruleset({"nat": {name.replace("_", "-"): rules for name, rules in chains.items()}})


@given(st.integers(min_value=1, max_value=60))
def test_statistic_rules_share_equally(n: int) -> None:
    choose = [
        f"-m statistic --mode random --probability {saved_probability(left)} " * (left > 1) for left in range(n, 0, -1)
    ]
    rules = nat(
        PREROUTING=["-j S"],
        S=[f"{text}-j E{i}" for i, text in enumerate(choose)],
        **{f"E{i}": [f"-p tcp -m tcp -j DNAT --to-destination 10.244.2.{i}:80"] for i in range(n)},
    )
    found = predict(rules, PACKET)
    assert len(found.to) == n
    assert found.to == pytest.approx(dict.fromkeys(found.to, 1 / n), abs=1e-7)


def test_hits_are_the_matching_rules_in_order_with_their_numbers() -> None:
    rules = nat(
        PREROUTING=["-d 10.0.0.1/32 -j NONE", "-j S"],
        NONE=[],
        S=["! -s 10.244.0.0/16 -j M", "-s 10.244.0.0/16 -j M", "-j DNAT --to-destination 10.244.2.1:8080"],
        M=["-j MARK --set-xmark 0x4000/0x4000"],
    )
    (outcome,) = predict(rules, PACKET, place="node-1").outcomes
    assert [(h.chain, h.number) for h in outcome.hits] == [("PREROUTING", 2), ("S", 2), ("M", 1), ("S", 3)]
    assert outcome.packet == Packet("10.244.1.5", "10.244.2.1", "TCP", 40000, 8080)
    assert {h.place for h in outcome.hits} == {"node-1"}


@pytest.mark.parametrize(
    ("mark", "masquerade"), [("0x4000/0x4000", True), ("0x0/0x4000", False), ("0x8000/0x8000", False)]
)
def test_mark_decides_masquerading(mark: str, masquerade: bool) -> None:
    rules = nat(
        PREROUTING=[f"-j MARK --set-xmark {mark}"],
        POSTROUTING=["-j P"],
        P=["-m mark ! --mark 0x4000/0x4000 -j RETURN", "-j MASQUERADE --random-fully"],
    )
    assert predict(rules, PACKET).masquerade is masquerade


def test_setting_one_bit_of_the_mark_keeps_the_others() -> None:
    rules = nat(
        PREROUTING=["-j MARK --set-xmark 0x4000/0x4000", "-j MARK --set-xmark 0x1/0x1"],
        POSTROUTING=["-m mark --mark 0x4000/0x4000 -j MASQUERADE"],
    )
    assert predict(rules, PACKET).masquerade is True


def test_a_packet_that_stays_on_the_node_leaves_by_postrouting_only_if_it_began_there() -> None:
    rules = nat(POSTROUTING=["-j MASQUERADE"])
    here = {PACKET.dst}
    assert predict(rules, PACKET, node_addresses=here).masquerade is False
    assert predict(rules, PACKET, node_addresses=here, from_node=True).masquerade is True


def test_return_goes_on_behind_the_jump() -> None:
    rules = ruleset({"filter": {"FORWARD": ["-j A", "-j DROP"], "A": ["-p tcp -j RETURN", "-j ACCEPT"]}})
    assert predict(rules, PACKET).verdict == "DROP"
    assert predict(rules, Packet("10.244.1.5", "10.96.0.20", "UDP", 1, 80)).verdict == "ACCEPT"


def test_nat_is_for_new_connections_only() -> None:
    rules = nat(PREROUTING=["-j DNAT --to-destination 10.244.2.1:8080"])
    assert predict(rules, PACKET).verdict == "DNAT"
    assert predict(rules, PACKET, state="ESTABLISHED").verdict == "UNTOUCHED"


def test_packets_for_the_node_come_by_input_and_others_by_forward() -> None:
    rules = ruleset({"filter": {"INPUT": ["-j ACCEPT"], "FORWARD": ["-j DROP"]}})
    assert predict(rules, PACKET).verdict == "DROP"
    assert predict(rules, PACKET, node_addresses={PACKET.dst}).verdict == "ACCEPT"
    assert predict(rules, PACKET, from_node=True).verdict == "UNTOUCHED"


def test_affinity_leads_to_the_remembered_endpoint_and_remembers_a_new_one() -> None:
    by = "--mask 255.255.255.255 --rsource"
    rules = nat(
        PREROUTING=["-j S"],
        S=[
            f"-m recent --rcheck --seconds 60 --reap --name A {by} -j A",
            f"-m recent --rcheck --seconds 60 --reap --name B {by} -j B",
            "-m statistic --mode random --probability 0.50000000000 -j A",
            "-j B",
        ],
        A=[f"-p tcp -m recent --set --name A {by} -m tcp -j DNAT --to-destination 10.244.2.1:80"],
        B=[f"-p tcp -m recent --set --name B {by} -m tcp -j DNAT --to-destination 10.244.2.2:80"],
    )
    assert predict(rules, PACKET).to == {"10.244.2.1:80": 0.5, "10.244.2.2:80": 0.5}
    assert {o.remembered for o in predict(rules, PACKET).outcomes} == {frozenset("A"), frozenset("B")}
    assert predict(rules, PACKET, remembered={"B"}).to == {"10.244.2.2:80": 1.0}


def test_outcomes_that_differ_have_no_single_verdict() -> None:
    rules = ruleset({"filter": {"FORWARD": ["-m statistic --mode random --probability 0.50000000000 -j DROP"]}})
    found = predict(rules, PACKET)
    assert {o.verdict for o in found.outcomes} == {"DROP", "UNTOUCHED"}
    with pytest.raises(RuleError, match="DROP, UNTOUCHED"):
        _ = found.verdict


@pytest.mark.parametrize(
    "text",
    [
        "-i eth0 -j DROP",
        "-m length --length 20 -j DROP",
        "-p icmp -j ACCEPT",
        "-m tcp --sport 80 -j ACCEPT",
        "-m conntrack --ctstate SNAT -j ACCEPT",
        "-j SNAT --to-source 1.2.3.4",
        "-j REJECT --reject-with tcp-reset",
        "-g KUBE-SERVICES",
        '-m comment --comment "x" --foo -j DROP',
        "-m mark --mark 0x1 -j DROP",
        "-m addrtype --dst-type BROADCAST -j DROP",
        "-m statistic --mode nth --every 2 --packet 0 -j DROP",
    ],
)
def test_an_unknown_rule_is_an_error(text: str) -> None:
    with pytest.raises(RuleError, match="does not know"):
        parse_rule(text)


def test_an_unknown_rule_that_could_not_match_is_an_error_too() -> None:
    with pytest.raises(RuleError):
        predict(nat(PREROUTING=["-d 1.2.3.4/32 -i eth0 -j DROP"]), PACKET)


def test_a_missing_chain_and_a_loop_are_errors() -> None:
    with pytest.raises(RuleError, match="does not exist"):
        predict(nat(PREROUTING=["-j GONE"]), PACKET)
    with pytest.raises(RuleError, match="loop"):
        predict(nat(PREROUTING=["-j A"], A=["-j B"], B=["-j A"]), PACKET)
