"""Jobs: completions, indexes, back-off, deadlines, suspension, policies, the last word, what is left behind."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labkit.workloads.jobs import indexes

FINALIZER = "batch.kubernetes.io/job-tracking"


def job(name="work", restart="Never", **spec):
    container = {"name": "main", "image": "busybox:1", "command": ["true"]}
    template = {"spec": {"restartPolicy": restart, "containers": [container]}}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name}, "spec": {"template": template, **spec}}


def pods(plane, phase="Running"):
    return [p for p in plane.store.list("Pod") if p["status"].get("phase") == phase]


def finish(plane, pod, phase="Succeeded", code=0, **status):
    """The pod's only container ends now."""
    ended = {"terminated": {"exitCode": code, "finishedAt": plane.timestamp()}}
    states = [{"name": "main", "state": ended, "restartCount": 0, "ready": False}]
    change = {"phase": phase, "containerStatuses": states, **status}
    plane.store.update("Pod", "default", pod["metadata"]["name"], lambda raw: raw["status"].update(change))
    plane.loop.drain()


def status(plane, name="work"):
    return plane.get("Job", name)["status"]


def conditions(plane, name="work"):
    return {c["type"]: (c["status"], c["reason"], c["message"]) for c in status(plane, name).get("conditions", ())}


def said(plane, reason):
    return [e["message"] for e in plane.store.list("Event") if e["reason"] == reason]


def test_one_pod_to_its_end(plane):
    plane.apply(job())
    raw = plane.get("Job", "work")
    uid = raw["metadata"]["uid"]
    assert raw["spec"]["selector"] == {"matchLabels": {"batch.kubernetes.io/controller-uid": uid}}
    assert raw["metadata"]["generation"] == 1
    (pod,) = pods(plane)
    assert pod["metadata"]["labels"] == {
        "batch.kubernetes.io/controller-uid": uid, "batch.kubernetes.io/job-name": "work", "controller-uid": uid,
        "job-name": "work",
    }  # fmt: skip
    assert pod["metadata"]["finalizers"] == [FINALIZER]
    running = {"active": 1, "ready": 1, "terminating": 0, "uncountedTerminatedPods": {}}
    assert status(plane) == {**running, "startTime": plane.timestamp()}
    finish(plane, pod)
    reached = ("True", "CompletionsReached", "Reached expected number of succeeded pods")
    assert conditions(plane) == {"SuccessCriteriaMet": reached, "Complete": reached}
    assert {k: v for k, v in status(plane).items() if k != "conditions"} == {
        "startTime": plane.timestamp(), "completionTime": plane.timestamp(), "succeeded": 1, "ready": 0,
        "terminating": 0, "uncountedTerminatedPods": {},
    }  # fmt: skip
    assert "finalizers" not in pods(plane, "Succeeded")[0]["metadata"]
    assert said(plane, "Completed") == ["Job completed"]


def test_as_many_at_once_as_are_allowed_and_still_needed(plane):
    plane.apply(job(completions=5, parallelism=2))
    assert len(pods(plane)) == 2
    for expected in (2, 2, 2, 1):
        finish(plane, pods(plane)[0])
        assert len(pods(plane)) == expected
    finish(plane, pods(plane)[0])
    assert (status(plane)["succeeded"], "Complete" in conditions(plane)) == (5, True)


def test_a_work_queue_is_done_when_one_has_succeeded_and_none_runs(plane):
    plane.apply(job(parallelism=3))
    assert len(pods(plane)) == 3
    finish(plane, pods(plane)[0])
    assert (len(pods(plane)), conditions(plane)) == (2, {})
    for pod in pods(plane):
        finish(plane, pod)
    assert (status(plane)["succeeded"], "Complete" in conditions(plane)) == (3, True)


def test_parallelism_may_change(plane):
    plane.apply(job(completions=6, parallelism=1))
    plane.apply(job(completions=6, parallelism=3))
    assert len(pods(plane)) == 3
    plane.apply(job(completions=6, parallelism=1))
    assert len(pods(plane)) == 1
    assert "failed" not in status(plane)


def test_failures_are_retried_ever_later_until_the_limit(plane):
    plane.apply(job(backoffLimit=2))
    for pause in (10, 20):
        finish(plane, pods(plane)[0], "Failed", 1)
        assert pods(plane) == []
        plane.wait(pause - 1)
        assert pods(plane) == []
        plane.wait(1)
        assert len(pods(plane)) == 1
    finish(plane, pods(plane)[0], "Failed", 1)
    exceeded = ("True", "BackoffLimitExceeded", "Job has reached the specified backoff limit")
    assert conditions(plane) == {"FailureTarget": exceeded, "Failed": exceeded}
    assert (status(plane)["failed"], "completionTime" in status(plane)) == (3, False)
    plane.wait(1000)
    assert pods(plane) == []
    assert said(plane, "BackoffLimitExceeded") == ["Job has reached the specified backoff limit"]


def test_restarts_in_place_count_against_the_limit(plane):
    plane.apply(job(restart="OnFailure", backoffLimit=2))
    (pod,) = pods(plane)
    again = [{"name": "main", "restartCount": 2, "ready": False, "state": {"running": {}}}]
    plane.store.update("Pod", "default", pod["metadata"]["name"], lambda p: p["status"].update(containerStatuses=again))
    plane.loop.drain()
    assert conditions(plane)["Failed"][1] == "BackoffLimitExceeded"


def test_deadline(plane):
    plane.apply(job(activeDeadlineSeconds=30))
    plane.wait(29)
    assert len(pods(plane)) == 1
    plane.finalizing = False
    plane.wait(1)
    assert conditions(plane).keys() == {"FailureTarget"}  # its pod is still ending
    plane.finalizing = True
    plane.settle()
    assert conditions(plane)["Failed"][1:] == ("DeadlineExceeded", "Job was active longer than specified deadline")
    assert (status(plane)["failed"], plane.store.list("Pod")) == (1, ())


def test_suspension(plane):
    plane.apply(job(suspend=True))
    assert (pods(plane), conditions(plane)["Suspended"]) == ([], ("True", "JobSuspended", "Job suspended"))
    assert "startTime" not in status(plane)
    plane.apply(job(suspend=False))
    assert (len(pods(plane)), conditions(plane)["Suspended"]) == (1, ("False", "JobResumed", "Job resumed"))
    plane.apply(job(suspend=True))
    assert (pods(plane), status(plane).get("failed", 0)) == ([], 0)
    assert (len(said(plane, "Suspended")), len(said(plane, "Resumed"))) == (1, 1)


def test_a_deleted_pod_counts_as_failed_and_goes(plane):
    plane.apply(job())
    plane.store.delete("Pod", "default", pods(plane)[0]["metadata"]["name"])
    plane.loop.drain()
    assert (status(plane)["failed"], len(pods(plane))) == (1, 1)
    assert len(plane.store.list("Pod")) == 1


def test_replacement_waits_for_the_end_where_asked(plane):
    plane.apply(job(podReplacementPolicy="Failed"))
    plane.finalizing = False
    plane.store.delete("Pod", "default", pods(plane)[0]["metadata"]["name"])
    plane.loop.drain()
    assert (status(plane)["terminating"], len(plane.store.list("Pod"))) == (1, 1)


def test_indexes(plane):
    plane.apply(job(completions=4, parallelism=4, completionMode="Indexed"))
    found = {p["metadata"]["labels"][indexes.INDEX]: p for p in pods(plane)}
    assert sorted(found) == ["0", "1", "2", "3"]
    pod = found["2"]
    assert pod["metadata"]["name"].startswith("work-2-")
    assert pod["spec"]["hostname"] == "work-2"
    (variable,) = pod["spec"]["containers"][0]["env"]
    assert variable["name"] == "JOB_COMPLETION_INDEX"
    assert variable["valueFrom"]["fieldRef"]["fieldPath"] == f"metadata.labels['{indexes.INDEX}']"
    for index in ("0", "1", "3"):
        finish(plane, found[index])
    assert (status(plane)["completedIndexes"], status(plane)["succeeded"]) == ("0,1,3", 3)
    finish(plane, pod, "Failed", 1)
    plane.wait(10)
    (again,) = pods(plane)
    assert again["metadata"]["annotations"][indexes.INDEX] == "2"
    finish(plane, again)
    assert (status(plane)["completedIndexes"], "Complete" in conditions(plane)) == ("0-3", True)


def test_limits_by_index(plane):
    plane.apply(job(completions=2, parallelism=2, completionMode="Indexed", backoffLimitPerIndex=1, backoffLimit=99))
    by_index = {indexes.of(p): p for p in pods(plane)}
    finish(plane, by_index[1])
    finish(plane, by_index[0], "Failed", 1)
    plane.wait(10)
    (again,) = pods(plane)
    assert again["metadata"]["annotations"]["batch.kubernetes.io/job-index-failure-count"] == "1"
    finish(plane, again, "Failed", 1)
    assert (status(plane)["failedIndexes"], status(plane)["completedIndexes"]) == ("0", "1")
    assert conditions(plane)["Failed"][1:] == ("FailedIndexes", "Job has failed indexes")


def rules(*entries):
    return {"podFailurePolicy": {"rules": list(entries)}}


def exit_codes(action, operator, *values, **more):
    return {"action": action, "onExitCodes": {"operator": operator, "values": list(values), **more}}


def test_a_rule_fails_the_job_at_once(plane):
    plane.apply(job(completions=2, parallelism=2, **rules(exit_codes("FailJob", "In", 42))))
    victim = pods(plane)[0]
    finish(plane, victim, "Failed", 42)
    name = victim["metadata"]["name"]
    message = f"Container main for pod default/{name} failed with exit code 42 matching FailJob rule at index 0"
    assert conditions(plane)["Failed"] == ("True", "PodFailurePolicy", message)
    assert pods(plane) == []


def test_a_rule_ignores_disruptions(plane):
    rule = {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}
    plane.apply(job(backoffLimit=0, **rules(rule, exit_codes("Count", "NotIn", 7))))
    target = [{"type": "DisruptionTarget", "status": "True"}]
    finish(plane, pods(plane)[0], "Failed", 1, conditions=target)
    plane.wait(10)
    assert (status(plane).get("failed", 0), len(pods(plane))) == (0, 1)
    finish(plane, pods(plane)[0], "Failed", 1)
    assert conditions(plane)["Failed"][1] == "BackoffLimitExceeded"


def test_success_policy(plane):
    policy = {"rules": [{"succeededIndexes": "0-1", "succeededCount": 1}]}
    plane.apply(job(completions=4, parallelism=4, completionMode="Indexed", successPolicy=policy))
    by_index = {indexes.of(p): p for p in pods(plane)}
    finish(plane, by_index[3])
    assert conditions(plane) == {}
    finish(plane, by_index[1])
    assert conditions(plane)["Complete"] == ("True", "SuccessPolicy", "Matched rules at index 0")
    assert (pods(plane), status(plane)["failed"]) == ([], 2)  # what was deleted on the way counts as failed


def test_ttl(plane):
    plane.apply(job(ttlSecondsAfterFinished=60))
    finish(plane, pods(plane)[0])
    plane.wait(59)
    assert plane.store.find("Job", "default", "work")
    plane.wait(1)
    assert plane.store.find("Job", "default", "work") is None
    assert plane.store.list("Pod") == ()


@pytest.mark.parametrize("propagation", ["Background", "Foreground"])
def test_a_deleted_job_takes_its_pods_along(plane, propagation):
    plane.apply(job(parallelism=2))
    plane.store.delete("Job", "default", "work", propagation=propagation)
    plane.loop.drain()
    plane.settle()
    assert (plane.store.find("Job", "default", "work"), plane.store.list("Pod")) == (None, ())


def test_manual_selector(plane):
    own = job(manualSelector=True, selector={"matchLabels": {"a": "b"}})
    own["spec"]["template"]["metadata"] = {"labels": {"a": "b"}}
    plane.apply(own)
    assert pods(plane)[0]["metadata"]["labels"] == {"a": "b"}


@given(st.sets(st.integers(0, 60)))
def test_index_texts(numbers):
    assert indexes.parse(indexes.written(numbers), 61) == numbers
    assert indexes.parse(indexes.written(numbers), 30) == {number for number in numbers if number < 30}


@pytest.mark.parametrize("text", ["b", "1,b", "1-", "-", "1,,2", "٣"])
def test_no_index_texts(text):
    assert indexes.parse(text, 10) == set()


def test_index_text_is_the_real_one():
    assert indexes.written({0, 1, 3, 5, 6, 7}) == "0,1,3,5-7"
