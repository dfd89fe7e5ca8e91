"""Scaling in the middle of a rollout: the arithmetic, and what becomes of the ReplicaSets."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labkit.api.objects import DeploymentSpec, DeploymentStrategy, RollingUpdateDeployment
from labkit.workloads.proportions import is_scaling, scaled
from labkit.workloads.rollout import Size, bounds

from .conftest import deployment

TEN = {"strategy": {"rollingUpdate": {"maxSurge": 3, "maxUnavailable": 2}}}
DESIRED, MOST = "deployment.kubernetes.io/desired-replicas", "deployment.kubernetes.io/max-replicas"


def spec(replicas, surge=3, kind="RollingUpdate"):
    update = RollingUpdateDeployment(max_surge=surge, max_unavailable=2)
    return DeploymentSpec(replicas=replicas, strategy=DeploymentStrategy(type=kind, rolling_update=update))


def rs(name, replicas, desired=10, most=13, available=0):
    return Size(name, replicas, available, replicas, desired, most)


@pytest.mark.parametrize(
    ("wanted", "sets", "new", "expected"),
    [
        (spec(15), [rs("o", 8), rs("n", 5)], "n", {"o": 11, "n": 7}),  # the example of Kubernetes' documentation
        (spec(11), [rs("m", 4), rs("o", 5), rs("n", 4)], "n", {"m": 4, "o": 6, "n": 4}),  # by rounding one is left
        (spec(5), [rs("o", 8), rs("n", 5)], "n", {"o": 5, "n": 3}),
        (spec(0), [rs("o", 8), rs("n", 5)], "n", {"o": 0, "n": 0}),
        (spec(12, 0), [rs("a", 5, 10, 10), rs("b", 5, 10, 10)], "b", {"b": 6, "a": 6}),
        (spec(11, 0), [rs("a", 5, 10, 10), rs("b", 5, 10, 10)], "b", {"b": 6, "a": 5}),  # of equal ones the newest
        (spec(9, 0), [rs("a", 5, 10, 10), rs("b", 5, 10, 10)], "b", {"a": 4, "b": 5}),  # and the oldest shrinks
        (spec(10), [rs("o", 8), rs("n", 5)], "n", {"o": 8, "n": 5}),  # only what they were sized for is told anew
        (spec(20), [rs("o", 8, None, 0), rs("n", 5, None, 0)], "n", {"o": 14, "n": 9}),  # by the status' count
        (spec(12), [rs("o", 2), rs("n", 12, 12, 15, 12)], "n", {"o": 0}),  # the new one is complete
        (spec(5), [rs("a", 0), rs("b", 3), rs("n", 0)], "n", {"b": 5}),  # the only one with replicas
        (spec(5), [rs("n", 0), rs("a", 0)], "n", {"n": 5}),
        (spec(5), [rs("a", 0), rs("b", 0)], "", {"b": 5}),  # the newest
        (spec(5), [], "", {}),
        (spec(5, kind="Recreate"), [rs("a", 2), rs("n", 2)], "n", {}),
    ],
)
def test_scaled(wanted, sets, new, expected):
    assert scaled(wanted, sets, new, counted=13) == expected


def test_nothing_is_added_where_nothing_is_known():
    assert scaled(spec(20), [rs("o", 8, None, 0), rs("n", 5, None, 0)], "n", counted=0) == {"o": 18, "n": 5}


@pytest.mark.parametrize(
    ("wanted", "sets", "expected"),
    [
        (spec(10), [rs("a", 8), rs("b", 5)], False),
        (spec(11), [rs("a", 8), rs("b", 5)], True),
        (spec(11), [rs("a", 0), rs("b", 11, 11)], False),  # whoever has no replicas is not asked
        (spec(11), [rs("a", 3, None)], False),
        (spec(11, kind="Recreate"), [rs("a", 3)], True),
        (spec(11, kind="Recreate"), [rs("a", 3), rs("b", 2)], False),
    ],
)
def test_is_scaling(wanted, sets, expected):
    assert is_scaling(wanted, sets) is expected


@given(
    wanted=st.integers(0, 60),
    surge=st.integers(0, 5),
    parts=st.lists(st.integers(1, 9), min_size=2, max_size=5),
)
def test_all_that_is_allowed_is_given_out(wanted, surge, parts):
    """Together they are what the Deployment may have with its surge, and none grows where it shrinks."""
    sets = [rs(f"r{i}", size, sum(parts) - surge, sum(parts)) for i, size in enumerate(parts)]
    new = spec(wanted, surge)
    sizes = scaled(new, sets, "", counted=0)
    most = wanted + bounds(new)[0] if wanted else 0
    assert sum(sizes.values()) == most
    ways = [sizes[r.name] - r.replicas for r in sets]
    assert min(ways) >= 0 or max(ways) <= 0


def test_a_scaled_rollout_that_stands_still_grows_in_proportion(plane):
    plane.apply(deployment(replicas=10, **TEN))
    plane.healthy = lambda pod: pod["spec"]["containers"][0]["image"] != "nginx:bad"
    plane.apply(deployment(replicas=10, image="nginx:bad", **TEN))
    assert plane.sizes() == {"nginx:1": 8, "nginx:bad": 5}
    plane.apply(deployment(replicas=15, image="nginx:bad", **TEN))
    assert plane.sizes() == {"nginx:1": 11, "nginx:bad": 7}
    for found in plane.store.list("ReplicaSet"):
        annotations = found["metadata"]["annotations"]
        assert (annotations[DESIRED], annotations[MOST]) == ("15", "18")
    said = [e["message"] for e in plane.store.list("Event") if e["reason"] == "ScalingReplicaSet"]
    assert any(message.startswith("Scaled up") and message.endswith("from 8 to 11") for message in said)
    assert any(message.startswith("Scaled up") and message.endswith("from 5 to 7") for message in said)
    plane.healthy = lambda pod: True
    plane.settle()
    assert plane.sizes() == {"nginx:1": 0, "nginx:bad": 15}


def test_an_image_changed_together_with_the_replicas_rolls_out_after_the_scaling(plane):
    plane.apply(deployment(replicas=2))
    grown = []
    plane.store.watch({"ReplicaSet"}, lambda e: grown.append(e.object["spec"]["replicas"]), initial=False)
    plane.apply(deployment(replicas=4, image="nginx:2"))
    assert grown[0] == 4
    assert plane.sizes() == {"nginx:1": 0, "nginx:2": 4}


def test_recreate_scaled_with_several_replica_sets_gets_there(plane):
    plane.apply(deployment(replicas=4))
    plane.healthy = lambda pod: pod["spec"]["containers"][0]["image"] != "nginx:bad"
    plane.apply(deployment(replicas=4, image="nginx:bad"))
    plane.apply(deployment(replicas=6, image="nginx:bad", strategy={"type": "Recreate", "rollingUpdate": None}))
    assert plane.sizes() == {"nginx:1": 0, "nginx:bad": 6}


def test_annotations_that_somebody_else_wrote_do_no_harm(plane):
    plane.apply(deployment(replicas=2))
    (found,) = plane.store.list("ReplicaSet")
    for text in ("", "-1", "many", "9" * 40):
        plane.store.update(
            "ReplicaSet",
            "default",
            found["metadata"]["name"],
            lambda r, t=text: r["metadata"]["annotations"].update({DESIRED: t, MOST: t}),
        )
        plane.loop.drain()
        assert plane.failures == []
        assert plane.sizes() == {"nginx:1": 2}
