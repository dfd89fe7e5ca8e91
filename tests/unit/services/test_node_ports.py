"""Node ports: asked for, drawn, kept, released, refused, exhausted."""

from __future__ import annotations

import pytest

from labkit.control.apply import apply
from labkit.errors import ApiError

from .conftest import new_admission

TAKEN = "provided port is already allocated"
LOCAL = {"type": "LoadBalancer", "externalTrafficPolicy": "Local"}


def ports_of(raw):
    return [port.get("nodePort") for port in raw["spec"]["ports"]]


def refused(call, code, raw):
    with pytest.raises(ApiError) as error:
        call(raw)
    assert error.value.details["status"]["code"] == code
    return error.value.message.partition(": ")[2]


def test_a_range_of_two_ports_is_exhausted_by_two(two_ports, service):
    drawn = {ports_of(two_ports.create(service(name, type="NodePort")))[0] for name in ("a", "b")}
    assert drawn == {30000, 30001}
    assert refused(two_ports.create, 500, service("c", type="NodePort")) == (
        "failed to allocate a nodePort: range is full"
    )
    assert two_ports.store.find("Service", "default", "c") is None
    with pytest.raises(ApiError, match="range is full"):
        apply(two_ports, [service("c", type="NodePort")])
    two_ports.store.delete("Service", "default", "a")
    assert ports_of(two_ports.create(service("c", type="NodePort")))[0] in drawn


def test_a_service_that_needs_more_than_is_left_takes_nothing(two_ports, service):
    wanted = [{"name": name, "port": port} for name, port in (("a", 1), ("b", 2), ("c", 3))]
    assert "range is full" in refused(two_ports.create, 500, service(type="NodePort", ports=wanted))
    assert ports_of(two_ports.create(service(type="NodePort", ports=wanted[:2]))) in ([30000, 30001], [30001, 30000])


def test_health_checks_take_from_the_same_range(two_ports, service):
    spec = two_ports.create(service(**LOCAL))["spec"]
    assert {spec["healthCheckNodePort"], spec["ports"][0]["nodePort"]} == {30000, 30001}
    two_ports.store.delete("Service", "default", "web")
    two_ports.create(service("a", type="NodePort"))
    assert refused(two_ports.create, 500, service(**LOCAL, ports=[{"port": 80}])) == (
        "failed to allocate a HealthCheck NodePort 0: range is full"
    )


@pytest.mark.parametrize("asked", [29999, 30002, 80, 65535])
def test_a_port_outside_the_range(two_ports, service, asked):
    why = "provided port is not in the valid range. The range of valid ports is 30000-30001"
    raw = service(type="NodePort", ports=[{"port": 80, "nodePort": asked}])
    assert refused(two_ports.create, 422, raw).endswith(f"spec.ports[0].nodePort: Invalid value: {asked}: {why}")


def test_the_static_band_is_left_to_those_who_ask(admission, service):
    drawn = {ports_of(admission.create(service(f"s{n}", type="NodePort")))[0] for n in range(60)}
    assert len(drawn) == 60 and min(drawn) >= 30000 + 86
    assert ports_of(admission.create(service("fixed", type="NodePort", ports=[{"port": 1, "nodePort": 30001}]))) == [
        30001
    ]


def test_when_the_dynamic_band_is_full_the_static_one_helps_out(service):
    admission = new_admission((30000, 30031))  # 16 and 16
    drawn = [ports_of(admission.create(service(f"s{n}", type="NodePort")))[0] for n in range(32)]
    assert set(drawn[:16]) == set(range(30016, 30032)) and set(drawn[16:]) == set(range(30000, 30016))


@pytest.mark.parametrize(
    "after",
    [
        {"type": "ClusterIP"},
        {"type": "ExternalName", "externalName": "example.org"},
    ],
)
def test_a_type_without_node_ports_releases_them(two_ports, service, after):
    before = two_ports.create(service(**LOCAL))["spec"]
    changed = {**two_ports.store.get("Service", "default", "web")}
    changed["spec"] = {**changed["spec"], **after}
    spec = two_ports.replace(changed)["spec"]
    assert "nodePort" not in spec["ports"][0]
    assert not spec.keys() & {"healthCheckNodePort", "externalTrafficPolicy", "allocateLoadBalancerNodePorts"}
    both = [
        {"name": "a", "port": 1, "nodePort": before["healthCheckNodePort"]},
        {"name": "b", "port": 2, "nodePort": before["ports"][0]["nodePort"]},
    ]
    two_ports.create(service("next", type="NodePort", ports=both))


def test_from_node_port_to_load_balancer_and_back_the_port_stays(admission, service):
    port = ports_of(admission.create(service(type="NodePort")))
    assert ports_of(admission.replace(service(type="LoadBalancer"))) == port
    assert ports_of(admission.replace(service(type="NodePort"))) == port


def test_a_client_that_changes_the_port_itself_gets_it(admission, service):
    admission.create(service(type="NodePort", ports=[{"port": 80, "nodePort": 30080}]))
    moved = admission.replace(service(type="NodePort", ports=[{"port": 80, "nodePort": 30081}]))
    assert ports_of(moved) == [30081]
    admission.create(service("next", type="NodePort", ports=[{"port": 80, "nodePort": 30080}]))
    back = service(type="NodePort", ports=[{"port": 80, "nodePort": 30080}])
    assert refused(admission.replace, 422, back).endswith(f"spec.ports[0].nodePort: Invalid value: 30080: {TAKEN}")


def test_node_ports_of_a_cluster_ip_service_are_refused(admission, service):
    raw = service(ports=[{"port": 80, "nodePort": 30080}])
    assert "spec.ports[0].nodePort: Forbidden: may not be used when `type` is 'ClusterIP'" in refused(
        admission.create, 422, raw
    )


def test_one_node_port_for_two_ports_of_one_service(admission, service):
    dns = [
        {"name": "udp", "port": 53, "protocol": "UDP", "nodePort": 30053},
        {"name": "tcp", "port": 53, "nodePort": 30053},
    ]
    assert ports_of(admission.create(service("dns", type="NodePort", ports=dns))) == [30053, 30053]
    two = [{"name": "a", "port": 1, "protocol": "UDP", "nodePort": 30054}, {"name": "b", "port": 2, "nodePort": 30054}]
    assert refused(admission.create, 422, service("two", type="NodePort", ports=two)).endswith(
        f"spec.ports[1].nodePort: Invalid value: 30054: {TAKEN}"
    )


def test_a_health_check_port_that_is_asked_for(admission, service):
    asked = service(**LOCAL, healthCheckNodePort=31000)
    assert admission.create(asked)["spec"]["healthCheckNodePort"] == 31000
    assert refused(admission.create, 500, service("b", **LOCAL, healthCheckNodePort=31000)) == (
        f"failed to allocate requested HealthCheck NodePort 31000: {TAKEN}"
    )
    same = service("b", **LOCAL, healthCheckNodePort=31001, ports=[{"port": 80, "nodePort": 31001}])
    assert TAKEN in refused(admission.create, 500, same)
    assert refused(admission.replace, 422, service(**LOCAL, healthCheckNodePort=31002)).endswith(
        "spec.healthCheckNodePort: Invalid value: 31002: field is immutable"
    )
    cluster = {**LOCAL, "externalTrafficPolicy": "Cluster"}
    assert "healthCheckNodePort" not in admission.replace(service(**cluster))["spec"]
    assert admission.replace(service(**LOCAL))["spec"]["healthCheckNodePort"] != 0


def test_a_class_of_load_balancers_may_not_change(admission, service):
    admission.create(service(type="LoadBalancer", loadBalancerClass="example.com/a"))
    other = service(type="LoadBalancer", loadBalancerClass="example.com/b")
    assert refused(admission.replace, 422, other).endswith(
        'spec.loadBalancerClass: Invalid value: "example.com/b": may not change once set'
    )
    assert (
        "loadBalancerClass"
        not in admission.replace({**service(), "spec": {**service()["spec"], "loadBalancerClass": "example.com/a"}})[
            "spec"
        ]
    )


def test_a_service_that_is_no_load_balancer_any_more_has_no_status_of_one(admission, service):
    admission.create(service(type="LoadBalancer"))
    status = {"loadBalancer": {"ingress": [{"ip": "198.51.100.1", "ipMode": "VIP"}]}}
    admission.store.replace_status({**admission.store.get("Service", "default", "web"), "status": status})
    assert admission.replace(service(type="LoadBalancer"))["status"] == status
    assert admission.replace(service(type="NodePort"))["status"] == {"loadBalancer": {}}
