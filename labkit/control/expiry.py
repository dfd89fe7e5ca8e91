"""Events go an hour after they were last written, as kube-apiserver's `--event-ttl` has it by default.

There each has a lease in etcd; here its own times say when it is due, and all that are due go together.
Source: kubernetes/cmd/kube-apiserver/app/options/options.go, pkg/registry/core/event/storage/storage.go (TTLFunc).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta

from labkit.control.store import Raw, Store, key_of
from labkit.control.watch import Event

TTL = timedelta(hours=1)
ROUND = timedelta(minutes=1)
"""Expired ones are looked for no more often than this: with one timer for all, they are at most so much too old."""
ALL = "events"


class EventExpiry:
    """Deletes expired Events. The only key is all of them: one written later is never due before those there are."""

    name = "event-expiry"
    kinds = frozenset({"Event"})

    def __init__(self, store: Store) -> None:
        self._store = store
        self._waiting = False

    def keys(self, event: Event) -> Iterable[str]:
        return [] if self._waiting or event.type == "DELETED" else [ALL]

    def reconcile(self, key: str) -> float | None:
        """Delete what has expired; returns when the oldest that remains does."""
        now = self._store.now()
        due = [(expires(raw, now), key_of(raw)) for raw in self._store.list("Event")]
        with self._store.transaction():
            for when, place in due:
                if when <= now:
                    self._store.delete(*place)
        left = min((when for when, _ in due if when > now), default=None)
        self._waiting = left is not None
        return max(left - now, ROUND).total_seconds() if left else None


def expires(event: Raw, now: datetime) -> datetime:
    """When an Event goes: `TTL` after the last of its times; one that lies in the future does not count."""
    times = [when for when in _times(event) if when <= now]
    return max(times, default=now) + TTL


def _times(event: Raw) -> Iterator[datetime]:
    metadata = event["metadata"]
    written = [metadata["creationTimestamp"], event.get("lastTimestamp")]
    written += [entry.get("time") for entry in metadata.get("managedFields", ())]
    for text in filter(None, written):
        try:
            yield datetime.fromisoformat(text).astimezone(UTC)
        except ValueError:  # somebody's own time, in no form known here
            continue
