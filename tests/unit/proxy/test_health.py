"""Whether a node's kube-proxy is well, in its own words: the steps of kube-proxy's own test among them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from labkit.api.objects import Node, view
from labkit.proxy.health import Health


def node(**parts: Any) -> Node:
    return view({"kind": "Node", "metadata": {"name": "node-1", **parts.pop("metadata", {})}, **parts}, Node)


class Bed:
    def __init__(self) -> None:
        self.now = 1_000_000.0
        self.health = Health(60, lambda: self.now)
        self.health.node = node()

    def status(self, path: str = "/healthz") -> int:
        return self.health.answer(path).status

    def told(self, path: str = "/healthz") -> dict[str, Any]:
        told: dict[str, Any] = json.loads(self.health.answer(path).body)
        return told


def test_a_change_may_wait_for_twice_the_sync_period() -> None:
    bed = Bed()
    assert bed.status() == 200, "while it starts"
    bed.health.updated("IPv4")
    bed.now += 3600
    assert bed.status() == 200, "nothing to do"
    bed.health.queued("IPv4")
    bed.now += 59
    bed.health.queued("IPv4")
    assert bed.status() == 200
    bed.now += 1
    assert (bed.status(), bed.status("/livez")) == (503, 503), "the first change counts, not the last"
    bed.health.updated("IPv4")
    assert bed.status() == 200


def test_each_family_is_told() -> None:
    bed = Bed()
    bed.health.updated("IPv4")
    bed.now += 10
    bed.health.updated("IPv6")
    bed.health.queued("IPv6")
    bed.now += 60
    assert bed.told() == {
        "lastUpdated": "1970-01-12T13:46:50Z",
        "currentTime": "1970-01-12T13:47:50Z",
        "nodeEligible": True,
        "healthy": False,
        "status": {
            "IPv4": {"lastUpdated": "1970-01-12T13:46:40Z", "healthy": True},
            "IPv6": {"lastUpdated": "1970-01-12T13:46:50Z", "healthy": False},
        },
    }


def test_the_words_while_it_is_well() -> None:
    bed = Bed()
    assert bed.told() == {
        "lastUpdated": "1970-01-12T13:46:40Z", "currentTime": "1970-01-12T13:46:40Z", "nodeEligible": True,
        "healthy": True,
    }  # fmt: skip
    assert "nodeEligible" not in bed.told("/livez")
    assert bed.health.answer("/healthz").headers == {"X-Content-Type-Options": "nosniff"}


@pytest.mark.parametrize(
    ("path", "found", "status"),
    [
        ("/healthz", node(), 200),
        ("/healthz", node(spec={"taints": [{"key": "ToBeDeletedByClusterAutoscaler"}]}), 503),
        ("/healthz", node(metadata={"deletionTimestamp": "2026-01-01T00:00:00Z"}), 503),
        ("/healthz", None, 503),
        ("/livez", None, 200),
        ("/other", node(), 404),
    ],
)
def test_a_node_that_is_about_to_go_gets_no_traffic(path: str, found: Node | None, status: int) -> None:
    bed = Bed()
    bed.health.node = found
    assert bed.status(path) == status
