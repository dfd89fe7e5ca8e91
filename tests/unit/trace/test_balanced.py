"""IPVS's choice among the rules that a packet met."""

import msgspec

from labkit.linux.conntrack import Flow
from labkit.net.ipvs import RealServer, VirtualServer
from labkit.net.packet import Packet
from labkit.net.path import Hop, RuleHit
from labkit.trace.balanced import with_balancing
from labkit.trace.rewrites import rewrites
from labkit.trace.rules import Evaluated

PACKET = Packet("10.244.1.2", "10.96.0.10", "TCP", 40000, 80)
SERVER = Packet("10.244.2.7", "10.244.1.2", "TCP", 8080, 40000)
WEB = VirtualServer("10.96.0.10", 80, "tcp", servers=(RealServer("10.244.2.6", 8080), RealServer("10.244.2.7", 8080)))
CHOICE = RuleHit("node-1", "ipvs", "-t 10.96.0.10:80", 2, "-a -t 10.96.0.10:80 -r 10.244.2.7:8080 -m -w 1")


def met(place: str, table: str, chain: str) -> Evaluated:
    return Evaluated(RuleHit(place, table, chain, 1, "-j ACCEPT"), "ACCEPT")


def flow(original: Packet = PACKET, reply: Packet = SERVER) -> Flow:
    return Flow(original=original, reply=reply, state="ESTABLISHED", timeout=60)


def test_the_choice_stands_between_the_hooks_of_its_node() -> None:
    first, last = met("node-1", "filter", "INPUT"), met("node-1", "nat", "POSTROUTING")
    out, other = met("node-1", "filter", "OUTPUT"), met("node-2", "filter", "OUTPUT")
    found = with_balancing([first, out, last, other], {"node-1": [flow()]}, {"node-1": [WEB]})
    assert [e.hit for e in found] == [first.hit, CHOICE, out.hit, last.hit, other.hit]
    for servers in (WEB.servers, WEB.servers[::-1]):  # the kernel's list: the server that came last is the first
        listed = msgspec.structs.replace(WEB, servers=servers)
        found = with_balancing([], {"node-1": [flow()]}, {"node-1": [listed]})
        assert [e.hit for e in found] == [CHOICE]


def test_connections_that_ipvs_did_not_balance_have_none() -> None:
    rules = [met("node-1", "filter", "INPUT")]
    for other in (
        flow(Packet("10.244.1.2", "10.96.0.10", "UDP", 40000, 80)),
        flow(Packet("10.244.1.2", "10.96.0.10", "TCP", 40000, 81)),
        flow(reply=Packet("10.244.2.9", "10.244.1.2", "TCP", 8080, 40000)),
    ):
        assert with_balancing(rules, {"node-1": [other]}, {"node-1": [WEB]}) == rules
    assert with_balancing(rules, {"node-1": [flow()]}, {}) == rules


def test_a_rewrite_by_ipvs_is_behind_input_or_at_output() -> None:
    after = SERVER.reversed()
    hops = [
        Hop("node-1", "node", "veth1", "in", PACKET, 0),
        Hop("node-1", "node", "eth0", "out", after, 1),
    ]
    chosen = [Evaluated(CHOICE, "DNAT")]
    (came,) = rewrites(PACKET, hops, [], chosen, {"node-1": [flow()]})
    assert (came.hook, came.action, came.rule) == ("INPUT", "DNAT", CHOICE.text)
    (sent,) = rewrites(PACKET, hops[1:], [], chosen, {"node-1": [flow()]})
    assert (sent.hook, sent.action, sent.rule) == ("OUTPUT", "DNAT", CHOICE.text)
