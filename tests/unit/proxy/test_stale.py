from typing import Any

import pytest

from labkit.api.objects import EndpointSlice, Service, view
from labkit.linux.conntrack import Flow
from labkit.net.packet import Packet
from labkit.proxy.stale import stale_flows
from labkit.proxy.tracker import tracked


def dns(protocol: str = "UDP") -> Service:
    spec = {
        "type": "NodePort",
        "clusterIP": "10.96.0.10",
        "externalIPs": ["192.0.2.1"],
        "ports": [{"name": "dns", "port": 53, "protocol": protocol, "nodePort": 30053}],
    }
    return view({"metadata": {"namespace": "kube-system", "name": "kube-dns"}, "spec": spec}, Service)


def slices(*ends: dict[str, Any], protocol: str = "UDP") -> list[EndpointSlice]:
    labels = {"kubernetes.io/service-name": "kube-dns"}
    meta = {"namespace": "kube-system", "name": "kube-dns-1", "labels": labels}
    return [
        view(
            {"metadata": meta, "endpoints": list(ends), "ports": [{"name": "dns", "port": 53, "protocol": protocol}]},
            EndpointSlice,
        )
    ]


def flow(to: str, server: str, dport: int = 53, protocol: str = "UDP") -> Flow:
    original = Packet("10.244.1.5", to, protocol, 40000, dport)
    return Flow(original, Packet(server, "10.244.1.5", protocol, 53, 40000))


ALIVE = {"addresses": ["10.244.1.2"]}


@pytest.mark.parametrize(
    ("to", "dport"),
    [("10.96.0.10", 53), ("192.0.2.1", 53), ("172.18.1.2", 30053)],
    ids=["cluster", "external", "node port"],
)
def test_flow_to_a_gone_endpoint_is_stale_and_one_to_a_living_is_not(to: str, dport: int) -> None:
    gone, alive = flow(to, "10.244.1.9", dport), flow(to, "10.244.1.2", dport)
    assert stale_flows([gone, alive], tracked([dns()], slices(ALIVE)).ports) == [gone]


def test_serving_endpoints_keep_their_flows_while_they_terminate() -> None:
    leaving = {"addresses": ["10.244.1.9"], "conditions": {"ready": False, "serving": True, "terminating": True}}
    broken = {"addresses": ["10.244.1.8"], "conditions": {"ready": False, "serving": False}}
    flows = [flow("10.96.0.10", "10.244.1.9"), flow("10.96.0.10", "10.244.1.8")]
    assert stale_flows(flows, tracked([dns()], slices(ALIVE, leaving, broken)).ports) == flows[1:]


def test_what_is_not_ours_stays() -> None:
    other, tcp = flow("10.96.0.99", "10.244.1.9"), flow("10.96.0.10", "10.244.1.9", protocol="TCP")
    assert stale_flows([other, tcp], tracked([dns()], slices(ALIVE)).ports) == []
    assert stale_flows([tcp], tracked([dns("TCP")], slices(ALIVE, protocol="TCP")).ports) == []


def test_a_service_without_serving_endpoints_keeps_its_flows() -> None:
    assert stale_flows([flow("10.96.0.10", "10.244.1.9")], tracked([dns()], slices()).ports) == []
