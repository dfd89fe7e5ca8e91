"""Whether one node's kube-proxy is well: it is unless a change has waited too long to be in force.

    :10256  /healthz   200, or 503 where it is not well, or the node is about to go (KEP-3836)
            /livez     the same without the node

Source: Kubernetes v1.34, pkg/proxy/healthcheck/proxy_health.go.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import msgspec

from labkit.api.objects import Node
from labkit.net.rules import Family
from labkit.proxy.healthcheck import Answer, stays

NEVER = "0001-01-01T00:00:00Z"
NO_SNIFF = {"X-Content-Type-Options": "nosniff"}


class Health:
    """`patience`: seconds that a change may wait, twice the syncPeriod; `clock`: seconds since 1970."""

    def __init__(self, patience: float, clock: Callable[[], float]) -> None:
        self.node: Node | None = None
        self._patience = patience
        self._clock = clock
        self._updated: dict[Family, float] = {}
        self._waiting: dict[Family, float] = {}  # since when

    def queued(self, family: Family) -> None:
        """A change has come that is not in force yet."""
        self._waiting.setdefault(family, self._clock())

    def updated(self, family: Family) -> None:
        """All that has come is in force."""
        self._waiting.pop(family, None)
        self._updated[family] = self._clock()

    @property
    def well(self) -> bool:
        return not any(self._late(family) for family in self._updated)

    def answer(self, path: str) -> Answer:
        """What the page says; other paths than the two are not there."""
        if path not in ("/healthz", "/livez"):
            return Answer(404, "404 page not found\n", NO_SNIFF)
        fit = self.node is not None and stays(self.node)
        now, last = self._clock(), max(self._updated.values(), default=None)
        good = self.well and (fit or path == "/livez")
        eligible = {"nodeEligible": fit} if path == "/healthz" else {}
        told = {
            "lastUpdated": _time(now if good else last),
            "currentTime": _time(now),
            **eligible,
            "healthy": self.well,
            "status": {
                family: {"lastUpdated": _time(at), "healthy": not self._late(family)}
                for family, at in sorted(self._updated.items())
            },
        }
        if not told["status"]:
            del told["status"]
        return Answer(200 if good else 503, msgspec.json.encode(told).decode(), NO_SNIFF)

    def _late(self, family: Family) -> bool:
        since = self._waiting.get(family)
        return since is not None and self._clock() - since >= self._patience


def _time(seconds: float | None) -> str:
    """As Go's JSON has it."""
    return NEVER if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")
