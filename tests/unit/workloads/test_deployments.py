"""Deployments: rollout, rollback, history, pause, status."""

from __future__ import annotations

import re

import pytest

from labkit.control.chance import ALPHABET
from labkit.workloads.templates import same, template_hash, with_hash

from .conftest import deployment

REVISION = "deployment.kubernetes.io/revision"


def conditions(plane):
    return {c["type"]: (c["status"], c["reason"]) for c in plane.get("Deployment", "web")["status"]["conditions"]}


def test_first_rollout(plane):
    plane.apply(deployment())
    (rs,) = plane.store.list("ReplicaSet")
    digest = rs["metadata"]["labels"]["pod-template-hash"]
    assert rs["metadata"]["name"] == f"web-{digest}"
    assert re.fullmatch(f"[{ALPHABET}]{{6,10}}", digest)
    assert rs["spec"]["selector"]["matchLabels"] == {"app": "web", "pod-template-hash": digest}
    assert rs["metadata"]["annotations"] == {
        "deployment.kubernetes.io/desired-replicas": "3",
        "deployment.kubernetes.io/max-replicas": "4",
        REVISION: "1",
    }
    assert all(pod["metadata"]["labels"] == {"app": "web", "pod-template-hash": digest} for pod in plane.pods())
    web = plane.get("Deployment", "web")
    assert web["metadata"]["annotations"][REVISION] == "1"
    counts = {k: v for k, v in web["status"].items() if k != "conditions"}
    assert counts == {
        "observedGeneration": 1, "replicas": 3, "updatedReplicas": 3, "readyReplicas": 3, "availableReplicas": 3,
    }  # fmt: skip
    assert conditions(plane) == {
        "Available": ("True", "MinimumReplicasAvailable"),
        "Progressing": ("True", "NewReplicaSetAvailable"),
    }


def test_update_rolls_over(plane):
    plane.apply(deployment())
    plane.apply(deployment(image="nginx:2"))
    assert plane.sizes() == {"nginx:1": 0, "nginx:2": 3}
    assert len(plane.pods(app="web")) == 3
    assert plane.get("Deployment", "web")["metadata"]["annotations"][REVISION] == "2"


def test_update_stops_where_new_pods_do_not_become_ready(plane):
    plane.apply(deployment(replicas=4))
    plane.healthy = lambda pod: pod["spec"]["containers"][0]["image"] != "nginx:bad"
    plane.apply(deployment(replicas=4, image="nginx:bad"))
    assert plane.sizes() == {"nginx:1": 3, "nginx:bad": 2}  # 25% of 4: one above, one missing
    status = plane.get("Deployment", "web")["status"]
    assert (status["updatedReplicas"], status["availableReplicas"], status["unavailableReplicas"]) == (2, 3, 2)
    assert conditions(plane)["Available"] == ("True", "MinimumReplicasAvailable")
    assert conditions(plane)["Progressing"] == ("True", "ReplicaSetUpdated")
    plane.healthy = lambda pod: True
    plane.settle()
    assert plane.sizes() == {"nginx:1": 0, "nginx:bad": 4}


def test_availability_never_falls_below_the_bound(plane):
    plane.apply(deployment(replicas=4))
    lowest = []

    def count(event):
        web = [p for p in plane.pods(app="web") if "deletionTimestamp" not in p["metadata"]]
        lowest.append(sum(any(c["type"] == "Ready" for c in p["status"].get("conditions", ())) for p in web))

    plane.store.watch({"Pod"}, count, initial=False)
    plane.apply(deployment(replicas=4, image="nginx:2"))
    assert min(lowest) == 3


def test_recreate_waits_until_all_old_pods_are_gone(plane):
    recreate = {"strategy": {"type": "Recreate"}}
    plane.apply(deployment(**recreate))
    plane.finalizing = False
    plane.apply(deployment(image="nginx:2", **recreate))
    assert plane.sizes() == {"nginx:1": 0, "nginx:2": 0}
    plane.finalizing = True
    plane.settle()
    assert plane.sizes() == {"nginx:1": 0, "nginx:2": 3}


def test_scaling_makes_no_revision(plane):
    plane.apply(deployment())
    plane.apply(deployment(replicas=5))
    assert plane.sizes() == {"nginx:1": 5}
    plane.apply(deployment(replicas=0))
    assert plane.sizes() == {"nginx:1": 0} and plane.pods() == []
    web = plane.get("Deployment", "web")
    assert web["metadata"]["annotations"][REVISION] == "1"
    assert conditions(plane)["Available"] == ("True", "MinimumReplicasAvailable")


def test_rollback_uses_the_old_replica_set_again(plane):
    plane.apply(deployment())
    plane.apply(deployment(image="nginx:2"))
    plane.apply(deployment())
    sets = {rs["spec"]["template"]["spec"]["containers"][0]["image"]: rs for rs in plane.store.list("ReplicaSet")}
    assert plane.sizes() == {"nginx:1": 3, "nginx:2": 0}
    annotations = sets["nginx:1"]["metadata"]["annotations"]
    assert (annotations[REVISION], annotations["deployment.kubernetes.io/revision-history"]) == ("3", "1")


def test_history_limit(plane):
    for version in range(1, 6):
        plane.apply(deployment(image=f"nginx:{version}", revisionHistoryLimit=2))
    assert plane.sizes() == {"nginx:3": 0, "nginx:4": 0, "nginx:5": 3}


def test_pause(plane):
    plane.apply(deployment())
    plane.apply(deployment(image="nginx:2", replicas=4, paused=True))
    assert plane.sizes() == {"nginx:1": 4}
    assert conditions(plane)["Progressing"] == ("Unknown", "DeploymentPaused")
    plane.apply(deployment(image="nginx:2", replicas=4, paused=False))
    assert plane.sizes() == {"nginx:1": 0, "nginx:2": 4}


def test_delete_takes_all_with_it(plane):
    plane.apply(deployment())
    plane.store.delete("Deployment", "default", "web")
    plane.loop.drain()
    assert plane.store.list("ReplicaSet") == () and plane.pods() == []


def test_orphaned_replica_set_is_adopted_again(plane):
    plane.apply(deployment())
    pods = {pod["metadata"]["uid"] for pod in plane.pods()}
    plane.store.delete("Deployment", "default", "web", propagation="Orphan")
    plane.loop.drain()
    plane.apply(deployment())
    (rs,) = plane.store.list("ReplicaSet")
    assert rs["metadata"]["ownerReferences"][0]["kind"] == "Deployment"
    assert {pod["metadata"]["uid"] for pod in plane.pods()} == pods


def test_released_replica_set_is_adopted_again(plane):
    plane.apply(deployment())
    (rs,) = plane.store.list("ReplicaSet")
    plane.store.disown(rs, plane.get("Deployment", "web")["metadata"]["uid"])
    plane.loop.drain()
    (again,) = plane.store.list("ReplicaSet")
    assert again["metadata"]["ownerReferences"] == rs["metadata"]["ownerReferences"]


def test_other_changes_start_no_rollout(plane):
    plane.apply(deployment())
    labelled = deployment(minReadySeconds=0)
    labelled["metadata"]["labels"] = {"team": "x"}
    plane.apply(labelled)
    assert len(plane.store.list("ReplicaSet")) == 1


def test_conditions_keep_their_times(plane):
    plane.apply(deployment())
    before = plane.get("Deployment", "web")["status"]["conditions"]
    plane.wait(60)
    plane.apply(deployment(replicas=4))
    after = plane.get("Deployment", "web")["status"]["conditions"]
    assert [c["lastTransitionTime"] for c in before] == [c["lastTransitionTime"] for c in after]


@pytest.mark.parametrize("change", [{"image": "b"}, {"name": "x"}, {"args": ["1"]}])
def test_hash_follows_the_template(change):
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "a"}]}}
    other = {**template, "spec": {"containers": [{**template["spec"]["containers"][0], **change}]}}
    assert template_hash(template) != template_hash(other)
    turned = {"spec": template["spec"], "metadata": template["metadata"]}
    assert template_hash(turned) == template_hash(template)
    assert same(with_hash(template, "x"), template) and not same(other, template)
