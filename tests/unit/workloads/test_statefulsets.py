"""StatefulSets: order, names, claims, updates with a partition, history, status."""

from __future__ import annotations

import pytest

from labkit.workloads.statefulsets import identity


def stateful(name="db", replicas=3, image="redis:1", claims=(), **spec):
    labels = {"app": name}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": image}]}}
    if claims:
        spec["volumeClaimTemplates"] = [
            {"metadata": {"name": c}, "spec": {"accessModes": ["ReadWriteOnce"],
                                               "resources": {"requests": {"storage": "1Gi"}}}}
            for c in claims
        ]  # fmt: skip
    spec = {"replicas": replicas, "serviceName": name, "selector": {"matchLabels": labels}, "template": template,
            **spec}  # fmt: skip
    return {"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": name}, "spec": spec}


def names(plane):
    return [p["metadata"]["name"] for p in plane.pods(app="db")]


def images(plane):
    return {p["metadata"]["name"]: p["spec"]["containers"][0]["image"] for p in plane.pods(app="db")}


def rolling(partition):
    return {"type": "RollingUpdate", "rollingUpdate": {"partition": partition}}


def test_pods_have_names_and_labels_of_their_own(plane):
    plane.apply(stateful())
    assert names(plane) == ["db-0", "db-1", "db-2"]
    pod = plane.get("Pod", "db-1")
    (revision,) = plane.store.list("ControllerRevision")
    assert pod["metadata"]["labels"] == {
        "app": "db", "apps.kubernetes.io/pod-index": "1", "statefulset.kubernetes.io/pod-name": "db-1",
        "controller-revision-hash": revision["metadata"]["name"],
    }  # fmt: skip
    assert (pod["spec"]["hostname"], pod["spec"]["subdomain"]) == ("db-1", "db")
    assert revision["metadata"]["name"] == f"db-{revision['metadata']['labels']['controller.kubernetes.io/hash']}"
    assert revision["data"]["spec"]["template"]["$patch"] == "replace"
    assert plane.get("StatefulSet", "db")["status"] == {
        "observedGeneration": 1, "replicas": 3, "readyReplicas": 3, "currentReplicas": 3, "updatedReplicas": 3,
        "availableReplicas": 3, "collisionCount": 0, "currentRevision": revision["metadata"]["name"],
        "updateRevision": revision["metadata"]["name"],
    }  # fmt: skip


def test_each_waits_for_the_one_before(plane):
    plane.healthy = lambda pod: pod["metadata"]["name"] != "db-1"
    plane.apply(stateful())
    assert names(plane) == ["db-0", "db-1"]
    plane.healthy = lambda pod: True
    plane.settle()
    assert names(plane) == ["db-0", "db-1", "db-2"]


def test_parallel_waits_for_nobody(plane):
    plane.healthy = lambda pod: False
    plane.apply(stateful(podManagementPolicy="Parallel"))
    assert names(plane) == ["db-0", "db-1", "db-2"]
    plane.apply(stateful(podManagementPolicy="Parallel", replicas=0))
    assert names(plane) == []


def test_ordinals_start_elsewhere(plane):
    plane.apply(stateful(replicas=2, ordinals={"start": 5}))
    assert names(plane) == ["db-5", "db-6"]


def test_the_highest_goes_first_and_alone(plane):
    plane.apply(stateful())
    plane.finalizing = False
    plane.apply(stateful(replicas=1))
    assert [p["metadata"]["name"] for p in plane.pods(app="db") if "deletionTimestamp" in p["metadata"]] == ["db-2"]
    plane.finalizing = True
    plane.settle()
    assert names(plane) == ["db-0"]


def test_scaling_down_waits_for_the_unhealthy(plane):
    plane.apply(stateful())
    plane.healthy = lambda pod: pod["metadata"]["name"] != "db-0"
    plane.settle()
    plane.apply(stateful(replicas=1))
    assert names(plane) == ["db-0", "db-1", "db-2"]


def test_a_deleted_pod_comes_back_under_its_name(plane):
    plane.apply(stateful())
    before = plane.get("Pod", "db-1")["metadata"]["uid"]
    plane.store.delete("Pod", "default", "db-1")
    plane.loop.drain()
    assert plane.get("Pod", "db-1")["metadata"]["uid"] != before


def test_a_failed_pod_is_made_anew(plane):
    plane.apply(stateful())
    plane.store.update("Pod", "default", "db-1", lambda raw: raw["status"].update(phase="Failed"))
    plane.loop.drain()
    assert plane.get("Pod", "db-1")["status"]["phase"] == "Running"
    assert "StatefulSet default/db is recreating failed Pod db-1" in {e["message"] for e in plane.store.list("Event")}


def test_update_goes_from_the_highest_and_stops_at_an_unready_one(plane):
    plane.apply(stateful())
    plane.healthy = lambda pod: pod["spec"]["containers"][0]["image"] != "redis:bad"
    plane.apply(stateful(image="redis:bad"))
    assert images(plane) == {"db-0": "redis:1", "db-1": "redis:1", "db-2": "redis:bad"}
    status = plane.get("StatefulSet", "db")["status"]
    assert (status["currentReplicas"], status["updatedReplicas"]) == (2, 1)
    assert status["currentRevision"] != status["updateRevision"]
    plane.healthy = lambda pod: True
    plane.settle()
    assert set(images(plane).values()) == {"redis:bad"}
    status = plane.get("StatefulSet", "db")["status"]
    assert status["currentRevision"] == status["updateRevision"]
    assert status["currentReplicas"] == 3


def test_partition_keeps_the_lower_ones_old_also_when_they_are_made_anew(plane):
    plane.apply(stateful())
    plane.apply(stateful(image="redis:2", updateStrategy=rolling(2)))
    assert images(plane) == {"db-0": "redis:1", "db-1": "redis:1", "db-2": "redis:2"}
    plane.store.delete("Pod", "default", "db-0")
    plane.loop.drain()
    assert images(plane)["db-0"] == "redis:1"
    plane.apply(stateful(image="redis:2", updateStrategy=rolling(0)))
    assert set(images(plane).values()) == {"redis:2"}


def test_on_delete_replaces_only_what_is_deleted(plane):
    plane.apply(stateful(updateStrategy={"type": "OnDelete"}))
    plane.apply(stateful(image="redis:2", updateStrategy={"type": "OnDelete"}))
    assert set(images(plane).values()) == {"redis:1"}
    plane.store.delete("Pod", "default", "db-1")
    plane.loop.drain()
    assert images(plane) == {"db-0": "redis:1", "db-1": "redis:2", "db-2": "redis:1"}


def test_min_ready_seconds_hold_up_the_next_one(plane):
    plane.apply(stateful(minReadySeconds=10))
    assert names(plane) == ["db-0"]
    assert plane.get("StatefulSet", "db")["status"]["availableReplicas"] == 0
    plane.wait(10)
    assert names(plane) == ["db-0", "db-1"]
    plane.wait(10)
    plane.wait(10)
    assert plane.get("StatefulSet", "db")["status"]["availableReplicas"] == 3


def test_rolling_back_uses_the_old_revision_again(plane):
    plane.apply(stateful())
    plane.apply(stateful(image="redis:2"))
    plane.apply(stateful())
    revisions = {r["revision"]: r["data"]["spec"]["template"]["spec"]["containers"][0]["image"]
                 for r in plane.store.list("ControllerRevision")}  # fmt: skip
    assert revisions == {2: "redis:2", 3: "redis:1"}


def test_history_is_limited(plane):
    for number in range(6):
        plane.apply(stateful(image=f"redis:{number}", revisionHistoryLimit=2))
    assert sorted(r["revision"] for r in plane.store.list("ControllerRevision")) == [4, 5, 6]


def test_claims_outlive_pods_and_come_with_the_name(plane):
    plane.apply(stateful(claims=("data",), replicas=2))
    claims = plane.store.list("PersistentVolumeClaim")
    assert [c["metadata"]["name"] for c in claims] == ["data-db-0", "data-db-1"]
    assert claims[0]["metadata"]["labels"] == {"app": "db"}
    (volume,) = [v for v in plane.get("Pod", "db-1")["spec"]["volumes"] if v["name"] == "data"]
    assert volume["persistentVolumeClaim"] == {"claimName": "data-db-1"}
    plane.apply(stateful(claims=("data",), replicas=1))
    plane.store.delete("StatefulSet", "default", "db")
    plane.loop.drain()
    assert names(plane) == []
    assert len(plane.store.list("PersistentVolumeClaim")) == 2


@pytest.mark.parametrize(
    ("policy", "scaled", "deleted"),
    [
        ({"whenDeleted": "Retain", "whenScaled": "Retain"}, 2, 2),
        ({"whenDeleted": "Retain", "whenScaled": "Delete"}, 1, 1),
        ({"whenDeleted": "Delete", "whenScaled": "Retain"}, 2, 0),
        ({"whenDeleted": "Delete", "whenScaled": "Delete"}, 1, 0),
    ],
)
def test_retention(plane, policy, scaled, deleted):
    wanted = {"claims": ("data",), "persistentVolumeClaimRetentionPolicy": policy}
    plane.apply(stateful(replicas=2, **wanted))
    plane.apply(stateful(replicas=1, **wanted))
    assert len(plane.store.list("PersistentVolumeClaim")) == scaled
    plane.store.delete("StatefulSet", "default", "db")
    plane.loop.drain()
    assert len(plane.store.list("PersistentVolumeClaim")) == deleted


def test_ordinals_of_names():
    sts = stateful("a-b")
    for name, expected in (("a-b-0", 0), ("a-b-12", 12), ("a-b", None), ("a-b-x", None), ("b-1", None), ("a-1", None)):
        assert identity.ordinal(sts, {"metadata": {"name": name}}) == expected


def test_events(plane):
    plane.apply(stateful(replicas=1, claims=("data",)))
    said = {e["message"] for e in plane.store.list("Event") if e["involvedObject"]["kind"] == "StatefulSet"}
    assert said == {
        "create Claim data-db-0 Pod db-0 in StatefulSet db success", "create Pod db-0 in StatefulSet db successful",
    }  # fmt: skip
