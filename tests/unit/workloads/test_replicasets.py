"""ReplicaSets: numbers, names, adoption and release, status."""

from __future__ import annotations

import re

import pytest

from labkit.control.chance import ALPHABET
from labkit.errors import ApiError

from .conftest import Plane, bare_pod, deployment


def replica_set(name="rs", replicas=2, **spec):
    labels = {"app": name}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": "nginx:1"}]}}
    spec = {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template, **spec}
    return {"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": {"name": name}, "spec": spec}


def names(plane, **labels):
    return {pod["metadata"]["name"] for pod in plane.pods(**labels)}


def test_pods_from_the_template(plane):
    plane.apply(replica_set())
    pods = plane.pods(app="rs")
    assert len(pods) == 2
    assert all(re.fullmatch(f"rs-[{ALPHABET}]{{5}}", pod["metadata"]["name"]) for pod in pods)
    owner = pods[0]["metadata"]["ownerReferences"][0]
    assert (owner["kind"], owner["name"], owner["controller"]) == ("ReplicaSet", "rs", True)
    assert pods[0]["spec"]["serviceAccountName"] == "default"
    assert pods[0]["spec"]["restartPolicy"] == "Always"


def test_status(plane):
    plane.healthy = lambda pod: pod["spec"]["nodeName"] != "node-1"
    plane.apply(replica_set(replicas=3))
    assert plane.get("ReplicaSet", "rs")["status"] == {
        "replicas": 3, "fullyLabeledReplicas": 3, "readyReplicas": 2, "availableReplicas": 2, "observedGeneration": 1,
    }  # fmt: skip


def test_scaling_down_takes_the_unready_first(plane):
    plane.healthy = lambda pod: pod["spec"]["nodeName"] != "node-2"
    plane.apply(replica_set(replicas=3))
    unready = {p["metadata"]["name"] for p in plane.pods(app="rs") if p["spec"]["nodeName"] == "node-2"}
    before = names(plane)
    plane.apply(replica_set(replicas=2))
    assert before - names(plane) == unready


def test_scaling_down_waits_for_nobody(plane):
    """A terminating pod is no replica: it is not counted, not deleted again, and comes to no replacement."""
    plane.apply(replica_set(replicas=3))
    plane.finalizing = False
    plane.apply(replica_set(replicas=1))
    leaving = [pod for pod in plane.pods(app="rs") if "deletionTimestamp" in pod["metadata"]]
    assert (len(plane.pods(app="rs")), len(leaving)) == (3, 2)
    assert plane.get("ReplicaSet", "rs")["status"]["replicas"] == 1


def test_a_deleted_pod_is_replaced_under_another_name(plane):
    plane.apply(replica_set())
    before = names(plane)
    plane.store.delete("Pod", "default", min(before))
    plane.loop.drain()
    after = names(plane)
    assert len(after) == 2 and min(before) not in after


def test_an_ended_pod_is_replaced(plane):
    plane.apply(replica_set(replicas=1))
    (pod,) = plane.pods(app="rs")
    plane.store.replace_status({**pod, "status": {**pod["status"], "phase": "Failed"}})
    plane.loop.drain()
    assert len(plane.pods(app="rs")) == 2
    assert plane.get("ReplicaSet", "rs")["status"]["replicas"] == 1


def test_release_and_adoption(plane):
    plane.apply(replica_set())
    name = min(names(plane))
    plane.store.update("Pod", "default", name, lambda pod: pod["metadata"].update(labels={"app": "debug"}))
    plane.loop.drain()
    assert "ownerReferences" not in plane.get("Pod", name)["metadata"]
    assert len(plane.pods(app="rs")) == 2
    plane.store.update("Pod", "default", name, lambda pod: pod["metadata"].update(labels={"app": "rs"}))
    plane.loop.drain()
    assert len(plane.pods(app="rs")) == 2  # three are one too many, and the newest goes


def test_orphans_are_adopted(plane):
    plane.apply(bare_pod("lonely", {"app": "rs"}), replica_set(replicas=2))
    owner = plane.get("Pod", "lonely")["metadata"]["ownerReferences"][0]
    assert (owner["kind"], owner["name"]) == ("ReplicaSet", "rs")
    assert len(plane.pods(app="rs")) == 2


def test_min_ready_seconds(plane):
    plane.apply(replica_set(minReadySeconds=10))
    assert "availableReplicas" not in plane.get("ReplicaSet", "rs")["status"]
    assert plane.loop.next_due() == 10.0
    plane.wait(9)
    assert "availableReplicas" not in plane.get("ReplicaSet", "rs")["status"]
    plane.wait(1)
    assert plane.get("ReplicaSet", "rs")["status"]["availableReplicas"] == 2
    assert plane.loop.next_due() is None


def test_missing_service_account_is_retried(plane):
    wanted = deployment(pod={"serviceAccountName": "robot"})
    with pytest.raises(AssertionError):
        plane.apply(wanted)
    assert 'error looking up service account default/robot: serviceaccount "robot" not found' in str(plane.failures[0])
    plane.failures.clear()
    plane.apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "robot"}})
    plane.wait(1)
    assert len(plane.pods(app="web")) == 3


def test_pod_with_a_missing_service_account_is_refused(plane):
    with pytest.raises(ApiError) as error:
        plane.apply(bare_pod("p", serviceAccountName="robot"))
    assert error.value.details["status"]["reason"] == "Forbidden"


def test_names_are_the_same_in_every_run():
    one, two = Plane(), Plane()
    one.apply(replica_set(), bare_pod("other"))
    two.apply(bare_pod("other"), bare_pod("another"))
    two.apply(replica_set())
    assert names(one, app="rs") == names(two, app="rs")
    other = Plane(seed=2)
    other.apply(replica_set())
    assert names(one, app="rs") != names(other, app="rs")
