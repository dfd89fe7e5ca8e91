"""What a path's picture claims, and the facts below it."""

from __future__ import annotations

import msgspec

from labkit import show
from labkit.net.packet import Packet
from labkit.net.path import Rewrite
from labkit.show.paths import FACTS, RULES
from labkit.show.story import tell

from . import samples


def test_dnat_is_claimed_and_named_after_its_rule() -> None:
    picture = show.path(samples.service_path())
    assert picture.title == "10.96.12.7:9080 becomes 10.244.3.7:9080 on node-1"
    assert list(picture.facts.columns) == list(FACTS)
    assert len(picture.facts) == 28
    changed = picture.facts.iloc[2]
    assert (changed["place"], changed["interface"], changed["dst"]) == ("node-1", "cni0", "10.244.3.7:9080")
    assert changed["what happened"] == (
        "DNAT by KUBE-SEP-X7EXRIWZ4B4O5WQG rule 2: destination 10.96.12.7:9080 -> 10.244.3.7:9080"
    )
    assert picture.facts["what happened"].iloc[0] == "sent"
    assert picture.facts["what happened"].iloc[13] == "received"


def test_the_reply_is_turned_back_by_conntrack() -> None:
    facts = show.path(samples.service_path()).facts
    turned = facts[facts["what happened"].str.startswith("turned back")]
    assert list(turned["what happened"]) == ["turned back by conntrack: source 10.244.3.7:9080 -> 10.96.12.7:9080"]
    assert list(turned["place"]) == ["node-1"]
    assert facts.iloc[-1]["src"] == "10.96.12.7:9080"


def test_ports_taken_at_random_are_left_out() -> None:
    for path in (samples.service_path(), samples.hairpin_path(), samples.node_path()):
        told = repr(show.path(path))
        assert "41000" not in told
        assert "55123" not in told


def test_two_rewrites_between_the_same_hops_both_count() -> None:
    story = tell(samples.hairpin_path())
    assert [change.label for change in story.changes["request"]] == [
        "DNAT by KUBE-SEP-X7EXRIWZ4B4O5WQG rule 2",
        "SNAT by KUBE-POSTROUTING rule 3",
    ]
    assert [change.gap for change in story.changes["request"]] == [2, 2]
    assert story.title == ("10.96.12.7:80 becomes 10.244.1.5:8080 and source 10.244.1.5 becomes 10.244.1.1 on node-1")


def test_each_rewrite_explains_one_change() -> None:
    here, there = Packet("10.0.0.1", "10.0.0.2", "TCP", 1, 80), Packet("10.0.0.1", "10.0.0.3", "TCP", 1, 80)
    path = samples.short_path(4)
    packets = (here, there, here, there)
    request = tuple(msgspec.structs.replace(h, packet=p) for h, p in zip(path.request, packets, strict=True))
    rewrites = tuple(
        Rewrite("node-1", "PREROUTING", "DNAT", *ends, rule)
        for ends, rule in (((here, there), "X 1"), ((there, here), "Y 1"), ((here, there), "Z 1"))
    )
    story = tell(msgspec.structs.replace(path, packet=here, request=request, rewrites=rewrites, reply=()))
    assert [(c.gap, c.label) for c in story.changes["request"]] == [
        (1, "DNAT by X 1"), (2, "DNAT by Y 1"), (3, "DNAT by Z 1"),
    ]  # fmt: skip


def test_a_replys_own_rewrites_have_no_rule() -> None:
    """The tracer gives them as rewrites with an empty rule, the destination's first."""
    path = samples.hairpin_path()
    start, end = path.reply[0].packet, path.reply[-1].packet
    between = msgspec.structs.replace(start, dst=end.dst, dport=end.dport)
    back = (
        Rewrite("node-1", "PREROUTING", "DNAT", start, between, ""),
        Rewrite("node-1", "POSTROUTING", "SNAT", between, end, ""),
    )
    story = tell(msgspec.structs.replace(path, rewrites=path.rewrites + back))
    assert [(change.label, change.text) for change in story.changes["reply"]] == [
        ("turned back by conntrack", "destination 10.244.1.1 -> 10.244.1.5"),
        ("turned back by conntrack", "source 10.244.1.5:8080 -> 10.96.12.7:80"),
    ]


def test_a_rewrite_before_the_first_interface() -> None:
    story = tell(samples.node_path())
    assert [change.gap for change in story.changes["request"]] == [0]
    assert story.request[0].what.startswith("sent; DNAT by ")


def test_a_rewrite_after_the_last_interface() -> None:
    path = samples.short_path(3)
    before = path.packet
    after = msgspec.structs.replace(before, dst="127.0.0.1")
    rewrite = msgspec.structs.replace(samples.service_path().rewrites[0], before=before, after=after, rule="X 1")
    story = tell(msgspec.structs.replace(path, rewrites=(rewrite,)))
    assert [change.gap for change in story.changes["request"]] == [3]
    assert story.request[-1].what == "received; DNAT by X 1: destination 10.244.3.7:9080 -> 127.0.0.1:9080"


def test_an_unexplained_change_is_said_to_be_unexplained() -> None:
    path = msgspec.structs.replace(samples.service_path(), rewrites=())
    assert [change.label for change in tell(path).changes["request"]] == ["by a rule that was not seen"]


def test_a_change_of_the_clients_port_alone() -> None:
    path = samples.short_path(3)
    other = msgspec.structs.replace(path.packet, sport=1)
    rewrite = msgspec.structs.replace(samples.service_path().rewrites[0], before=path.packet, after=other)
    request = (path.request[0], *(msgspec.structs.replace(hop, packet=other) for hop in path.request[1:]))
    story = tell(msgspec.structs.replace(path, rewrites=(rewrite,), request=request))
    assert story.changes["request"][0].text == "the client's port only"
    assert story.title.endswith("over 3 hops, no address changed")


def test_unanswered_paths_say_so_in_words() -> None:
    story = tell(samples.short_path(3, "rejected by rule KUBE-SERVICES 3", lost=4))
    assert story.title == (
        "10.244.3.7:9080 does not answer default/client: rejected by rule KUBE-SERVICES 3, last seen at node-1 cni0"
    )
    assert story.notes == (
        "Outcome: rejected by rule KUBE-SERVICES 3",
        "no reply was seen",
        "4 captured frames lost, so the path may have gaps",
    )
    assert story.request[-1].what == "last seen: rejected by rule KUBE-SERVICES 3"


def test_an_http_error_is_an_answer_and_a_reset_is_not() -> None:
    path = samples.short_path(2)
    assert tell(msgspec.structs.replace(path, outcome="503")).answered
    for outcome in ("refused", "timeout", "rejected by rule 1 of X (filter) on node-1", "network is unreachable"):
        assert not tell(msgspec.structs.replace(path, outcome=outcome)).answered


def test_a_reset_and_an_icmp_error_come_back_without_an_answer() -> None:
    path = samples.short_path(2)
    refused = tell(msgspec.structs.replace(path, outcome="refused"))
    assert refused.title == "10.244.3.7:9080 refuses default/client"
    rejected = tell(msgspec.structs.replace(path, outcome="rejected by rule 1 of KUBE-SERVICES (filter) on node-1"))
    assert rejected.title == (
        "10.244.3.7:9080 does not answer default/client: rejected by rule 1 of KUBE-SERVICES (filter) on node-1"
    )


def test_no_packet_at_all() -> None:
    picture = show.path(samples.short_path(0, "timeout"))
    assert picture.title == "No packet from default/client to 10.244.3.7:9080 was seen: timeout"
    assert picture.facts.empty


def test_ipv6_addresses_keep_their_brackets() -> None:
    packet = Packet("fd00:10:244:1::5", "fd00:10:96::7", "TCP", 41000, 80)
    path = samples.short_path(2)
    hops = tuple(msgspec.structs.replace(hop, packet=packet) for hop in path.request)
    facts = show.path(msgspec.structs.replace(path, packet=packet, request=hops, reply=())).facts
    assert facts.iloc[0]["dst"] == "[fd00:10:96::7]:80"


def test_rules_are_all_there() -> None:
    rules = show.path(samples.service_path()).rules
    assert list(rules.columns) == list(RULES)
    assert list(rules["chain"]) == ["KUBE-SERVICES", samples.SEP]
