"""`Custom`: the kinds that CustomResourceDefinitions add, kept in step with those in the store.

CustomResourceDefinition, established ──watch──► Custom ──► store.catalogue (what is served)
▲
Admission, the API ── check, complete, schema ───┘
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from labkit.api.problem import Problem
from labkit.control.custom import complete
from labkit.control.custom.naming import established
from labkit.control.store import Raw, Store, copy
from labkit.control.watch import Event

if TYPE_CHECKING:
    from labkit.control.custom.version import Version


class Custom:
    """What is served beside the built-in kinds. All questions are of an apiVersion and a kind; None: not served."""

    def __init__(self, store: Store) -> None:
        self._catalogue = store.catalogue
        self._versions: dict[tuple[str, str], Version] = {}
        self._by_definition: dict[str, list[Version]] = {}
        self._going: set[str] = set()
        store.watch({"CustomResourceDefinition"}, self._changed)

    def find(self, api_version: Any, kind: Any) -> Version | None:
        return self._versions.get((api_version, kind))

    def schema(self, api_version: str, kind: str) -> dict[str, Any] | None:
        """The openAPIV3Schema."""
        version = self.find(api_version, kind)
        return None if version is None else version.schema

    def columns(self, api_version: str, kind: str) -> list[Raw]:
        """Its additionalPrinterColumns."""
        version = self.find(api_version, kind)
        return [] if version is None else version.columns

    def warning(self, api_version: str, kind: str) -> str:
        """What to tell who uses a deprecated version; empty for the others."""
        version = self.find(api_version, kind)
        return "" if version is None else version.warning

    def going(self, api_version: str, kind: str) -> bool:
        """Whether the kind's definition is being deleted: nothing is created any more."""
        version = self.find(api_version, kind)
        return version is not None and version.resource.qualified in self._going

    def pruned(self, raw: Raw) -> tuple[Raw, list[str]]:
        """A copy of an object without the fields that its schema does not know, and the paths of those."""
        version = self._versions[raw["apiVersion"], raw["kind"]]
        made = copy(raw)
        return made, complete.prune(made, version.schema)

    def complete(self, raw: Raw) -> Raw:
        """A copy of an object as the server would take it: pruned, defaulted."""
        made, _ = self.pruned(raw)
        complete.default(made, self._versions[raw["apiVersion"], raw["kind"]].schema)
        return made

    def check(self, raw: Raw, old: Raw | None = None) -> list[Problem]:
        """What is wrong with a completed object, metadata apart; `old` is the stored one that it replaces."""
        version = self._versions[raw["apiVersion"], raw["kind"]]
        return version.problems(raw, None if old is None else self.from_stored(old, raw["apiVersion"]))

    def to_stored(self, raw: Raw) -> Raw:
        """The object in the version that is stored; itself where it is in that version."""
        kept = self._catalogue.stored(self._versions[raw["apiVersion"], raw["kind"]].resource.key)
        return self.from_stored(raw, kept.api_version)

    def from_stored(self, raw: Raw, api_version: str) -> Raw:
        """The object in another version (strategy None), as that one's schema lets it be. Itself where it is in it."""
        if raw["apiVersion"] == api_version:
            return raw
        moved = {**raw, "apiVersion": api_version}
        return moved if self.find(api_version, raw["kind"]) is None else self.complete(moved)

    def _changed(self, event: Event) -> None:
        name = event.object["metadata"]["name"]
        for version in self._by_definition.pop(name, ()):
            self._versions.pop((version.resource.api_version, version.resource.kind), None)
            self._catalogue.remove([version.resource])
        self._going.discard(name)
        if event.type == "DELETED" or not established(event.object):
            return
        from labkit.control.custom.version import read  # 15 ms that a lab without custom kinds does not spend

        if "deletionTimestamp" in event.object["metadata"]:
            self._going.add(name)
        # The stored version last: it is the one that the catalogue gives for the key.
        self._by_definition[name] = versions = sorted(read(event.object), key=lambda v: v.storage)
        self._catalogue.add([v.resource for v in versions if v.served])
        for version in versions:
            if version.served:
                self._versions[version.resource.api_version, version.resource.kind] = version
            if version.storage:
                self._catalogue.keep(version.resource)
