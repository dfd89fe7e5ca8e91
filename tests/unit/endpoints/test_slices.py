"""EndpointSlices of a Service, as the real controller of v1.34 makes them."""

from __future__ import annotations

import itertools

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labkit.api import own, schema, validation
from labkit.api.objects import EndpointConditions, EndpointPort, ForNode, ForZone, TargetRef
from labkit.control.store import copy
from labkit.endpoints.slices import HEADLESS, MANAGED_BY, SERVICE_NAME, plan, to_raw

from .conftest import new_node, new_pod, new_service

SUFFIXES = itertools.count()


def stored(planned):
    """The planned slices as the store gives them back: with names."""
    made = []
    for wanted in planned:
        name = wanted.name or f"{wanted.service}-{next(SUFFIXES):06}"
        made.append(msgspec.structs.replace(wanted, metadata=msgspec.structs.replace(wanted.metadata, name=name)))
    return made


def addresses(*planned):
    return [endpoint.addresses[0] for wanted in planned for endpoint in wanted.endpoints]


def test_one_slice(service, pod, nodes):
    (planned,) = plan(service(labels={"team": "x"}), [pod(1), pod(2, nodeName="node-2")], nodes, [])
    assert planned.name == "" and planned.metadata.generate_name == "web-"
    assert planned.metadata.labels == {
        "team": "x", SERVICE_NAME: "web", MANAGED_BY: "endpointslice-controller.k8s.io",
    }  # fmt: skip
    (owner,) = planned.metadata.owner_references
    assert (owner.kind, owner.name, owner.uid, owner.controller) == ("Service", "web", "uid-web", True)
    assert (planned.address_type, planned.ports) == ("IPv4", (EndpointPort(name="http", port=8080),))
    first, second = planned.endpoints
    assert first.addresses == ("10.244.0.2",)
    assert first.conditions == EndpointConditions(ready=True, serving=True, terminating=False)
    assert first.target_ref == TargetRef(kind="Pod", namespace="default", name="pod-001", uid="uid-1")
    assert [(e.node_name, e.zone) for e in (first, second)] == [("node-1", "a"), ("node-2", "b")]


def test_weights_of_pods_are_handed_on_and_taken_back(service, pod, nodes):
    heavy, odd = {own.WEIGHT: "3"}, {own.WEIGHT: "many, 10.9.9.9=5"}
    pods = [pod(1, annotations=heavy), pod(2), pod(3, annotations=odd)]
    (made,) = stored(plan(service(), pods, nodes, []))
    assert made.metadata.annotations == {own.WEIGHT: "10.244.0.2=3"}
    kept = msgspec.structs.replace(made.metadata, annotations={"team": "x", **made.metadata.annotations})
    (after,) = plan(service(), [pod(1), pod(2)], nodes, [msgspec.structs.replace(made, metadata=kept)])
    assert after.metadata.annotations == {"team": "x"}


def test_raw_is_what_the_api_accepts(service, pod, nodes):
    for planned in plan(service(), [pod(1)], nodes, []) + plan(service(), [], nodes, []):
        raw = copy(to_raw(planned))
        raw["metadata"]["name"] = "web-abcde"
        assert schema.problems(raw) == []
        assert validation.problems(raw) == []
    assert raw["ports"] == [] and raw["endpoints"] == []


@pytest.mark.parametrize(
    ("ready", "terminating", "publish", "conditions"),
    [
        (True, False, False, (True, True, False)),
        (False, False, False, (False, False, False)),
        (True, True, False, (False, True, True)),
        (False, True, False, (False, False, True)),
        (False, False, True, (True, False, False)),
        (True, True, True, (True, True, True)),
    ],
)
def test_conditions(service, pod, nodes, ready, terminating, publish, conditions):
    (planned,) = plan(
        service(publishNotReadyAddresses=publish), [pod(1, ready=ready, terminating=terminating)], nodes, []
    )
    found = planned.endpoints[0].conditions
    assert (found.ready, found.serving, found.terminating) == conditions


def test_who_is_left_out(service, pod, nodes):
    pods = [
        pod(1, ips=()),
        pod(2, phase="Succeeded"),
        pod(3, phase="Failed"),
        pod(4, labels={"app": "other"}),
        pod(5, nodeName="gone"),
    ]
    (planned,) = plan(service(), pods, nodes, [])
    assert planned.endpoints == () and planned.ports == ()
    (planned,) = plan(service(publishNotReadyAddresses=True), pods, nodes, [])
    assert addresses(planned) == ["10.244.0.6"]


def test_named_target_port_differs_by_pod(service, pod, nodes):
    pods = [pod(1, ports={"web": 80}), pod(2, ports={"web": 8080}), pod(3, ports={"web": 80}), pod(4, ports={})]
    wanted = service(ports=[{"name": "http", "port": 80, "targetPort": "web"}])
    by_port = {tuple(p.port for p in s.ports): addresses(s) for s in plan(wanted, pods, nodes, [])}
    assert by_port == {(80,): ["10.244.0.2", "10.244.0.4"], (8080,): ["10.244.0.3"], (): ["10.244.0.5"]}


def test_named_port_needs_the_protocol(service, pod, nodes):
    wanted = service(ports=[{"name": "dns", "port": 53, "protocol": "UDP", "targetPort": "http"}])
    (planned,) = plan(wanted, [pod(1)], nodes, [])
    assert planned.ports == ()


def test_several_ports_in_one_slice(service, pod, nodes):
    ports = [
        {"name": "a", "port": 80, "targetPort": 1},
        {"name": "b", "port": 81, "targetPort": 2, "appProtocol": "h2c"},
    ]
    (planned,) = plan(service(ports=ports), [pod(1)], nodes, [])
    assert planned.ports == (EndpointPort(name="a", port=1), EndpointPort(name="b", port=2, app_protocol="h2c"))


def test_headless(service, pod, nodes):
    headless = service(clusterIP="None", ports=[])
    (planned,) = plan(headless, [pod(1, hostname="db-0", subdomain="web"), pod(2, hostname="db-1")], nodes, [])
    assert planned.metadata.labels[HEADLESS] == "" and planned.ports == ()
    assert [endpoint.hostname for endpoint in planned.endpoints] == ["db-0", ""]


@pytest.mark.parametrize(
    ("distribution", "zones", "for_nodes"),
    [("PreferClose", "a", ""), ("PreferSameZone", "a", ""), ("PreferSameNode", "a", "node-1"), (None, "", "")],
)
def test_hints(service, pod, nodes, distribution, zones, for_nodes):
    wanted = service(trafficDistribution=distribution)
    pods = [pod(1), pod(2, ready=False), pod(3, nodeName="node-3")]
    (planned,) = plan(wanted, pods, nodes, [])
    hints = [endpoint.hints for endpoint in planned.endpoints]
    if not distribution:
        assert hints == [None, None, None]
        return
    assert hints[0].for_zones == (ForZone(name=zones),)
    assert hints[0].for_nodes == ((ForNode(name=for_nodes),) if for_nodes else ())
    assert hints[1] is None
    assert (hints[2] is None) == (not for_nodes)  # a node without a zone


def test_families(service, pod, nodes):
    pods = [pod(1, ips=("10.244.0.1", "fd00::1")), pod(2, ips=("10.244.0.2",))]
    by_family = {s.address_type: addresses(s) for s in plan(service(ipFamilies=["IPv4", "IPv6"]), pods, nodes, [])}
    assert by_family == {"IPv4": ["10.244.0.1", "10.244.0.2"], "IPv6": ["fd00::1"]}


def test_at_most_a_hundred(service, pod, nodes):
    planned = plan(service(), [pod(number) for number in range(250)], nodes, [])
    assert [len(s.endpoints) for s in planned] == [100, 100, 50]


def test_unchanged_is_equal(service, pod, nodes):
    existing = stored(plan(service(), [pod(1), pod(2)], nodes, []))
    assert list(plan(service(), [pod(2), pod(1)], nodes, existing)) == existing


def test_new_pod_fills_the_existing_slice(service, pod, nodes):
    existing = stored(plan(service(), [pod(2)], nodes, []))
    (planned,) = plan(service(), [pod(1), pod(2)], nodes, existing)
    assert planned.name == existing[0].name
    assert addresses(planned) == ["10.244.0.3", "10.244.0.2"]  # what was there stays in its place


def test_label_change_reaches_the_slice(service, pod, nodes):
    existing = stored(plan(service(), [pod(1)], nodes, []))
    (planned,) = plan(service(labels={"team": "y"}), [pod(1)], nodes, existing)
    assert planned.metadata.labels["team"] == "y" and planned.name == existing[0].name


def test_placeholder_is_reused_both_ways(service, pod, nodes):
    empty = stored(plan(service(), [], nodes, []))
    assert list(plan(service(), [], nodes, empty)) == empty
    full = plan(service(), [pod(1)], nodes, empty)
    assert [(s.name, len(s.endpoints)) for s in full] == [(empty[0].name, 1)]
    assert [(s.name, len(s.endpoints), s.ports) for s in plan(service(), [], nodes, full)] == [(empty[0].name, 0, ())]


def test_target_port_change_reuses_the_slice(service, pod, nodes):
    existing = stored(plan(service(), [pod(1)], nodes, []))
    moved = service(ports=[{"name": "http", "port": 80, "targetPort": 9090}])
    (planned,) = plan(moved, [pod(1)], nodes, existing)
    assert (planned.name, planned.ports[0].port) == (existing[0].name, 9090)


def test_slices_of_an_older_service_of_that_name_are_left_to_go(service, pod, nodes):
    existing = stored(plan(service(), [pod(1)], nodes, []))
    reborn = msgspec.structs.replace(service(), metadata=msgspec.structs.replace(service().metadata, uid="other"))
    (planned,) = plan(reborn, [pod(1)], nodes, existing)
    assert planned.name == ""


PODS = st.lists(
    st.builds(
        lambda number, ready, terminating, port, node: new_pod(
            number, ready=ready, terminating=terminating, ports={"web": port}, nodeName=node
        ),
        st.integers(0, 40),
        st.booleans(),
        st.booleans(),
        st.sampled_from([80, 8080]),
        st.sampled_from(["node-1", "node-2"]),
    ),
    max_size=30,
    unique_by=lambda pod: pod.name,
)


@given(st.lists(PODS, min_size=1, max_size=4), st.integers(1, 6))
@settings(max_examples=150, deadline=None)
def test_each_pod_in_one_slice_of_its_ports(histories, limit):
    """Whatever was planned before: each pod once, with its own port, no slice too full, a second time no change."""
    nodes = {name: new_node(name, "a") for name in ("node-1", "node-2")}
    service = new_service(ports=[{"name": "http", "port": 80, "targetPort": "web"}])
    existing = []
    for pods in histories:
        planned = stored(plan(service, pods, nodes, existing, limit))
        assert len({s.name for s in planned}) == len(planned)
        assert all(len(s.endpoints) <= limit for s in planned)
        found = {e.target_ref.name: (e, s.ports[0].port) for s in planned for e in s.endpoints}
        assert sum(len(s.endpoints) for s in planned) == len(found) == len(pods)
        for pod in pods:
            endpoint, port = found[pod.name]
            assert port == pod.spec.containers[0].ports[0].container_port
            assert endpoint.conditions.ready == (pod.ready and not pod.terminating)
            assert endpoint.node_name == pod.spec.node_name
        again = plan(service, pods, nodes, planned, limit)
        assert sorted(again, key=lambda s: s.name) == sorted(planned, key=lambda s: s.name)
        existing = planned
