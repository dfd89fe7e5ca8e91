"""Endpoints, the older API: subsets packed, sorted, truncated."""

from __future__ import annotations

from labkit.api import schema, validation
from labkit.api.objects import EndpointAddress, EndpointSubset
from labkit.control.store import copy
from labkit.endpoints.legacy import HEADLESS, OVER_CAPACITY, plan, subsets, truncated


def shown(packed):
    return [
        ([a.ip for a in s.addresses], [a.ip for a in s.not_ready_addresses], [(p.name, p.port) for p in s.ports])
        for s in packed
    ]


def test_ready_and_not_ready(service, pod):
    packed = subsets(service(), [pod(2), pod(1), pod(3, ready=False), pod(4, terminating=True), pod(5, ips=())])
    assert shown(packed) == [(["10.244.0.2", "10.244.0.3"], ["10.244.0.4"], [("http", 8080)])]
    address = packed[0].addresses[0]
    assert (address.node_name, address.target_ref.name) == ("node-1", "pod-001")


def test_publish_not_ready_addresses(service, pod):
    packed = subsets(service(publishNotReadyAddresses=True), [pod(1, ready=False), pod(2, terminating=True)])
    assert shown(packed) == [(["10.244.0.2", "10.244.0.3"], [], [("http", 8080)])]


def test_repacking_by_ports(service, pod):
    """Ports with the same addresses share a subset; others have their own."""
    ports = [
        {"name": "a", "port": 1, "targetPort": "web"},
        {"name": "b", "port": 2, "targetPort": "web"},
        {"name": "c", "port": 3, "targetPort": 9},
    ]
    pods = [pod(1, ports={"web": 80}), pod(2, ports={"web": 81})]
    assert shown(subsets(service(ports=ports), pods)) == [
        (["10.244.0.2"], [], [("a", 80), ("b", 80)]),
        (["10.244.0.3"], [], [("a", 81), ("b", 81)]),
        (["10.244.0.2", "10.244.0.3"], [], [("c", 9)]),
    ]


def test_headless_without_ports(service, pod):
    headless = service(clusterIP="None", ports=[])
    assert shown(subsets(headless, [pod(1, hostname="db-0", subdomain="web")])) == [(["10.244.0.2"], [], [])]
    raw = plan(headless, [pod(1, hostname="db-0", subdomain="web")])
    assert raw["metadata"]["labels"][HEADLESS] == ""
    assert raw["subsets"][0]["addresses"][0]["hostname"] == "db-0"
    assert "ports" not in raw["subsets"][0]


def test_raw_is_what_the_api_accepts(service, pod):
    raw = copy(plan(service(labels={"team": "x"}), [pod(1)]))
    assert schema.problems(raw) == []
    assert validation.problems(raw) == []
    assert raw["metadata"]["labels"] == {"team": "x", "endpoints.kubernetes.io/managed-by": "endpoint-controller"}
    assert raw["subsets"][0]["ports"] == [{"name": "http", "port": 8080, "protocol": "TCP"}]
    assert "subsets" not in plan(service(), [])


def test_order_of_pods_does_not_matter(service, pod):
    pods = [pod(number, ready=number % 3 > 0, ports={"http": 80 + number % 2}) for number in range(20)]
    wanted = service(ports=[{"name": "http", "port": 80, "targetPort": "http"}])
    assert plan(wanted, pods) == plan(wanted, pods[::-1])


def addresses(start, count):
    return tuple(EndpointAddress(ip=f"10.0.{n // 250}.{n % 250}") for n in range(start, start + count))


def counts(packed):
    return [(len(s.addresses), len(s.not_ready_addresses)) for s in packed]


def test_truncation(service, pod):
    packed = [
        EndpointSubset(addresses=addresses(0, 300), not_ready_addresses=addresses(300, 600)),
        EndpointSubset(addresses=addresses(1000, 300), not_ready_addresses=addresses(1300, 200)),
    ]
    assert counts(truncated(packed)) == [(300, 300), (300, 100)]
    packed = [EndpointSubset(addresses=addresses(0, 1500)), EndpointSubset(addresses=addresses(2000, 500))]
    assert counts(truncated(packed)) == [(750, 0), (250, 0)]
    raw = plan(service(), [pod(number) for number in range(1001)])
    assert len(raw["subsets"][0]["addresses"]) == 1000
    assert raw["metadata"]["annotations"] == {OVER_CAPACITY: "truncated"}
    assert "annotations" not in plan(service(), [pod(number) for number in range(1000)])["metadata"]
