"""Foreground, background, orphan; owners that are not there; owners elsewhere."""

from __future__ import annotations

import pytest

from labkit.control.garbage import GarbageCollector
from labkit.control.reconcile import Loop


@pytest.fixture
def loop(store):
    made = Loop(store, [GarbageCollector(store)], lambda f: pytest.fail(str(f)))
    made.drain()
    return made


def owned(make, kind, name, *owners, block=True, namespace="default", **parts):
    references = [
        {
            "apiVersion": o["apiVersion"], "kind": o["kind"], "name": o["metadata"]["name"],
            "uid": o["metadata"]["uid"], "blockOwnerDeletion": block,
        }
        for o in owners
    ]  # fmt: skip
    return make(kind, name, namespace, metadata={"ownerReferences": references}, **parts)


@pytest.fixture
def top(store, make):
    return store.create(make("Deployment", "d", version="apps/v1", spec={}))


def names(store, kind):
    return [raw["metadata"]["name"] for raw in store.list(kind)]


def test_foreground_waits_for_dependents(store, loop, make, top):
    middle = store.create(owned(make, "ReplicaSet", "rs", top, version="apps/v1", spec={}))
    store.create(owned(make, "Pod", "a", middle, spec={"nodeName": "node-1"}))
    store.delete("Deployment", "default", "d", propagation="Foreground")
    loop.drain()
    assert store.get("Deployment", "default", "d")["metadata"]["finalizers"] == ["foregroundDeletion"]
    # the ReplicaSet has a dependent of its own, so it waits for that
    assert store.get("ReplicaSet", "default", "rs")["metadata"]["finalizers"] == ["foregroundDeletion"]
    assert "deletionTimestamp" in store.get("Pod", "default", "a")["metadata"]
    store.finalize("Pod", "default", "a")
    loop.drain()
    assert (names(store, "Deployment"), names(store, "ReplicaSet"), names(store, "Pod")) == ([], [], [])


def test_foreground_does_not_wait_for_what_does_not_block(store, loop, make, top):
    store.create(owned(make, "Pod", "a", top, block=False, spec={"nodeName": "node-1"}))
    store.delete("Deployment", "default", "d", propagation="Foreground")
    loop.drain()
    assert names(store, "Deployment") == []
    assert "deletionTimestamp" in store.get("Pod", "default", "a")["metadata"]


def test_foreground_without_dependents(store, loop, top):
    store.delete("Deployment", "default", "d", propagation="Foreground")
    assert names(store, "Deployment") == ["d"]
    loop.drain()
    assert names(store, "Deployment") == []


def test_background_takes_back_a_waiting_deletion(store, loop, make, top):
    store.create(owned(make, "Pod", "a", top, spec={"nodeName": "node-1"}))
    store.delete("Deployment", "default", "d", propagation="Foreground")
    loop.drain()
    store.delete("Deployment", "default", "d", propagation="Background")
    assert names(store, "Deployment") == []


def test_orphan_keeps_dependents_and_other_owners(store, loop, make, top):
    other = store.create(make("ConfigMap", "c"))
    store.create(owned(make, "Secret", "both", top, other))
    store.create(owned(make, "Secret", "one", top))
    store.delete("Deployment", "default", "d", propagation="Orphan")
    loop.drain()
    assert names(store, "Deployment") == []
    assert "ownerReferences" not in store.get("Secret", "default", "one")["metadata"]
    (left,) = store.get("Secret", "default", "both")["metadata"]["ownerReferences"]
    assert left["uid"] == other["metadata"]["uid"]


def test_an_absent_owner(store, loop, make, top):
    gone = {**top, "metadata": {**top["metadata"], "uid": "no-such-uid"}}
    store.create(owned(make, "Secret", "s", gone))
    store.create(owned(make, "Secret", "kept", gone, top))
    loop.drain()
    assert names(store, "Secret") == ["kept"]
    assert len(store.get("Secret", "default", "kept")["metadata"]["ownerReferences"]) == 1


def test_an_owner_of_another_namespace_is_absent(store, loop, make, top):
    store.create(owned(make, "Secret", "s", top, namespace="kube-public"))
    loop.drain()
    assert names(store, "Secret") == []
    (event,) = store.list("Event")
    assert (event["type"], event["reason"]) == ("Warning", "OwnerRefInvalidNamespace")
    assert event["message"].endswith('does not exist in namespace "kube-public"')


def test_what_cannot_be_resolved_stays(store, loop, make, top):
    unknown = {**top, "apiVersion": "example.org/v1", "kind": "Thing"}
    store.create(owned(make, "Secret", "s", unknown))
    store.create(owned(make, "ClusterRole", "r", top, namespace="", version="rbac.authorization.k8s.io/v1"))
    loop.drain()
    assert (names(store, "Secret"), names(store, "ClusterRole")) == (["s"], ["r"])


def test_a_circle_in_the_foreground_ends(store, loop, make):
    a = store.create(make("ConfigMap", "a"))
    b = store.create(owned(make, "ConfigMap", "b", a))
    reference = owned(make, "ConfigMap", "a", b)["metadata"]["ownerReferences"]
    store.update("ConfigMap", "default", "a", lambda raw: raw["metadata"].update(ownerReferences=reference))
    store.delete("ConfigMap", "default", "a", propagation="Foreground")
    loop.drain()
    assert names(store, "ConfigMap") == []
