"""What a restored store is turned into before anything runs on it."""

from __future__ import annotations

from typing import Any

import pytest

from labkit.cluster.kept import missing, resume
from labkit.control.store import Store

Raw = dict[str, Any]


def node(name: str, **labels: str) -> Raw:
    spec = {"podCIDR": "10.244.1.0/24"}
    status = {"conditions": [{"type": "Ready", "status": "True"}]}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": labels},
        "spec": spec,
        "status": status,
    }


@pytest.fixture
def store() -> Store:
    made = Store(seed=1)
    made.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "default"}})
    made.create(node("one", zone="a"))
    made.create(node("two"))
    return made


def pod(store: Store, name: str, status: Raw, **spec: Any) -> Raw:
    spec = {"nodeName": "one", "containers": [{"name": "c"}], **spec}
    raw = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "default"}, "spec": spec}
    return store.create({**raw, "status": status})


RUNNING = {
    "phase": "Running",
    "podIP": "10.244.1.2",
    "containerStatuses": [{"name": "c", "ready": True}],
    "conditions": [{"type": "PodScheduled", "status": "True"}, {"type": "Ready", "status": "True"}],
}


def test_a_pod_that_ran_is_bound_and_pending(store):
    before = pod(store, "p", RUNNING)
    resume(store, {"one": node("one")})
    after = store.get("Pod", "default", "p")
    assert after["status"] == {"phase": "Pending", "conditions": [{"type": "PodScheduled", "status": "True"}]}
    assert (after["spec"], after["metadata"]["uid"]) == (before["spec"], before["metadata"]["uid"])


def test_one_that_is_never_restarted_has_failed(store):
    pod(store, "p", RUNNING, restartPolicy="Never")
    resume(store, {"one": node("one")})
    status = store.get("Pod", "default", "p")["status"]
    assert (status["phase"], status["reason"]) == ("Failed", "Terminated")
    assert {"type": "Ready", "status": "False"} in status["conditions"]


@pytest.mark.parametrize("phase", ["Succeeded", "Failed"])
def test_what_had_ended_stays_as_it_was(store, phase):
    before = pod(store, "p", {"phase": phase})
    resume(store, {"one": node("one")})
    assert store.get("Pod", "default", "p") is before


def test_what_waited_for_a_node_still_does(store):
    before = pod(store, "p", {"phase": "Pending"}, nodeName="")
    resume(store, {"one": node("one")})
    assert store.get("Pod", "default", "p") is before


def test_what_was_going_is_gone(store):
    pod(store, "p", RUNNING)
    store.delete("Pod", "default", "p")
    resume(store, {"one": node("one")})
    assert store.find("Pod", "default", "p") is None


def test_nodes_register_anew(store):
    uid = store.get("Node", "", "one")["metadata"]["uid"]
    store.update("Node", "", "one", lambda raw: raw["spec"].update(unschedulable=True))
    pod(store, "p", RUNNING, nodeName="two")
    resume(store, {"one": node("one", zone="b"), "three": node("three")})
    one = store.get("Node", "", "one")
    assert (one["metadata"]["uid"], one["metadata"]["labels"]) == (uid, {"zone": "b"})
    assert one["spec"]["unschedulable"]
    assert [n["metadata"]["name"] for n in store.list("Node")] == ["one", "three"]
    assert store.find("Pod", "default", "p") is None


def test_only_what_is_missing_is_made(store):
    assert missing(store, [node("one"), node("three")]) == [node("three")]
