"""Namespaces, ServiceAccounts and the garbage collector, run by the loop."""

from __future__ import annotations

import pytest

from labkit.control.garbage import GarbageCollector
from labkit.control.namespaces import Namespaces, ServiceAccounts
from labkit.control.reconcile import Loop
from labkit.errors import ApiError


@pytest.fixture
def loop(store):
    made = Loop(
        store, [Namespaces(store), GarbageCollector(store), ServiceAccounts(store)], lambda f: pytest.fail(str(f))
    )
    made.drain()
    return made


def owned(make, kind, name, *owners):
    references = [
        {"apiVersion": o["apiVersion"], "kind": o["kind"], "name": o["metadata"]["name"], "uid": o["metadata"]["uid"]}
        for o in owners
    ]
    return make(kind, name, metadata={"ownerReferences": references}, spec={})


def test_initial_namespaces(store, loop):
    names = [raw["metadata"]["name"] for raw in store.list("Namespace")]
    assert names == ["default", "kube-node-lease", "kube-public", "kube-system"]
    for raw in store.list("Namespace"):
        assert raw["metadata"]["labels"] == {"kubernetes.io/metadata.name": raw["metadata"]["name"]}
        assert raw["status"] == {"phase": "Active"}
    assert [raw["metadata"]["namespace"] for raw in store.list("ServiceAccount")] == names


def test_service_account_comes_back(store, loop):
    store.delete("ServiceAccount", "default", "default")
    loop.drain()
    assert store.find("ServiceAccount", "default", "default") is not None


def test_cascade(store, loop, make):
    top = store.create(make("Deployment", "d", version="apps/v1", spec={}))
    middle = store.create({**owned(make, "ReplicaSet", "rs", top), "apiVersion": "apps/v1"})
    store.create(owned(make, "Pod", "a", middle))
    shared = store.create(owned(make, "Pod", "shared", middle, store.get("Namespace", "", "default")))
    store.delete("Deployment", "default", "d")
    loop.drain()
    assert store.list("ReplicaSet") == ()
    assert [pod["metadata"]["name"] for pod in store.list("Pod")] == ["shared"]
    left = store.get("Pod", "default", "shared")["metadata"]["ownerReferences"]
    assert [ref["kind"] for ref in left] == ["Namespace"]
    assert len(shared["metadata"]["ownerReferences"]) == 2  # a value once read never changes


def test_orphans_stay(store, loop, make):
    top = store.create(make("Deployment", "d", version="apps/v1", spec={}))
    store.create(owned(make, "ReplicaSet", "rs", top))
    store.delete("Deployment", "default", "d", propagation="Orphan")
    loop.drain()
    assert "ownerReferences" not in store.get("ReplicaSet", "default", "rs")["metadata"]


def test_running_pod_outlives_its_owner_until_finalized(store, loop, make):
    top = store.create(make("ReplicaSet", "rs", version="apps/v1", spec={}))
    pod = owned(make, "Pod", "a", top)
    store.create({**pod, "spec": {"nodeName": "node-1"}})
    store.delete("ReplicaSet", "default", "rs")
    loop.drain()
    assert "deletionTimestamp" in store.get("Pod", "default", "a")["metadata"]


def test_namespace_goes_with_its_content(store, loop, make):
    store.create(make("Namespace", "shop", namespace=""))
    loop.drain()
    store.create(make("ConfigMap", "c", namespace="shop"))
    store.create(make("Pod", "a", namespace="shop", spec={"nodeName": "node-1"}))
    store.delete("Namespace", "", "shop")
    loop.drain()
    assert store.list("ConfigMap") == ()
    assert store.find("ServiceAccount", "shop", "default") is None
    assert store.get("Namespace", "", "shop")["status"]["phase"] == "Terminating"
    conditions = {c["type"]: c for c in store.get("Namespace", "", "shop")["status"]["conditions"]}
    remaining = conditions["NamespaceContentRemaining"]
    assert remaining["message"] == "Some resources are remaining: pods. has 1 resource instances"
    assert conditions["NamespaceFinalizersRemaining"]["reason"] == "ContentHasNoFinalizers"
    assert [conditions[f"NamespaceDeletion{what}Failure"]["status"] for what in ("Content", "Discovery")] == [
        "False"
    ] * 2
    with pytest.raises(ApiError, match="being terminated"):
        store.create(make("ConfigMap", "d", namespace="shop"))
    store.finalize("Pod", "shop", "a")
    loop.drain()
    assert store.find("Namespace", "", "shop") is None
    store.create(make("Namespace", "shop", namespace=""))
    loop.drain()
    assert store.find("ServiceAccount", "shop", "default") is not None


def test_a_namespace_says_which_finalizers_hold_it(store, loop, make):
    store.create(make("Namespace", "shop", namespace=""))
    store.create(make("ConfigMap", "c", namespace="shop", metadata={"finalizers": ["example.org/wait"]}))
    store.delete("Namespace", "", "shop")
    loop.drain()

    def finalizers():
        found = store.get("Namespace", "", "shop")["status"]["conditions"]
        return next(c["message"] for c in found if c["type"] == "NamespaceFinalizersRemaining")

    assert finalizers().endswith("finalizers remaining: example.org/wait in 1 resource instances")
    store.update("ConfigMap", "shop", "c", lambda raw: raw["metadata"].pop("finalizers"))
    loop.drain()
    assert store.find("Namespace", "", "shop") is None
