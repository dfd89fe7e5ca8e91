"""Scheduling: who may take a pod, who gets it, and what a pod that nobody takes says."""

from __future__ import annotations

from collections import Counter

import pytest

from labkit.api.objects import Node, view
from labkit.workloads.scheduler import choose, unschedulable

from .conftest import Plane, bare_pod, deployment


def node(name, zone):
    return view({"kind": "Node", "metadata": {"name": name, "labels": {"topology.kubernetes.io/zone": zone}}}, Node)


NODES = [node("node-1", "a"), node("node-2", "a"), node("node-3", "b")]


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
    assert choose(NODES, owned, load).name == expected


def test_messages():
    assert unschedulable([]) == "no nodes available to schedule pods"
    obstacles = ["node(s) were unschedulable", "node(s) didn't match Pod's node affinity/selector"] * 2
    assert unschedulable(obstacles[:3]) == (
        "0/3 nodes are available: 1 node(s) didn't match Pod's node affinity/selector, 2 node(s) were unschedulable. "
        "preemption: 0/3 nodes are available: 3 Preemption is not helpful for scheduling."
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


def test_not_ready_node_takes_nothing():
    plane = Plane(nodes=("a",))
    conditions = [{"type": "Ready", "status": "False"}]
    plane.store.update("Node", "", "node-1", lambda n: n.update(status={"conditions": conditions}))
    plane.apply(bare_pod("p"))
    (condition,) = plane.get("Pod", "p")["status"]["conditions"]
    assert "untolerated taint {node.kubernetes.io/not-ready: }" in condition["message"]
