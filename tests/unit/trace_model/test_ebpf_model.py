"""The model tracer over eBPF maps: what packet flows do not say."""

from collections.abc import Mapping

from labkit.net.packet import Packet
from labkit.proxy.ebpf.plan import Address, EbpfPlan, Frontend
from labkit.trace.model.predict import predict

ENDS: tuple[Address, ...] = tuple((f"10.244.{n}.5", 8080, "tcp") for n in (1, 2, 3))
OUTSIDE = Packet("203.0.113.10", "172.18.1.11", "TCP", 40000, 30080)


def held(numbers: Mapping[Address, int] | None = None, **more: object) -> EbpfPlan:
    front = Frontend(("172.18.1.11", 30080, "tcp"), "NodePort", ENDS, **more)
    return EbpfPlan("10.244.0.0/16", {front.address: front}, frozenset({ENDS[0][0]}), numbers or {front.address: 4})


def test_maglev_shares_are_those_of_the_table_and_only_for_the_outside() -> None:
    outside = predict(held(maglev=True), OUTSIDE).to
    assert sorted(outside) == ["10.244.1.5:8080", "10.244.2.5:8080", "10.244.3.5:8080"]
    assert sorted(round(share * 1021) for share in outside.values()) == [340, 340, 341]
    inside = predict(held(maglev=True), Packet("10.244.1.9", "172.18.1.11", "TCP", 40000, 30080)).to
    assert set(inside.values()) == {1 / 3}


def test_affinity_leads_back_to_the_endpoint_that_is_remembered() -> None:
    plan = held(affinity_seconds=60)
    first = predict(plan, OUTSIDE).outcomes[2]
    again = predict(plan, OUTSIDE, remembered=first.remembered)
    assert again.to == {"10.244.3.5:8080": 1.0}
    assert len(predict(held(), OUTSIDE, remembered=first.remembered).outcomes) == 3


def test_the_hits_are_entries_of_the_map() -> None:
    outcome = predict(held(), OUTSIDE, place="node-1").outcomes[1]
    assert [(h.place, h.table, h.chain, h.number, h.text) for h in outcome.hits] == [
        ("node-1", "cilium_lb4_services_v2", "cil_from_netdev", 0,
         "172.18.1.11:30080/TCP (0) 0.0.0.0:0 (4) (0) [NodePort]"),
        ("node-1", "cilium_lb4_services_v2", "cil_from_netdev", 2,
         "172.18.1.11:30080/TCP (2) 10.244.2.5:8080/TCP (4) (2)"),
    ]  # fmt: skip
    assert outcome.masquerade
    inside = predict(held(), OUTSIDE, from_node=True).outcomes[0]
    assert {h.chain for h in inside.hits} == {"cil_sock4_connect"}


def test_ipv6_is_looked_up_in_maps_and_by_programs_of_its_own() -> None:
    front = Frontend(("::", 30080, "tcp"), "NodePort", (("fd00:10:244:1::5", 8080, "tcp"),))
    plan = EbpfPlan("fd00:10:244::/48", {front.address: front}, frozenset(), {front.address: 4})
    own = Packet("::1", "::1", "TCP", 40000, 30080)
    (outcome,) = predict(plan, own, from_node=True).outcomes
    assert (outcome.packet.dst, outcome.packet.dport, outcome.masquerade) == ("fd00:10:244:1::5", 8080, False)
    assert [(h.table, h.chain, h.text) for h in outcome.hits][1:] == [
        ("cilium_lb6_services_v2", "cil_sock6_connect", "[::]:30080/TCP (1) [fd00:10:244:1::5]:8080/TCP (4) (1)")
    ]
    assert predict(plan, own).verdict == "UNTOUCHED"  # a pod's loopback is its own


def test_a_known_connection_is_not_looked_up() -> None:
    assert predict(held(), OUTSIDE, state="ESTABLISHED").verdict == "UNTOUCHED"
