"""When what an EndpointSlice follows began: by it kube-proxy measures how long a change took.

    Service made, pod ready or not ── since the last look ──> the earliest ──> noted where a slice is written anyway

Source: k8s.io/endpointslice/util/trigger_time_tracker.go, utils.go (addTriggerTimeAnnotation) of v1.34.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from labkit.api.objects import TRIGGER_TIME, EndpointSlice, Pod, Service


class TriggerTimes:
    """Remembers of each Service what it saw last. Times are as the API writes them: they sort as text."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[str, dict[str, str]]] = {}

    def take(self, service: Service, pods: Sequence[Pod]) -> str:
        """When the earliest change since the last call happened; empty where there was none that has a time.

        pods: all that the Service selects. The first call gives the time at which the Service was made.
        """
        made = service.metadata.creation_timestamp
        now = {pod.name: since for pod in pods if (since := _decided(pod))}
        known = self._known.get(service.key)
        self._known[service.key] = made, now
        if known is None:
            return made
        made_before, before = known
        changed = [since for name, since in now.items() if since > before.get(name, "")]
        return min([*changed, *([made] if made > made_before else [])], default="")

    def forget(self, key: str) -> None:
        """A Service, "namespace/name", is gone."""
        self._known.pop(key, None)


def noted(existing: Sequence[EndpointSlice], planned: Sequence[EndpointSlice], since: str) -> tuple[EndpointSlice, ...]:
    """The planned slices, with the time on those that are new or changed; the others as they are."""
    known = {s.name: s for s in existing}

    def note(wanted: EndpointSlice) -> EndpointSlice:
        old = known.get(wanted.name)
        unchanged = old is not None and _annotated(old, "") == _annotated(wanted, "")
        return old if old is not None and unchanged else _annotated(wanted, since)

    return tuple(note(wanted) for wanted in planned)


def _annotated(one: EndpointSlice, since: str) -> EndpointSlice:
    """With this time and no other; without any where it is empty."""
    others = {name: value for name, value in one.metadata.annotations.items() if name != TRIGGER_TIME}
    annotations = {**others, TRIGGER_TIME: since} if since else others
    return msgspec.structs.replace(one, metadata=msgspec.structs.replace(one.metadata, annotations=annotations))


def _decided(pod: Pod) -> str:
    """Since when it is ready, or not."""
    return next((c.last_transition_time or "" for c in pod.status.conditions if c.type == "Ready"), "")
