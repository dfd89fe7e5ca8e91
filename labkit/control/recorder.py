"""Events: what a component has to say about an object, for whoever asks why (`kubectl describe`).

The same thing said again counts up in the Event that says it. Source: client-go/tools/record/events_cache.go
(eventLogger: equal but for time and count); its spam filter and its aggregation of similar messages are left out.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from labkit.control.deletion import timestamp
from labkit.control.namespaces import leaving
from labkit.control.store import Raw, Store

EPOCH = datetime.fromtimestamp(0, UTC)
REMEMBERED = 4096
"""How many things a component knows that it has said, the latest ones (events_cache.go, maxLruCacheEntries)."""


class Recorder:
    """One component's voice; `host` is the node that it runs on.

    What is said of an object without a namespace is kept in `default`. Of a namespace that is going nothing is said.
    """

    def __init__(self, store: Store, component: str, host: str = "") -> None:
        self._store = store
        self._source = {"component": component, **({"host": host} if host else {})}
        self._said: dict[tuple[str, ...], str] = {}

    def event(self, about: Raw, kind: str, reason: str, message: str, field: str = "") -> None:
        """Say something: `kind` is "Normal" or "Warning", `reason` one word in CamelCase; `field` is the part meant."""
        metadata = about["metadata"]
        namespace = metadata.get("namespace", "default")
        said = metadata["uid"], field, kind, reason, message
        now = timestamp(self._store.now())
        name = self._said.pop(said, "")
        if name and self._store.find("Event", namespace, name):
            self._store.update("Event", namespace, name, lambda e: e.update(count=e["count"] + 1, lastTimestamp=now))
        elif leaving(self._store, namespace):
            return
        else:
            name = self._create(about, namespace, kind, reason, message, field, now)
        self._said[said] = name
        if len(self._said) > REMEMBERED:
            del self._said[next(iter(self._said))]

    def _create(self, about: Raw, namespace: str, kind: str, reason: str, message: str, field: str, now: str) -> str:
        metadata = about["metadata"]
        involved = {"kind": about["kind"], "apiVersion": about["apiVersion"]}
        involved |= {f: metadata[f] for f in ("namespace", "name", "uid", "resourceVersion") if f in metadata}
        involved |= {"fieldPath": field} if field else {}
        name = self._name(namespace, metadata["name"])
        self._store.create(
            {
                "apiVersion": "v1",
                "kind": "Event",
                "metadata": {"name": name, "namespace": namespace},
                "involvedObject": involved,
                "reason": reason,
                "message": message,
                "type": kind,
                "source": {**self._source},
                "reportingComponent": self._source["component"],
                "reportingInstance": self._source.get("host", ""),
                "firstTimestamp": now,
                "lastTimestamp": now,
                "count": 1,
                "eventTime": None,
            },
            own=True,
        )
        return name

    def _name(self, namespace: str, about: str) -> str:
        """By the time in nanoseconds, as real ones: clients show Events of one second in the order of their names."""
        moment = (self._store.now() - EPOCH) // timedelta(microseconds=1) * 1000
        while self._store.find("Event", namespace, name := f"{about}.{moment:x}"):
            moment += 1
        return name
