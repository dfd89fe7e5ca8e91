"""Scheduling: who may take a pod, who gets it, and what a pod that nobody takes says."""

from __future__ import annotations

from collections import Counter

import pytest

from labkit.workloads.scheduler import unschedulable
from labkit.workloads.scheduling.choice import best
from labkit.workloads.scheduling.filters import Obstacle

from .conftest import bare_pod, deployment

ZONES = {"node-1": "a", "node-2": "a", "node-3": "b"}


@pytest.mark.parametrize(
    ("owned", "load", "expected"),
    [
        ({}, {}, "node-1"),
        ({}, {"node-1": 1}, "node-3"),  # in zone a there is one already
        ({"node-1": 1}, {"node-1": 1, "node-3": 9}, "node-3"),  # the owner's pods spread first
        ({"node-1": 1, "node-3": 1}, {"node-1": 1, "node-3": 1}, "node-2"),
        ({}, {"node-1": 2, "node-2": 1, "node-3": 2}, "node-2"),
    ],
)
def test_choose(owned, load, expected):
    assert best(ZONES, owned, load, {}) == expected


def test_wishes_come_before_an_even_spread():
    assert best(ZONES, {"node-2": 5}, {"node-2": 9}, {"node-1": 10.0, "node-2": 10.5, "node-3": 0.0}) == "node-2"


def test_messages():
    assert unschedulable({}) == "no nodes available to schedule pods"
    found = {
        "node-1": Obstacle(("node(s) were unschedulable",)),
        "node-2": Obstacle(("Insufficient cpu", "Insufficient memory"), resolvable=True),
        "node-3": Obstacle(("node(s) were unschedulable",)),
    }
    available = "0/3 nodes are available: 1 Insufficient cpu, 1 Insufficient memory, 2 node(s) were unschedulable."
    assert unschedulable(found) == (
        f"{available} no new claims to deallocate, preemption: 0/3 nodes are available: "
        "1 No preemption victims found for incoming pod, 2 Preemption is not helpful for scheduling."
    )
    assert unschedulable(found, "not eligible due to preemptionPolicy=Never.") == (
        f"{available} no new claims to deallocate, preemption: not eligible due to preemptionPolicy=Never."
    )


def places(plane, **labels):
    return Counter(pod["spec"].get("nodeName") for pod in plane.pods(**labels))


@pytest.mark.parametrize(("replicas", "spread"), [(1, [1]), (3, [1, 1, 1]), (7, [2, 2, 3])])
def test_replicas_spread(plane, replicas, spread):
    plane.apply(deployment(replicas=replicas))
    assert sorted(places(plane, app="web").values()) == spread


def test_second_replica_goes_to_the_other_zone(plane):
    plane.apply(deployment(replicas=2))
    assert {"node-3"} < set(places(plane, app="web"))


def test_bare_pods_spread(plane):
    plane.apply(*(bare_pod(f"p{i}") for i in range(6)))
    assert sorted(places(plane).values()) == [2, 2, 2]


def test_daemons_do_not_count_where_each_node_has_one(plane):
    """Else zone b, the smaller one, would have the fewer pods."""
    template = deployment()["spec"]
    template = {name: template[name] for name in ("selector", "template")}
    plane.apply({"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"name": "agent"}, "spec": template})
    assert len(plane.pods()) == 3
    plane.apply(bare_pod("p"))
    assert plane.get("Pod", "p")["spec"]["nodeName"] == "node-1"


def test_selector_cordon_and_preset(plane):
    plane.apply(
        bare_pod("chosen", nodeSelector={"kubernetes.io/hostname": "node-3"}),
        bare_pod("preset", nodeName="node-2"),
        bare_pod("foreign", schedulerName="other"),
    )
    assert plane.get("Pod", "chosen")["spec"]["nodeName"] == "node-3"
    assert plane.get("Pod", "preset")["spec"]["nodeName"] == "node-2"
    assert "nodeName" not in plane.get("Pod", "foreign")["spec"]
    scheduled = [c for c in plane.get("Pod", "chosen")["status"]["conditions"] if c["type"] == "PodScheduled"]
    assert [c["status"] for c in scheduled] == ["True"]


def test_unschedulable_until_a_node_allows_it(plane):
    for number in (1, 2):
        plane.store.update("Node", "", f"node-{number}", lambda n: n.setdefault("spec", {}).update(unschedulable=True))
    plane.apply(bare_pod("p", nodeSelector={"disk": "ssd"}))
    pod = plane.get("Pod", "p")
    (condition,) = pod["status"]["conditions"]
    assert (condition["type"], condition["status"], condition["reason"]) == ("PodScheduled", "False", "Unschedulable")
    assert condition["message"].startswith(
        "0/3 nodes are available: 1 node(s) didn't match Pod's node affinity/selector, 2 node(s) were unschedulable."
    )
    assert pod["status"]["phase"] == "Pending"
    plane.store.update("Node", "", "node-1", lambda n: n["metadata"]["labels"].update(disk="ssd"))
    plane.loop.drain()
    assert "nodeName" not in plane.get("Pod", "p")["spec"]
    plane.store.update("Node", "", "node-1", lambda n: n["spec"].update(unschedulable=False))
    plane.loop.drain()
    assert plane.get("Pod", "p")["spec"]["nodeName"] == "node-1"
