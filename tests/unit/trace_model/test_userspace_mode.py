"""A packet in userspace mode: to the proxy process by the rules, from there to an endpoint."""

from typing import Any

import pytest

from labkit.errors import RuleError
from labkit.net.packet import Packet
from labkit.net.rules import ruleset
from labkit.proxy.mode import View
from labkit.proxy.model import Backend, Frontend, Port
from labkit.proxy.userspace.plan import UserspacePlan, plan
from labkit.trace.model.predict import predict
from labkit.trace.model.userspace import redirected

KEY = ("shop/web:http", "tcp")
VIP, OUT, HOST = "10.96.0.20", "198.51.100.7", "172.18.1.11"
ENDS = ("10.244.1.2:8080", "10.244.2.2:8080")


def planned(ends: tuple[str, ...] = ENDS, **more: Any) -> UserspacePlan:
    front = Frontend(*KEY, VIP, 80, node_port=30080, external_ips=(OUT,), **more)
    port = Port(front, tuple(Backend(end, end.partition(":")[0]) for end in ends))
    return plan(View({KEY: port}, [KEY], len(ends), "node-1", "a", (HOST,)), {KEY: 41000})


def packet(dst: str = VIP, dport: int = 80, protocol: str = "TCP") -> Packet:
    return Packet("10.244.1.9", dst, protocol, 40000, dport)


def test_each_endpoint_has_its_share_and_sees_the_node() -> None:
    found = predict(planned(), packet(), place="node-1")
    assert found.to == dict.fromkeys(ENDS, 0.5)
    assert found.masquerade is True
    chains = [hit.chain for hit in found.outcomes[0].hits]
    assert chains == ["PREROUTING", "KUBE-PORTALS-CONTAINER", "INPUT", "KUBE-NODEPORT-NON-LOCAL"]


def test_a_client_that_is_kept_has_one() -> None:
    made = planned(affinity_seconds=60)
    first = predict(made, packet())
    assert [o.remembered for o in first.outcomes] == [frozenset({f"shop/web:http -> {end}"}) for end in ENDS]
    again = predict(made, packet(), remembered=first.outcomes[1].remembered)
    assert again.to == {ENDS[1]: 1.0}
    assert predict(made, packet(), remembered={"shop/web:http -> 10.244.9.9:8080"}).to == dict.fromkeys(ENDS, 0.5)


def test_without_endpoints_the_process_takes_the_connection() -> None:
    (outcome,) = predict(planned(()), packet()).outcomes
    assert (outcome.verdict, outcome.packet.dst, outcome.packet.dport) == ("ACCEPT", HOST, 41000)


@pytest.mark.parametrize("other", [packet(dport=81), packet(protocol="UDP"), packet("10.96.0.21"), packet(HOST, 30081)])
def test_other_packets_are_left_alone(other: Packet) -> None:
    assert predict(planned(), other, node_addresses={HOST}).verdict == "UNTOUCHED"


def test_the_rules_alone_lead_to_where_the_packet_came_in() -> None:
    (pod,) = redirected(planned(), packet(), arrival="10.244.1.1", node_addresses={"10.244.1.1"}).outcomes
    assert (pod.verdict, pod.packet.dst, pod.packet.dport) == ("DNAT", "10.244.1.1", 41000)
    own = Packet(HOST, VIP, "TCP", 40000, 80)
    (node,) = redirected(planned(), own, from_node=True).outcomes
    assert (node.packet.dst, [hit.chain for hit in node.hits][:2]) == (HOST, ["OUTPUT", "KUBE-PORTALS-HOST"])


def test_a_pod_on_a_bridge_reaches_an_external_ip_only_where_the_node_has_it() -> None:
    made = planned()
    assert redirected(made, packet(OUT)).verdict == "DNAT"
    assert redirected(made, packet(OUT), bridged=True).verdict == "UNTOUCHED"
    assert redirected(made, packet(OUT), bridged=True, node_addresses={OUT}).verdict == "DNAT"


def test_an_established_connection_is_not_asked_about() -> None:
    assert predict(planned(), packet(), state="ESTABLISHED").verdict == "UNTOUCHED"


def test_redirect_is_no_guess() -> None:
    rules = ruleset({"nat": {"PREROUTING": ["-p tcp -j REDIRECT --to-ports 41000"]}})
    with pytest.raises(RuleError, match="the model is not told which"):
        predict(rules, packet())
    own = predict(rules, Packet("127.0.0.1", VIP, "TCP", 1, 80), from_node=True)
    assert own.verdict == "UNTOUCHED"
