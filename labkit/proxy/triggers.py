"""From when on a change of endpoints is measured: the time that its EndpointSlice tells.

    EndpointSlice ── Cause ──> Triggers, by Service ── a sync put them in force ──> how long each took

Source: Kubernetes v1.34, pkg/proxy/endpointschangetracker.go (lastChangeTriggerTimes).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec

from labkit.api.objects import TRIGGER_TIME, EndpointSlice


class Cause(msgspec.Struct, frozen=True):
    """What led to a change of a slice.

    service  "namespace/name" of the Service that it belongs to
    since    when that happened, in seconds since 1970; None where the slice does not tell, or has gone
    """

    service: str
    since: float | None = None
    gone: bool = False


class Triggers:
    """Those of changes that are not in force yet. What happened before `began` (seconds since 1970) does not count."""

    def __init__(self, began: float) -> None:
        self._began = began
        self._waiting: dict[str, list[float]] = {}

    def add(self, cause: Cause) -> None:
        """A slice that goes tells of its last change, not of its end: then nothing is measured."""
        if cause.gone:
            self._waiting.pop(cause.service, None)
        elif cause.since is not None and cause.since > self._began:
            self._waiting.setdefault(cause.service, []).append(cause.since)

    def take(self) -> list[float]:
        """All that wait; from now on none of them does."""
        waiting, self._waiting = self._waiting, {}
        return [since for times in waiting.values() for since in times]


def cause(one: EndpointSlice, gone: bool) -> Cause:
    """Of a slice as it is now, or was at last."""
    service = f"{one.namespace}/{one.service}"
    return Cause(service, gone=True) if gone else Cause(service, _seconds(one.metadata.annotations))


def _seconds(annotations: Mapping[str, Any]) -> float | None:
    try:
        return datetime.fromisoformat(annotations.get(TRIGGER_TIME, "")).timestamp()
    except ValueError:
        return None
