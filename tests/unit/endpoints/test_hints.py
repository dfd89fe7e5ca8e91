"""Hints: by trafficDistribution, against cases of the real controller; by the zones' shares of CPU."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from labkit.api.objects import Node, view
from labkit.endpoints import slices, topology

from .conftest import new_pod, new_service

CASES = json.loads((Path(__file__).parents[2] / "data" / "topology_cases.json").read_text())["hint_assignment_cases"]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_cases_of_the_real_controller(case):
    """Whatever hints endpoints had, and however their slices are to be written: the hints that they should have."""
    given = {tuple(e["addresses"]): e for group in case["in"].values() for ends in group for e in ends}
    wanted = {tuple(e["addresses"]): e for group in case["want"].values() for ends in group for e in ends}
    assert given.keys() == wanted.keys()
    for key, end in given.items():
        hints = slices.preferred(case["trafficDistribution"], end["node"], end.get("zone") or "")
        hints = hints if end["ready"] else None
        found = hints and {
            "forZones": [zone.name for zone in hints.for_zones], "forNodes": [node.name for node in hints.for_nodes],
        }  # fmt: skip
        assert found == wanted[key].get("hints"), key


def new_node(number, zone, cpu="8", ready=True, labels=None):
    labels = {"topology.kubernetes.io/zone": zone, **(labels or {})}
    status = {"allocatable": {"cpu": cpu}, "conditions": [{"type": "Ready", "status": str(ready)}]}
    return view({"kind": "Node", "metadata": {"name": f"node-{number}", "labels": labels}, "status": status}, Node)


def cluster(*nodes):
    return {node.name: node for node in nodes}


TWO = cluster(new_node(1, "a"), new_node(2, "b"))
AUTO = {"service.kubernetes.io/topology-mode": "Auto"}


def service(annotations=AUTO, **spec):
    plain = new_service(**spec)
    return msgspec.structs.replace(plain, metadata=msgspec.structs.replace(plain.metadata, annotations=annotations))


def pods(**of_nodes):
    """So many pods on each node."""
    numbers = iter(range(500))
    return [
        new_pod(next(numbers), nodeName=name.replace("_", "-"))
        for name, count in of_nodes.items()
        for _ in range(count)
    ]


def zones(planned):
    """(zone, hint) of each ready endpoint."""
    ready = [e for one in planned for e in one.endpoints if e.conditions.ready]
    return [(e.zone, e.hints.for_zones[0].name if e.hints else None) for e in ready]


def stored(planned):
    return [
        msgspec.structs.replace(one, metadata=msgspec.structs.replace(one.metadata, name=one.name or f"web-{number}"))
        for number, one in enumerate(planned)
    ]


def test_ratios():
    assert topology.ratios([new_node(1, "a", "2"), new_node(2, "b", "500m"), new_node(3, "b", "1500m")]) == {
        "a": 0.5, "b": 0.5,
    }  # fmt: skip
    control_plane = new_node(3, "c", labels={"node-role.kubernetes.io/control-plane": ""})
    assert topology.ratios([*TWO.values(), control_plane, new_node(4, "c", ready=False)]) == {"a": 0.5, "b": 0.5}
    assert topology.ratios([new_node(1, "a"), new_node(2, "a")]) == {}
    assert topology.ratios([*TWO.values(), new_node(3, "")]) == topology.ratios([*TWO.values(), new_node(3, "c", "0")])
    assert topology.ratios([*TWO.values(), new_node(3, "")]) == {}


def test_balanced_zones_keep_their_own():
    planned = slices.plan(service(), pods(node_1=2, node_2=2), TWO, [])
    assert sorted(zones(planned)) == [("a", "a")] * 2 + [("b", "b")] * 2
    assert slices.obstacles(planned, TWO) == {"IPv4": ""}


def test_a_zone_that_has_too_few_is_lent_some():
    planned = slices.plan(service(), pods(node_1=5, node_2=1), TWO, [])
    assert sorted(zones(planned)) == [("a", "a")] * 3 + [("a", "b")] * 2 + [("b", "b")]


def test_shares_follow_the_cpu():
    nodes = cluster(new_node(1, "a", "12"), new_node(2, "b", "4"))
    planned = slices.plan(service(), pods(node_1=4, node_2=4), nodes, [])
    assert sorted(zones(planned)) == [("a", "a")] * 4 + [("b", "a")] * 2 + [("b", "b")] * 2


@pytest.mark.parametrize(
    ("nodes", "members", "why"),
    [
        (TWO, pods(node_1=1), "Insufficient number of endpoints (1 endpoints, 2 zones)"),
        (TWO, pods(node_1=2, node_2=1), "Unable to allocate minimum required endpoints to each zone without exceeding "
                                        "overload threshold (3 endpoints, 2 zones)"),
        (cluster(new_node(1, "a"), new_node(2, "a")), pods(node_1=2, node_2=2), topology.NO_NODES),
        (cluster(*TWO.values(), new_node(3, "", ready=False)), pods(node_1=2, node_2=3, node_3=1), topology.NO_ZONE),
    ],
)  # fmt: skip
def test_no_hints_rather_than_overload(nodes, members, why):
    planned = slices.plan(service(), members, nodes, [])
    assert {hint for _, hint in zones(planned)} == {None}
    assert slices.obstacles(planned, nodes) == {"IPv4": why}


def test_hints_go_when_the_endpoints_get_too_few_and_when_nobody_asks_any_more():
    existing = stored(slices.plan(service(), pods(node_1=2, node_2=2), TWO, []))
    assert {hint for _, hint in zones(slices.plan(service(), pods(node_1=2, node_2=1), TWO, existing))} == {None}
    assert {hint for _, hint in zones(slices.plan(service({}), pods(node_1=2, node_2=2), TWO, existing))} == {None}


def test_slices_that_need_not_change_stay_as_they_are():
    members = pods(node_1=5, node_2=1)
    existing = stored(slices.plan(service(), members, TWO, []))
    assert list(slices.plan(service(), members[::-1], TWO, existing)) == existing
    more = slices.plan(service(), [*members, *pods(node_1=7)[6:]], TWO, existing)
    assert len(more) == 1 and len(zones(more)) == 7


def test_unready_endpoints_have_none_and_do_not_count():
    members = [*pods(node_1=2, node_2=2), new_pod(100, ready=False)]
    (planned,) = slices.plan(service(), members, TWO, [])
    assert [e.hints for e in planned.endpoints if not e.conditions.ready] == [None]
    assert len(zones([planned])) == 4


@pytest.mark.parametrize(
    ("annotations", "expected"),
    [
        ({}, False),
        ({topology.MODE: "Auto"}, True),
        ({topology.MODE: "auto"}, True),
        ({topology.MODE: "Disabled"}, False),
        ({topology.OLDER_MODE: "Auto"}, True),
        ({topology.OLDER_MODE: "Disabled", topology.MODE: "Auto"}, False),
    ],
)
def test_what_asks_for_it(annotations, expected):
    assert topology.auto(service(annotations)) is expected


def test_the_annotation_comes_before_traffic_distribution():
    planned = slices.plan(service(trafficDistribution="PreferSameNode"), pods(node_1=2, node_2=2), TWO, [])
    assert all(not e.hints.for_nodes for one in planned for e in one.endpoints)


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 16)), min_size=1, max_size=5),
    st.lists(st.integers(0, 4), max_size=40),
)
def test_no_zone_is_overloaded_by_more_than_a_fifth(machines, placed):
    """Whatever the cluster: all ready endpoints have a hint, or none has; with hints, every zone has its least."""
    nodes = cluster(*(new_node(n, zone, str(cpu)) for n, (zone, cpu) in enumerate(machines)))
    members = [new_pod(number, nodeName=f"node-{at % len(machines)}") for number, at in enumerate(placed)]
    planned = slices.plan(service(), members, nodes, [])
    found = [hint for _, hint in zones(planned)]
    assert len(found) == len(placed)
    if slices.obstacles(planned, nodes)["IPv4"]:
        assert set(found) <= {None}
        return
    assert None not in found
    total = sum(cpu for _, cpu in machines)
    for zone in {zone for zone, _ in machines}:
        share = sum(cpu for z, cpu in machines if z == zone) / total
        assert found.count(zone) * 1.2 >= share * len(found) - 1.2  # less than one whole endpoint below its least
    existing = stored(planned)
    assert list(slices.plan(service(), members, nodes, existing)) == existing
