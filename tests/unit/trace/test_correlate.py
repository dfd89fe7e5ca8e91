"""Frames, rules and conntrack entries to a path: the cases that a cluster has, as values."""

import random

import pytest

from labkit.errors import TraceError
from labkit.net.packet import Packet
from labkit.net.path import PacketPath
from labkit.trace import correlate
from labkit.trace.frames import ACK, RST, Frame

from .recorded import SEQ, asked, first, flow, hit, packet, seen, syn, synack, way

SENT = packet("10.244.1.2:4000 10.96.0.22:80")
DNATED = packet("10.244.1.2:4000 10.244.3.4:8080")
DNAT = "-p tcp -m tcp -j DNAT --to-destination 10.244.3.4:8080"
THERE = [
    "client eth0 out",
    "node-1 veth1 in",
    "node-1 eth0 out",
    "s-a p1 in",
    "s-a p2 out",
    "node-3 eth0 in",
    "node-3 veth4 out",
    "far eth0 in",
]
BACK = [
    f"{name} {interface} {'out' if direction == 'in' else 'in'}"
    for name, interface, direction in (hop.split() for hop in reversed(THERE))
]
FLOW = flow("10.244.1.2:4000 10.96.0.22:80", "10.244.3.4:8080 10.244.1.2:4000")
FLOWS = {
    "node-1": [FLOW],
    "node-3": [flow("10.244.1.2:4000 10.244.3.4:8080", "10.244.3.4:8080 10.244.1.2:4000")],
    "node-2": [],
}
HITS = [
    hit("node-3", "filter", "FORWARD", 1, "-j KUBE-FORWARD", "KUBE-FORWARD"),
    hit("node-1", "nat", "PREROUTING", 1, "-j KUBE-SERVICES", "KUBE-SERVICES"),
    hit("node-1", "nat", "KUBE-SEP-X", 2, DNAT, "DNAT"),
]


def cross_node() -> list[correlate.Seen]:
    there = way(THERE, 0, syn(SENT), syn(SENT), syn(DNATED))
    back = way(BACK, 1000, *[synack(DNATED.reversed())] * 6, synack(SENT.reversed()))
    return there + back


def hops(path: PacketPath, way: str) -> list[str]:
    return [f"{h.place} {h.interface} {h.direction}" for h in getattr(path, way)]


def test_cross_node_service() -> None:
    frames = cross_node()
    random.Random(1).shuffle(frames)
    start = first(SENT, syn(SENT), FLOW)
    path = correlate.path(asked(status=200), start, frames, HITS, FLOWS, 0)
    assert hops(path, "request") == THERE
    assert hops(path, "reply") == BACK
    assert path.packet == SENT
    assert path.outcome == "200"
    assert [h.time_ns for h in path.request] == [0, 10, 20, 30, 40, 50, 60, 70]
    assert [(r.place, r.hook, r.action, r.before, r.after, r.rule) for r in path.rewrites] == [
        ("node-1", "PREROUTING", "DNAT", SENT, DNATED, DNAT),
        ("node-1", "POSTROUTING", "SNAT", DNATED.reversed(), SENT.reversed(), ""),
    ]
    assert [h.place for h in path.rules] == ["node-1", "node-1", "node-3"]
    assert [(c.place, c.original) for c in path.conntrack] == [("node-1", SENT), ("node-3", DNATED)]


@pytest.mark.parametrize("shift", [0, 1])
def test_equal_times_are_ordered_by_what_follows_what(shift: int) -> None:
    frames = [seen(hop, 10 * ((i + shift) // 2), syn(SENT if i < 2 else DNATED)) for i, hop in enumerate(THERE)]
    for seed in range(20):
        random.Random(seed).shuffle(frames)
        path = correlate.path(asked(), first(SENT, syn(SENT), FLOW), frames, [], FLOWS, 0)
        assert hops(path, "request") == THERE


def test_retransmission_and_strangers_are_left_out() -> None:
    again = way(THERE[:2], 5000, syn(SENT, ip_id=2))
    stranger = syn(packet("10.244.9.9:4000 10.96.0.22:80"))
    other = Frame(SENT, 64, 9, 0, 2, SEQ + 7, 0)
    frames = [*cross_node(), *again, seen("node-1 eth0 in", 5, stranger), seen("node-1 veth1 out", 6, other)]
    path = correlate.path(asked(), first(SENT, syn(SENT), FLOW), frames, [], FLOWS, 0)
    assert hops(path, "request") == THERE


def test_hairpin() -> None:
    """A pod reaches itself by its Service: both addresses change between two hops, DNAT before SNAT."""
    sent, after = packet("10.244.1.2:4000 10.96.0.24:80"), packet("10.244.1.1:777 10.244.1.2:8080")
    entry = flow("10.244.1.2:4000 10.96.0.24:80", "10.244.1.2:8080 10.244.1.1:777")
    there = way(
        ["client eth0 out", "node-1 v in", "node-1 v out", "client eth0 in"], 0, syn(sent), syn(sent), syn(after)
    )
    back = way(
        ["client eth0 out", "node-1 v in", "node-1 v out", "client eth0 in"],
        100,
        *[synack(after.reversed())] * 2,
        synack(sent.reversed()),
    )
    rules = [
        hit("node-1", "nat", "KUBE-SEP", 2, "-j DNAT", "DNAT"),
        hit("node-1", "nat", "KUBE-POSTROUTING", 3, "-j MASQUERADE", "MASQUERADE"),
    ]
    path = correlate.path(asked(), first(sent, syn(sent), entry), [*back, *there], rules, {"node-1": [entry]}, 0)
    between = packet("10.244.1.2:4000 10.244.1.2:8080")
    assert [(r.hook, r.before, r.after, r.rule) for r in path.rewrites] == [
        ("PREROUTING", sent, between, "-j DNAT"),
        ("POSTROUTING", between, after, "-j MASQUERADE"),
        ("PREROUTING", after.reversed(), between.reversed(), ""),
        ("POSTROUTING", between.reversed(), sent.reversed(), ""),
    ]


def test_sent_by_the_node_itself() -> None:
    """Its first frame is translated already; the reply is turned back after the last one."""
    sent, after = packet("172.18.1.11:4000 10.96.0.22:80"), packet("172.18.1.11:999 10.244.3.4:8080")
    entry = flow("172.18.1.11:4000 10.96.0.22:80", "10.244.3.4:8080 172.18.1.11:999")
    frames = [
        *way(["node-1 eth0 out", "far eth0 in"], 0, syn(after)),
        *way(["far eth0 out", "node-1 eth0 in"], 50, synack(after.reversed())),
    ]
    ask = asked("node-1", local="172.18.1.11:4000")
    back = {after: sent}
    found = correlate.first_packet(ask, frames, [], lambda p: back.get(p, p))
    assert found == (sent, syn(after))
    path = correlate.path(ask, first(*found, entry), frames, [], {"node-1": [entry]}, 0)
    assert [(r.hook, r.action) for r in path.rewrites] == [
        ("OUTPUT", "DNAT"), ("POSTROUTING", "SNAT"), ("PREROUTING", "DNAT"), ("INPUT", "SNAT"),
    ]  # fmt: skip
    assert path.rewrites[0].before == sent
    assert path.rewrites[-1].after == sent.reversed()


@pytest.mark.parametrize(
    ("target", "word", "number"),
    [("REJECT", "rejected by rule 2 of KUBE-SERVICES", 2), ("DROP", "dropped by rule 2 of KUBE-SERVICES", 2)],
)
def test_stopped_by_a_rule(target: str, word: str, number: int) -> None:
    error = Frame(Packet("10.244.1.1", "10.244.1.2", "ICMP"), 64, 3, 40, kind=(3, 3), cause=syn(SENT))
    frames = [
        *way(["client eth0 out", "node-1 v in"], 0, syn(SENT)),
        *way(["node-1 v out", "client eth0 in"], 50, error),
    ]
    rules = [hit("node-1", "filter", "KUBE-SERVICES", number, f"-j {target}", target)]
    path = correlate.path(asked(error="connection refused"), first(SENT, syn(SENT)), frames, rules, {}, 3)
    assert path.outcome == f"{word} (filter) on node-1"
    assert hops(path, "reply") == ["node-1 v out", "client eth0 in"]
    assert path.reply[0].packet.protocol == "ICMP"
    assert (path.rewrites, path.lost) == ((), 3)


@pytest.mark.parametrize(
    ("row", "outcome"),
    [
        ({"status": 503}, "503"),
        ({"error": "connection refused"}, "refused"),
        ({"error": "timed out after 2 s"}, "timeout"),
        ({"error": "the server closed the connection"}, "the server closed the connection"),
        ({}, "answered"),
    ],
)
def test_outcome(row: dict[str, object], outcome: str) -> None:
    assert correlate.path(asked(**row), first(SENT, syn(SENT)), [], [], {}, 0).outcome == outcome


def test_policy_drop_is_told() -> None:
    rules = [hit("node-1", "filter", "FORWARD", 3, "", "DROP")]
    path = correlate.path(asked(error="timed out after 2 s"), first(SENT, syn(SENT)), [], rules, {}, 0)
    assert path.outcome == "dropped by the policy of FORWARD (filter) on node-1"


def test_reset_is_a_reply() -> None:
    reset = Frame(SENT.reversed(), 64, 0, 0, RST | ACK, 0, SEQ + 1)
    frames = [*way(["client eth0 out"], 0, syn(SENT)), *way(["client eth0 in"], 50, reset)]
    path = correlate.path(asked(error="connection refused"), first(SENT, syn(SENT)), frames, [], {}, 0)
    assert (hops(path, "reply"), path.outcome) == (["client eth0 in"], "refused")


def test_udp_with_ip_id_0_is_told_from_another_flow_of_equal_length() -> None:
    mine, after = packet("10.244.1.2:4000 10.96.0.10:53", "UDP"), packet("10.244.1.2:4000 10.244.3.4:8053", "UDP")
    theirs = packet("10.244.1.7:4000 10.244.3.4:8053", "UDP")
    entry = flow("10.244.1.2:4000 10.96.0.10:53", "10.244.3.4:8053 10.244.1.2:4000", "UDP")
    frames = [
        *way(
            ["client eth0 out", "node-1 v in", "node-1 eth0 out"],
            0,
            Frame(mine, 64, 0, 5),
            Frame(mine, 64, 0, 5),
            Frame(after, 63, 0, 5),
        ),
        *way(["node-1 w in", "node-1 eth1 out"], 5, Frame(theirs, 64, 0, 5)),
        *way(
            ["node-1 eth0 in", "node-1 v out", "client eth0 in"],
            90,
            Frame(after.reversed(), 64, 0, 9),
            Frame(mine.reversed(), 63, 0, 9),
        ),
        *way(["node-1 eth1 in"], 80, Frame(theirs.reversed(), 64, 0, 9)),
    ]
    path = correlate.path(
        asked(port=53, protocol="UDP"), first(mine, Frame(mine, 64, 0, 5), entry), frames, [], {"node-1": [entry]}, 0
    )
    assert hops(path, "request") == ["client eth0 out", "node-1 v in", "node-1 eth0 out"]
    assert hops(path, "reply") == ["node-1 eth0 in", "node-1 v out", "client eth0 in"]


def test_first_packet_is_the_requests_own() -> None:
    """The same pod talks to the same Service at the same time: the row's own port decides."""
    other = syn(packet("10.244.1.2:3999 10.96.0.22:80"), ip_id=5)
    frames = [seen("client eth0 out", 0, other), seen("client eth0 out", 1, syn(SENT))]
    assert correlate.first_packet(asked(local="10.244.1.2:4000"), frames, [], lambda p: p) == (SENT, syn(SENT))
    assert correlate.first_packet(asked(), frames, [], lambda p: p)[0] == other.packet


def test_rejected_before_any_interface() -> None:
    """Only the rules saw it: their report stands in for a frame."""
    sent = packet("172.18.1.11:4000 10.96.0.30:80")
    assert correlate.first_packet(asked("node-1"), [], [syn(sent)], lambda p: p) == (sent, syn(sent))


def test_no_packet_says_why() -> None:
    with pytest.raises(TraceError, match=r"no packet for http://web left client: could not resolve web: NXDOMAIN"):
        correlate.first_packet(asked(error="could not resolve web: NXDOMAIN"), [], [], lambda p: p)
