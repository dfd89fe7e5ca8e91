from __future__ import annotations

from labkit.control.recorder import Recorder
from labkit.control.store import Store


def test_said_again_counts_up(store: Store) -> None:
    pod = store.create(
        {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web", "namespace": "default"}, "spec": {}}
    )
    recorder = Recorder(store, "kubelet", "node-1")
    for _ in range(3):
        recorder.event(pod, "Warning", "Unhealthy", "Readiness probe failed")
    recorder.event(pod, "Warning", "BackOff", "Back-off restarting failed container")
    first, second = sorted(store.list("Event"), key=store.created)
    assert (first["count"], second["count"]) == (3, 1)
    assert first["involvedObject"]["uid"] == pod["metadata"]["uid"]
    assert first["source"] == {"component": "kubelet", "host": "node-1"}
    assert first["metadata"]["name"].startswith("web.")


def test_of_a_node_in_default(store: Store) -> None:
    node = store.create({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "node-1"}, "spec": {}})
    Recorder(store, "kubelet").event(node, "Normal", "NodeReady", "Node node-1 status is now: NodeReady")
    (event,) = store.list("Event", "default")
    assert "namespace" not in event["involvedObject"]


def test_nothing_in_a_namespace_that_is_not_there(store: Store) -> None:
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web", "namespace": "gone", "uid": "u"}, "spec": {}}
    Recorder(store, "kubelet").event(pod, "Normal", "Killing", "Stopping container web")
    assert not store.list("Event")


def test_names_follow_the_order_in_which_it_was_said(store: Store) -> None:
    pod = store.create(
        {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web", "namespace": "default"}, "spec": {}}
    )
    said = ["Scheduled", "Pulled", "Created", "Started"]
    for number, reason in enumerate(said):
        Recorder(store, f"component-{number}").event(pod, "Normal", reason, reason)
    by_name = sorted(store.list("Event"), key=lambda event: event["metadata"]["name"])
    assert [event["reason"] for event in by_name] == said
