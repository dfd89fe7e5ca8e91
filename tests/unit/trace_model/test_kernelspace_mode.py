"""A packet in kernelspace mode: by the rules of the virtual switch's ports."""

from typing import Any

import pytest

from labkit.net.packet import Packet
from labkit.proxy.config import ProxyConfig, Winkernel
from labkit.proxy.kernelspace.plan import HnsPlan, plan
from labkit.proxy.mode import View
from labkit.proxy.model import Backend, Frontend, Port
from labkit.trace.model.predict import predict

KEY = ("shop/web:http", "tcp")
VIP, HOST = "10.96.0.20", "172.18.1.11"
ENDS = {"10.244.1.2:8080": "node-1", "10.244.2.2:8080": "node-2"}


def planned(dsr: bool, **more: Any) -> HnsPlan:
    front = Frontend(*KEY, VIP, 80, **more)
    port = Port(front, tuple(Backend(end, end.partition(":")[0], node) for end, node in ENDS.items()))
    config = ProxyConfig(winkernel=Winkernel(enable_dsr=dsr))
    return plan(View({KEY: port}, [KEY], 2, "node-1", "a", (HOST,)), config)


def packet(src: str = "10.244.1.9", dst: str = VIP, dport: int = 80, protocol: str = "TCP") -> Packet:
    return Packet(src, dst, protocol, 40000, dport)


@pytest.mark.parametrize(
    ("dsr", "src", "layer", "masquerade"),
    [
        (True, "10.244.1.9", "LB_DSR", False),
        (False, "10.244.1.9", "LB", True),
        (True, HOST, "LB", False),
        (True, "203.0.113.10", "LB", False),
        (False, "203.0.113.10", "LB", True),
    ],
)
def test_which_port_balances(dsr: bool, src: str, layer: str, masquerade: bool) -> None:
    found = predict(planned(dsr), packet(src), place="node-1", node_addresses={HOST}, from_node=src == HOST)
    assert found.to == dict.fromkeys(ENDS, 0.5)
    assert {hit.table for outcome in found.outcomes for hit in outcome.hits} == {layer}
    assert found.masquerade is masquerade


def test_a_pod_that_reaches_itself_sees_the_node() -> None:
    found = predict(planned(True), packet("10.244.1.2"))
    assert {o.packet.dst: o.masquerade for o in found.outcomes} == {"10.244.1.2": True, "10.244.2.2": False}


def test_a_hash_of_the_source_always_falls_on_the_same_endpoint() -> None:
    made = planned(True, affinity_seconds=60)
    first = predict(made, packet())
    for outcome in first.outcomes:
        again = predict(made, packet(), remembered=outcome.remembered)
        assert list(again.to) == [f"{outcome.packet.dst}:8080"]
    assert all(not o.remembered for o in predict(planned(True), packet()).outcomes)


@pytest.mark.parametrize(
    "other", [packet(dport=81), packet(protocol="UDP"), packet(dst="10.96.0.21"), packet(dst=HOST)]
)
def test_other_packets_are_left_alone(other: Packet) -> None:
    assert predict(planned(True), other).verdict == "UNTOUCHED"


def test_an_established_connection_is_not_balanced_again() -> None:
    assert predict(planned(True), packet(), state="ESTABLISHED").verdict == "UNTOUCHED"
