"""Who goes first when a ReplicaSet shrinks, and how pods are counted."""

from __future__ import annotations

import pytest

from labkit.workloads.ranking import COST, victims


def pod(name, *, node="node-1", phase="Running", ready=True, cost="", restarts=0):
    metadata = {"name": name, "annotations": {COST: cost} if cost else {}}
    status = {
        "phase": phase,
        "conditions": [{"type": "Ready", "status": str(ready)}],
        "containerStatuses": [{"restartCount": restarts}],
    }
    return {"metadata": metadata, "spec": {"nodeName": node} if node else {}, "status": status}


@pytest.mark.parametrize(
    "first",
    [
        pod("x", node=""),
        pod("x", phase="Pending"),
        pod("x", phase="Unknown"),
        pod("x", ready=False),
        pod("x", cost="-10"),
        pod("x", restarts=3),
    ],
)
def test_what_makes_a_victim(first):
    others = [pod("a", node="node-2"), pod("b", node="node-3")]
    pods = [others[0], first, others[1]]
    assert victims(pods, pods, 1, lambda p: 0) == [first]


def test_crowded_nodes_give_first_counting_related_pods():
    here, there = pod("here", node="node-1"), pod("there", node="node-2")
    related = [here, there, pod("sibling", node="node-2")]
    assert victims([here, there], related, 1, lambda p: 0) == [there]


def test_newest_first_otherwise():
    pods = [pod(name, node=f"node-{name}") for name in "abc"]
    assert [p["metadata"]["name"] for p in victims(pods, pods, 2, lambda p: ord(p["metadata"]["name"]))] == ["c", "b"]


def test_cost_that_is_no_number_counts_as_none():
    pods = [pod("a", cost="cheap"), pod("b", cost="-1")]
    assert victims(pods, pods, 1, lambda p: 0) == [pods[1]]
