"""What a notebook that shows objects asks: what a kind is, how it is printed, and what has changed.

The changes come from what the API's watches read: the store's history.
"""

from __future__ import annotations

import msgspec

from labkit.apiserver.feed import Feed
from labkit.control.admission import Admission
from labkit.control.store import Raw
from labkit.errors import ApiError
from labkit.sandbox.channel import Handler


class Looking:
    """Answers `resource` and `changes`."""

    def __init__(self, admission: Admission) -> None:
        self._store = admission.store
        self._custom = admission.custom
        self._feed = Feed(admission.store)

    def handlers(self) -> dict[str, Handler]:
        return {"resource": self.resource, "changes": self.changes}

    def resource(self, name: str) -> Raw:
        """The `resource` that people call so, and the `columns` of a custom one. Raises `NotFound`."""
        found = self._store.catalogue.find(name)
        columns = self._custom.columns(found.api_version, found.kind) if found.custom else []
        return {"resource": msgspec.to_builtins(found), "columns": columns}

    async def changes(self, kind: str, namespace: str | None, version: int) -> Raw:
        """Waits until an object of the kind is not as it was at `version`, which is that of an earlier answer.

        version  up to which changes are told: to be given the next time
        objects  those that are new or other than before, each once
        gone     [namespace, name] of those that are no more
        whole    whether these are all objects: at version 0, and where too much has happened since the version
        """
        with self._feed.listening(kind) as changed:
            while version:
                changed.clear()
                try:
                    events = self._store.history.since(kind, version)
                except ApiError:  # 410: it has forgotten some of them
                    break
                last: dict[tuple[str, str], Raw | None] = {}
                for event in events:
                    version = event.version
                    meta = event.object["metadata"]
                    if namespace in (None, meta.get("namespace", "")):
                        place = meta.get("namespace", ""), meta["name"]
                        last[place] = None if event.type == "DELETED" else event.object
                if last:
                    objects = [raw for raw in last.values() if raw is not None]
                    gone = [place for place, raw in last.items() if raw is None]
                    return {"version": version, "objects": objects, "gone": gone, "whole": False}
                await changed.wait()
        objects = list(self._store.list(kind, namespace))
        return {"version": int(self._store.version), "objects": objects, "gone": [], "whole": True}
