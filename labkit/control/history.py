"""The latest changes of the store, so that a watch can go on where it stopped, and a list can be read as it was.

    kind -> Event, Event, … in order of their versions; all kinds together are bounded, the oldest event goes first

Source: k8s.io/apiserver/pkg/storage/cacher/watch_cache.go.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Mapping
from typing import Any

from labkit.control import refusals
from labkit.control.watch import Event

Raw = dict[str, Any]
LENGTH = 4096


class History:
    """Events by the kind that the store keeps their objects under."""

    def __init__(self, length: int = LENGTH) -> None:
        self._length = length
        self._events: defaultdict[str, deque[Event]] = defaultdict(deque)
        self._order: deque[str] = deque()
        self._forgotten: dict[str, int] = {}
        self._beginning = 0

    def begin(self, version: int) -> None:
        """Nothing is known of the changes up to this version: they were those of an earlier process."""
        self._beginning = version

    def add(self, kind: str, event: Event) -> None:
        self._events[kind].append(event)
        self._order.append(kind)
        if len(self._order) > self._length:
            oldest = self._order.popleft()
            self._forgotten[oldest] = self._events[oldest].popleft().version

    def since(self, kind: str, version: int) -> list[Event]:
        """Changes of a kind after a version, in order. Raises Expired (410) where some of them are forgotten."""
        if version < (forgotten := self._forgotten.get(kind, self._beginning)):
            raise refusals.expired(str(version), str(forgotten))
        found = []
        for event in reversed(self._events.get(kind, ())):
            if event.version <= version:
                break
            found.append(event)
        found.reverse()
        return found

    def rewound(self, kind: str, objects: Mapping[tuple[str, str], Raw], version: int) -> dict[tuple[str, str], Raw]:
        """The objects of a kind, by namespace and name, as they were at a version. Raises Expired."""
        before = dict(objects)
        for event in reversed(self.since(kind, version)):
            metadata = event.object["metadata"]
            place = metadata.get("namespace", ""), metadata["name"]
            if event.old is None:
                before.pop(place, None)
            else:
                before[place] = event.old
        return before
