"""The arithmetic of a rollout."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labkit.api.objects import DeploymentSpec, DeploymentStrategy, RollingUpdateDeployment
from labkit.workloads.rollout import Size, bounds, step


def spec(replicas, surge="25%", unavailable="25%", kind="RollingUpdate"):
    update = RollingUpdateDeployment(max_surge=surge, max_unavailable=unavailable)
    return DeploymentSpec(replicas=replicas, strategy=DeploymentStrategy(type=kind, rolling_update=update))


@pytest.mark.parametrize(
    ("replicas", "surge", "unavailable", "expected"),
    [
        (4, "25%", "25%", (1, 1)),
        (3, "25%", "25%", (1, 0)),
        (10, "25%", "25%", (3, 2)),
        (1, "25%", "25%", (1, 0)),
        (10, 0, 0, (0, 1)),
        (10, "0%", "1%", (0, 1)),
        (2, 3, 5, (3, 2)),
        (0, "25%", "25%", (0, 0)),
    ],
)
def test_bounds(replicas, surge, unavailable, expected):
    assert bounds(spec(replicas, surge, unavailable)) == expected


@pytest.mark.parametrize(
    ("wanted", "new", "old", "expected"),
    [
        (spec(3), Size("n", 0), [], {"n": 3}),
        (spec(3), Size("n", 0), [Size("o", 3, 3)], {"n": 1}),  # the surge
        (spec(3), Size("n", 1, 0), [Size("o", 3, 3)], {}),  # the new one is not available yet
        (spec(3), Size("n", 1, 1), [Size("o", 3, 3)], {"o": 2}),
        (spec(3), Size("n", 1, 1), [Size("o", 2, 2)], {"n": 2}),
        (spec(3), Size("n", 5, 5), [], {"n": 3}),  # scaled down
        (spec(3), Size("n", 3, 3), [], {}),
        (spec(4), Size("n", 2, 0), [Size("o", 3, 3)], {}),  # as many as may be missing are missing
        (spec(4), Size("n", 1, 0), [Size("a", 2, 2), Size("b", 2, 1)], {"b": 1}),  # what is not available goes first
        (spec(4), Size("n", 0, 0), [Size("a", 2, 0), Size("b", 3, 0)], {"a": 0}),  # no more than may go at once
        (spec(4), Size("n", 4, 4), [Size("a", 1, 0), Size("b", 1, 1)], {"a": 0, "b": 0}),
        (spec(3, kind="Recreate"), Size("n", 0), [Size("o", 3, 3, 3)], {"o": 0}),
        (spec(3, kind="Recreate"), Size("n", 0), [Size("o", 0, 0, 1)], {}),  # one old pod is still leaving
        (spec(3, kind="Recreate"), Size("n", 0), [Size("o", 0)], {"n": 3}),
    ],
)
def test_step(wanted, new, old, expected):
    assert step(wanted, new, old) == expected


AMOUNTS = st.one_of(st.integers(0, 4), st.sampled_from(["0%", "25%", "50%", "100%"]))


@given(
    replicas=st.integers(0, 12),
    surge=AMOUNTS,
    unavailable=AMOUNTS,
    old=st.lists(st.integers(0, 8), max_size=3),
    healthy=st.data(),
)
@settings(max_examples=300, deadline=None)
def test_rollout_ends_and_keeps_its_bounds(replicas, surge, unavailable, old, healthy):
    """Pods become available in any order; never too many, never too few available, and in the end all are new."""
    wanted = spec(replicas, surge, unavailable)
    most, missing = bounds(wanted)
    sizes = {f"o{i}": size for i, size in enumerate(old)} | {"n": 0}
    available = dict(sizes)
    limit = max(replicas + most, sum(sizes.values()))
    floor = min(replicas - missing, sum(sizes.values()))
    for _ in range(200):
        *olds, new = (Size(name, size, min(available[name], size)) for name, size in sizes.items())
        changes = step(wanted, new, olds)
        sizes |= changes
        available = {name: min(available[name], size) for name, size in sizes.items()}
        assert sum(sizes.values()) <= limit
        assert sum(available.values()) >= floor
        waiting = sizes["n"] - available["n"]
        if not changes and not waiting:
            break
        available["n"] += healthy.draw(st.integers(0 if changes else min(1, waiting), waiting))
    assert sizes == {name: replicas if name == "n" else 0 for name in sizes}
