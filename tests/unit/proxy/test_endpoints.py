"""Endpoint selection against kube-proxy's topology tests, and the reading of Services and slices."""

from typing import Any

import pytest
from selection import SELECTIONS, selection_view

from labkit.api.objects import EndpointSlice, Service, view
from labkit.proxy.endpoints import select
from labkit.proxy.model import Backend, backends, frontends


@pytest.mark.parametrize("case", SELECTIONS, ids=lambda c: c["id"])
def test_selection(case: dict[str, Any]) -> None:
    wanted, node = case["expect"], selection_view(case)
    (port,) = node.ports.values()
    found = select(port.frontend, port.backends, node.node, node.zone)

    def addresses(chosen: tuple[Backend, ...] | None) -> list[str] | None:
        return None if chosen is None else sorted(b.address for b in chosen)

    def expected(key: str) -> list[str] | None:
        return None if wanted[key] is None else sorted(wanted[key])

    assert addresses(found.cluster) == expected("cluster_endpoints")
    assert addresses(found.local) == expected("local_endpoints")
    assert addresses(found.reachable) == (expected("all_reachable") or [])
    assert found.anywhere == wanted["has_any_endpoints"]


def service(**spec: Any) -> Service:
    spec = {"clusterIP": "10.96.0.20", "ports": [{"port": 80}], **spec}
    return view({"metadata": {"namespace": "ns", "name": "svc"}, "spec": spec}, Service)


@pytest.mark.parametrize(
    "spec", [{"clusterIP": "None"}, {"clusterIP": ""}, {"type": "ExternalName", "externalName": "x"}]
)
def test_services_without_a_cluster_ip_have_no_frontends(spec: dict[str, Any]) -> None:
    assert frontends(service(**{"clusterIP": "", **spec}), "IPv4") == []


@pytest.mark.parametrize("label", ["service.kubernetes.io/service-proxy-name", "service.kubernetes.io/headless"])
def test_services_of_another_proxy_are_left_alone(label: str) -> None:
    labelled = view(
        {"metadata": {"labels": {label: ""}}, "spec": {"clusterIP": "10.96.0.20", "ports": [{"port": 80}]}}, Service
    )
    assert frontends(labelled, "IPv4") == []


def test_dual_stack_service_has_a_frontend_in_each_family() -> None:
    both = service(clusterIPs=["10.96.0.20", "fd00::20"], externalIPs=["192.0.2.1", "2001:db8::1"])
    assert [(f.cluster_ip, f.external_ips) for f in frontends(both, "IPv4")] == [("10.96.0.20", ("192.0.2.1",))]
    assert [(f.cluster_ip, f.external_ips) for f in frontends(both, "IPv6")] == [("fd00::20", ("2001:db8::1",))]


def test_external_policy_and_health_port_count_only_for_types_that_have_them() -> None:
    (plain,) = frontends(service(externalTrafficPolicy="Local", healthCheckNodePort=30000), "IPv4")
    assert (plain.external_local, plain.health_check_port) == (False, 0)
    (node,) = frontends(service(type="NodePort", externalTrafficPolicy="Local", healthCheckNodePort=30000), "IPv4")
    assert (node.external_local, node.health_check_port) == (True, 0)
    (load,) = frontends(service(type="LoadBalancer", externalTrafficPolicy="Local", healthCheckNodePort=30000), "IPv4")
    assert (load.external_local, load.health_check_port) == (True, 30000)


def test_slices_merge_and_the_local_entry_of_a_double_address_wins() -> None:
    def part(name: str, node: str, **more: Any) -> EndpointSlice:
        labels = {"kubernetes.io/service-name": "svc"}
        end = {"addresses": ["10.244.1.5"], "nodeName": node}
        ports = [{"name": "http", "port": 8080}, {"name": "none"}]
        made = {"metadata": {"namespace": "ns", "name": name, "labels": labels}, "endpoints": [end], "ports": ports}
        return view({**made, **more}, EndpointSlice)

    slices = [part("a", "node-2"), part("b", "node-1"), part("c", "node-2"), part("d", "node-1", addressType="IPv6")]
    ((key, found),) = backends(slices, "IPv4").items()
    assert key == ("ns/svc:http", "tcp")
    here = Backend(address="10.244.1.5:8080", ip="10.244.1.5", node="node-1")
    (port,) = frontends(service(internalTrafficPolicy="Local", ports=[{"name": "http", "port": 80}]), "IPv4")
    assert select(port, found, "node-1", "").local == (here,)
    assert [b.address for b in select(port, found, "node-3", "").reachable] == []
