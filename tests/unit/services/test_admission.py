"""Services as the API server completes, keeps and refuses them."""

from __future__ import annotations

import ipaddress

import pytest

from labkit.control.admission import Admission
from labkit.control.apply import apply
from labkit.control.store import Store, copy
from labkit.errors import ApiError
from labkit.services.admission import ServiceAdmission

TAKEN = "provided IP is already allocated"


def spec_of(admission, name="web"):
    return admission.store.get("Service", "default", name)["spec"]


def refused(admission, raw, verb="create"):
    with pytest.raises(ApiError) as error:
        getattr(admission, verb)(raw)
    assert error.value.details["status"]["code"] == 422
    return error.value.message.partition(" is invalid: ")[2]


def test_address_is_drawn(admission, service):
    spec = admission.create(service())["spec"]
    assert ipaddress.ip_address(spec["clusterIP"]) in ipaddress.ip_network("10.96.0.0/12")
    assert spec["clusterIPs"] == [spec["clusterIP"]]
    assert (spec["ipFamilies"], spec["ipFamilyPolicy"]) == (["IPv4"], "SingleStack")


def test_draws_depend_on_the_service_alone(admission, service):
    alone = admission.create(service())["spec"]["clusterIP"]
    store = Store(1)
    other = Admission(store)
    ServiceAdmission(store).register(other)
    other.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "default"}})
    other.create(service("first"))
    assert other.create(service())["spec"]["clusterIP"] == alone
    store.delete("Service", "default", "web")
    assert other.create(service())["spec"]["clusterIP"] != alone


def test_asked_address(admission, service):
    assert admission.create(service(clusterIP="10.96.0.10"))["spec"]["clusterIPs"] == ["10.96.0.10"]
    assert refused(admission, service("b", clusterIP="10.96.0.10")) == (
        f'spec.clusterIPs: Invalid value: ["10.96.0.10"]: failed to allocate IP 10.96.0.10: {TAKEN}'
    )
    assert refused(admission, service("b", clusterIP="10.1.1.1")) == (
        'spec.clusterIPs: Invalid value: ["10.1.1.1"]: failed to allocate IP 10.1.1.1: '
        "the provided network does not match the current range"
    )
    admission.store.delete("Service", "default", "web")
    assert admission.create(service("b", clusterIP="10.96.0.10"))


def test_two_of_one_list_cannot_share_an_address(admission, service):
    with pytest.raises(ApiError) as error:
        apply(admission, [service("a", clusterIP="10.96.0.10"), service("b", clusterIP="10.96.0.10")])
    assert [entry["index"] for entry in error.value.details["refused"]] == [1]
    assert admission.store.list("Service") == ()


def test_headless_and_external_name(admission, service):
    assert admission.create(service("h", clusterIP="None"))["spec"]["clusterIPs"] == ["None"]
    assert admission.create(service("h2", clusterIP="None"))
    external = service("e", type="ExternalName", externalName="example.org")
    del external["spec"]["ports"], external["spec"]["selector"]
    assert "clusterIP" not in admission.create(external)["spec"]


def test_range_full(small, service):
    addresses = {small.create(service(f"s{i}"))["spec"]["clusterIP"] for i in range(6)}
    assert addresses == {f"10.0.0.{last}" for last in range(1, 7)}
    with pytest.raises(ApiError) as error:
        small.create(service("s7"))
    assert error.value.message == "Internal error occurred: failed to allocate a serviceIP: range is full"
    assert error.value.details["status"]["code"] == 500
    small.store.delete("Service", "default", "s3")
    assert small.create(service("s7"))["spec"]["clusterIP"] in addresses


def test_update_keeps_the_address(admission, service):
    before = copy(admission.create(service()))
    after = admission.replace(service(ports=[{"port": 81}]))
    assert after["spec"]["clusterIP"] == before["spec"]["clusterIP"]
    assert after["spec"]["ports"][0]["port"] == 81


@pytest.mark.parametrize("address", ["10.96.0.77", "None"])
def test_address_may_not_change(admission, service, address):
    created = admission.create(service())
    expected = f'spec.clusterIPs[0]: Invalid value: ["{address}"]: may not change once set'
    assert refused(admission, service(clusterIP=address), "replace") == expected
    both = {**created, "spec": {**created["spec"], "clusterIP": address}}  # as apply merges it
    assert refused(admission, both, "replace") == expected


def test_type_decides_what_stays(admission, service):
    cluster_ip = admission.create(service(type="NodePort"))["spec"]["clusterIP"]
    node_port = spec_of(admission)["ports"][0]["nodePort"]
    assert 30086 <= node_port <= 32767
    assert spec_of(admission)["externalTrafficPolicy"] == "Cluster"

    applied = {**admission.store.get("Service", "default", "web")}
    applied["spec"] = {**applied["spec"], "type": "ClusterIP"}
    spec = admission.replace(applied)["spec"]
    assert "nodePort" not in spec["ports"][0] and "externalTrafficPolicy" not in spec
    assert spec["clusterIP"] == cluster_ip

    external = {**applied, "spec": {**spec, "type": "ExternalName", "externalName": "example.org"}}
    del external["metadata"]
    external["metadata"] = {"name": "web", "namespace": "default"}
    spec = admission.replace(external)["spec"]
    assert "clusterIP" not in spec and "clusterIPs" not in spec
    assert admission.create(service("other", clusterIP=cluster_ip))  # it is free again

    back = admission.replace(service())["spec"]
    assert back["clusterIP"] not in ("", cluster_ip)


def test_node_ports(admission, service):
    asked = service(type="NodePort", ports=[{"port": 80, "nodePort": 30080, "name": "a"}, {"port": 81, "name": "b"}])
    ports = admission.create(asked)["spec"]["ports"]
    assert ports[0]["nodePort"] == 30080
    kept = ports[1]["nodePort"]
    taken = "spec.ports[0].nodePort: Invalid value: 30080: provided port is already allocated"
    assert refused(admission, service("x", type="NodePort", ports=[{"port": 1, "nodePort": 30080}])) == taken
    outside = refused(admission, service("x", type="NodePort", ports=[{"port": 1, "nodePort": 80}]))
    assert "spec.ports[0].nodePort: Invalid value: 80:" in outside and "30000-32767" in outside
    renumbered = service(type="NodePort", ports=[{"port": 8081, "name": "b"}])
    assert admission.replace(renumbered)["spec"]["ports"][0]["nodePort"] == kept
    assert admission.create(service("x", type="NodePort", ports=[{"port": 1, "nodePort": 30080}]))


def test_protocols_of_one_port_share_a_node_port(admission, service):
    dns = [{"name": "dns", "port": 53, "protocol": "UDP"}, {"name": "dns-tcp", "port": 53}, {"name": "m", "port": 9153}]
    ports = admission.create(service(type="LoadBalancer", ports=dns))["spec"]["ports"]
    assert ports[0]["nodePort"] == ports[1]["nodePort"] != ports[2]["nodePort"]


def test_load_balancer_without_node_ports_and_with_health_check(admission, service):
    spec = admission.create(service(type="LoadBalancer", allocateLoadBalancerNodePorts=False))["spec"]
    assert "nodePort" not in spec["ports"][0]
    local = admission.create(service("l", type="LoadBalancer", externalTrafficPolicy="Local"))["spec"]
    assert 30000 <= local["healthCheckNodePort"] <= 32767
    again = admission.replace(service("l", type="LoadBalancer", externalTrafficPolicy="Local"))["spec"]
    assert again == local


def test_families(admission, service):
    why = "this cluster is not configured for dual-stack services"
    assert why in refused(admission, service(ipFamilyPolicy="RequireDualStack"))
    assert refused(admission, service(ipFamilies=["IPv6"])) == (
        'spec.ipFamilies[0]: Invalid value: "IPv6": not configured on this cluster'
    )
    assert admission.create(service(ipFamilyPolicy="PreferDualStack"))["spec"]["ipFamilies"] == ["IPv4"]


def test_apply_twice_changes_nothing(admission, service):
    for raw in (service(type="NodePort"), service("h", clusterIP="None"), service("l", type="LoadBalancer")):
        assert apply(admission, [raw])[0]["result"] == "created"
        assert apply(admission, [raw])[0]["result"] == "unchanged"


def test_apply_of_another_address(admission, service):
    apply(admission, [service()])
    with pytest.raises(ApiError, match="may not change once set"):
        apply(admission, [service(clusterIP="10.96.0.77")])


@pytest.mark.parametrize("spec", [None, {}, {"ports": []}, {"clusterIP": "x", "ports": [{"port": 1}]}, {"ports": [{}]}])
def test_garbage_is_refused_not_crashed_on(admission, spec):
    with pytest.raises(ApiError):
        admission.create({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}, "spec": spec})
