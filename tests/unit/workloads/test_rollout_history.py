"""What `kubectl rollout` asks of a Deployment: progress and its deadline, pause and resume, undo, Events."""

from __future__ import annotations

from labkit.control.apply import apply

from .conftest import deployment

BAD = "nginx:bad"


def progressing(plane):
    conditions = plane.get("Deployment", "web")["status"]["conditions"]
    (found,) = [c for c in conditions if c["type"] == "Progressing"]
    return found


def said(plane, reason):
    return [e["message"] for e in plane.store.list("Event") if e["reason"] == reason]


def scaled(plane):
    return {message.replace(rs, image) for message in said(plane, "ScalingReplicaSet")
            for rs, image in images(plane).items() if rs in message}  # fmt: skip


def images(plane):
    sets = plane.store.list("ReplicaSet")
    return {rs["metadata"]["name"]: rs["spec"]["template"]["spec"]["containers"][0]["image"] for rs in sets}


def test_events_of_a_rollout(plane):
    plane.apply(deployment())
    assert scaled(plane) == {"Scaled up replica set nginx:1 from 0 to 3"}
    plane.apply(deployment(image="nginx:2"))
    assert scaled(plane) >= {
        "Scaled up replica set nginx:2 from 0 to 1", "Scaled down replica set nginx:1 from 1 to 0",
    }  # fmt: skip
    created = said(plane, "SuccessfulCreate")
    assert len(created) == 6
    assert all(message.startswith("Created pod: web-") for message in created)
    assert len(said(plane, "SuccessfulDelete")) == 3
    (event,) = [e for e in plane.store.list("Event") if "nginx:2" not in e["message"] and "0 to 3" in e["message"]]
    assert (event["source"], event["involvedObject"]["kind"]) == ({"component": "deployment-controller"}, "Deployment")


def test_a_rollout_that_stands_still_is_late(plane):
    plane.apply(deployment(progressDeadlineSeconds=60))
    assert progressing(plane)["reason"] == "NewReplicaSetAvailable"
    plane.healthy = lambda pod: pod["spec"]["containers"][0]["image"] != BAD
    plane.apply(deployment(image=BAD, progressDeadlineSeconds=60))
    assert progressing(plane)["reason"] == "ReplicaSetUpdated"
    plane.wait(59)
    assert progressing(plane)["status"] == "True"
    plane.wait(3)
    late = progressing(plane)
    (name,) = [name for name, image in images(plane).items() if image == BAD]
    assert (late["status"], late["reason"]) == ("False", "ProgressDeadlineExceeded")
    assert late["message"] == f'ReplicaSet "{name}" has timed out progressing.'
    plane.wait(600)
    assert progressing(plane) == late
    plane.apply(deployment(progressDeadlineSeconds=60))
    assert progressing(plane)["reason"] == "NewReplicaSetAvailable"


def test_no_deadline_no_condition(plane):
    plane.apply(deployment(progressDeadlineSeconds=2**31 - 1))
    conditions = plane.get("Deployment", "web")["status"]["conditions"]
    assert [c["type"] for c in conditions] == ["Available"]


def test_pause_and_resume(plane):
    plane.apply(deployment())
    plane.apply(deployment(image="nginx:2", paused=True))
    assert (progressing(plane)["status"], progressing(plane)["reason"]) == ("Unknown", "DeploymentPaused")
    assert set(plane.sizes()) == {"nginx:1"}
    plane.apply(deployment(image="nginx:2", paused=False))
    assert plane.sizes() == {"nginx:1": 0, "nginx:2": 3}
    assert progressing(plane)["reason"] == "NewReplicaSetAvailable"


def test_undo_with_a_null_timestamp_finds_the_old_replica_set(plane):
    plane.apply(deployment())
    plane.apply(deployment(image="nginx:2"))
    old = next(rs for rs in plane.store.list("ReplicaSet") if images(plane)[rs["metadata"]["name"]] == "nginx:1")
    template = old["spec"]["template"]
    labels = {k: v for k, v in template["metadata"]["labels"].items() if k != "pod-template-hash"}
    undone = {**template, "metadata": {"creationTimestamp": None, "labels": labels}}
    web = plane.get("Deployment", "web")
    plane.admission.replace({**web, "spec": {**web["spec"], "template": undone}})
    plane.loop.drain()
    assert plane.sizes() == {"nginx:1": 3, "nginx:2": 0}
    web = plane.get("Deployment", "web")
    assert web["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "3"


def test_refused_pods_show_in_both_statuses(plane):
    plane.store.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}})
    web = deployment(replicas=2, pod={"serviceAccountName": "nobody"})
    apply(plane.admission, [web])
    plane.loop.drain()
    (rs,) = plane.store.list("ReplicaSet")
    (failed,) = [c for c in rs["status"]["conditions"] if c["type"] == "ReplicaFailure"]
    assert (failed["status"], failed["reason"]) == ("True", "FailedCreate")
    assert 'serviceaccount "nobody" not found' in failed["message"]
    conditions = plane.get("Deployment", "web")["status"]["conditions"]
    assert [c["reason"] for c in conditions if c["type"] == "ReplicaFailure"] == ["FailedCreate"]
    assert said(plane, "FailedCreate")[0].startswith("Error creating: pods ")
    plane.store.create({"apiVersion": "v1", "kind": "ServiceAccount",
                        "metadata": {"name": "nobody", "namespace": "default"}})  # fmt: skip
    plane.wait(20)
    assert len(plane.pods(app="web")) == 2
    (rs,) = plane.store.list("ReplicaSet")
    assert "conditions" not in rs["status"]
