"""Which container of a pod a client means."""

from __future__ import annotations

import pytest

from labkit.cluster.containers import chosen
from labkit.errors import ApiError


def pod(*main, init=(), ephemeral=()):
    kinds = {"containers": main, "initContainers": init, "ephemeralContainers": ephemeral}
    spec = {kind: [{"name": name} for name in names] for kind, names in kinds.items() if names}
    return {"metadata": {"name": "web"}, "spec": spec}


@pytest.mark.parametrize(
    ("raw", "name", "expected"),
    [
        (pod("a"), "", "a"),
        (pod("a", init=["i"]), "", "a"),
        (pod("a", "b"), "b", "b"),
        (pod("a", init=["i"]), "i", "i"),
        (pod("a", ephemeral=["e"]), "e", "e"),
    ],
)
def test_chosen(raw, name, expected):
    assert chosen(raw, name) == expected


@pytest.mark.parametrize(
    ("raw", "name", "message"),
    [
        (pod("a"), "x", "container x is not valid for pod web"),
        (pod("a", "b"), "", "a container name must be specified for pod web, choose one of: [a b]"),
        (pod("a", "b", init=["i", "j"]), "", r"choose one of: [a b] or one of the init containers: [i j]"),
    ],
)
def test_what_is_not_clear_is_refused(raw, name, message):
    with pytest.raises(ApiError) as refused:
        chosen(raw, name)
    assert refused.value.details["status"]["code"] == 400
    assert refused.value.message.endswith(message)
