"""PodDisruptionBudgets and evictions."""

from __future__ import annotations

import pytest

from labkit.errors import ApiError
from labkit.workloads.disruption.eviction import evict

from .conftest import bare_pod, deployment


def budget(name="web", **spec):
    spec = {"selector": {"matchLabels": {"app": "web"}}, **spec}
    return {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": name}, "spec": spec}


def status(plane):
    return plane.get("PodDisruptionBudget", "web")["status"]


def numbers(plane):
    found = status(plane)
    return tuple(found[f] for f in ("expectedPods", "desiredHealthy", "currentHealthy", "disruptionsAllowed"))


def refused(plane, name, **options):
    with pytest.raises(ApiError) as caught:
        evict(plane.store, "default", name, options)
    return caught.value.details["status"]


def names(plane):
    return [p["metadata"]["name"] for p in plane.pods(app="web") if "deletionTimestamp" not in p["metadata"]]


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"minAvailable": 3}, (4, 3, 4, 1)),
        ({"minAvailable": "50%"}, (4, 2, 4, 2)),
        ({"maxUnavailable": 1}, (4, 3, 4, 1)),
        ({"maxUnavailable": "30%"}, (4, 2, 4, 2)),  # 1.2 of 4: rounded up
        ({"minAvailable": 9}, (4, 9, 4, 0)),
    ],
)
def test_counts(plane, spec, expected):
    plane.apply(deployment(replicas=4), budget(**spec))
    assert numbers(plane) == expected
    (condition,) = status(plane)["conditions"]
    word = ("True", "SufficientPods") if expected[3] else ("False", "InsufficientPods")
    assert (condition["type"], condition["status"], condition["reason"]) == ("DisruptionAllowed", *word)
    assert status(plane)["observedGeneration"] == 1


def test_eviction_until_the_budget_is_spent(plane):
    plane.apply(deployment(replicas=3), budget(minAvailable=2))
    plane.healthy = lambda pod: pod["metadata"]["name"] in first
    first = names(plane)
    evict(plane.store, "default", first[0])
    (pod,) = [p for p in plane.pods(app="web") if p["metadata"]["name"] == first[0]]
    assert "deletionTimestamp" in pod["metadata"]
    assert [c["reason"] for c in pod["status"]["conditions"] if c["type"] == "DisruptionTarget"] == [
        "EvictionByEvictionAPI"
    ]
    said = refused(plane, first[1])  # before any controller has looked
    assert (said["code"], said["reason"]) == (429, "TooManyRequests")
    assert said["message"] == "Cannot evict pod as it would violate the pod's disruption budget."
    plane.loop.drain()
    (cause,) = refused(plane, first[1])["details"]["causes"]
    assert cause == {
        "reason": "DisruptionBudget",
        "message": "The disruption budget web needs 2 healthy pods and has 2 currently",
    }
    plane.healthy = lambda pod: True
    plane.settle()
    evict(plane.store, "default", first[1])


def test_without_a_budget_and_options(plane):
    plane.apply(bare_pod("p", {"app": "web"}))
    uid = plane.get("Pod", "p")["metadata"]["uid"]
    evict(plane.store, "default", "p", {"dryRun": ["All"]})
    assert names(plane) == ["p"]
    assert refused(plane, "p", preconditions={"uid": "other"})["code"] == 409
    assert refused(plane, "p", preconditions={"resourceVersion": "1"})["code"] == 409
    assert plane.get("Pod", "p")["status"]["conditions"][-1]["type"] != "DisruptionTarget"
    evict(plane.store, "default", "p", {"preconditions": {"uid": uid}, "gracePeriodSeconds": 0})
    assert plane.store.find("Pod", "default", "p") is None
    assert refused(plane, "p")["code"] == 404


def test_dry_run_spends_nothing(plane):
    plane.apply(deployment(), budget(minAvailable=2))
    evict(plane.store, "default", names(plane)[0], {"dryRun": ["All"]})
    assert numbers(plane)[3] == 1


def test_unhealthy_pods(plane):
    plane.healthy = lambda pod: False
    plane.apply(deployment(), budget(minAvailable=1))
    assert refused(plane, names(plane)[0])["code"] == 429
    plane.apply(budget(minAvailable=1, unhealthyPodEvictionPolicy="AlwaysAllow"))
    evict(plane.store, "default", names(plane)[0])


def test_ended_pods_are_nobodys_loss(plane):
    plane.apply(bare_pod("p", {"app": "web"}), budget(minAvailable=1))
    plane.store.update("Pod", "default", "p", lambda raw: raw["status"].update(phase="Succeeded"))
    plane.loop.drain()
    evict(plane.store, "default", "p")
    assert names(plane) == []


def test_a_changed_budget_is_looked_at_first(plane):
    plane.apply(deployment(), budget(minAvailable=1))
    plane.admission.replace({**budget(minAvailable=3), "metadata": {"name": "web", "namespace": "default"}})
    said = refused(plane, names(plane)[0])
    assert said["details"]["causes"][0]["message"] == (
        "The disruption budget web is still being processed by the server."
    )
    assert said["details"]["retryAfterSeconds"] == 10


def test_two_budgets(plane):
    plane.apply(deployment(), budget(minAvailable=1), budget("other", minAvailable=1))
    assert refused(plane, names(plane)[0])["code"] == 500


def test_pods_that_cannot_be_counted(plane):
    plane.apply(bare_pod("p", {"app": "web"}), budget(maxUnavailable=1))
    (condition,) = status(plane)["conditions"]
    assert (condition["status"], condition["reason"]) == ("False", "SyncFailed")
    assert condition["message"] == 'found no controllers for pod "p"'
    assert refused(plane, "p")["code"] == 429


def test_a_remembered_eviction_is_forgotten(plane):
    plane.apply(deployment(), budget(minAvailable=2))
    name = names(plane)[0]
    plane.store.update("PodDisruptionBudget", "default", "web",
                       lambda raw: raw["status"].update(disruptedPods={name: plane.timestamp()}))  # fmt: skip
    plane.loop.drain()
    assert numbers(plane)[2] == 2
    plane.wait(121)
    assert numbers(plane)[2] == 3
    assert "disruptedPods" not in status(plane)
