"""The lab's only state: API objects as whole JSON values, with versions, watches and indexes.

    admission, controllers -- create, replace, update, delete --> Store -- Event --> watchers, in order

An object in the store is never changed in place: a write puts a new value in its place. So whoever gets one may keep
and read it for as long as they like, and must not change it.
Source: k8s.io/apiserver/pkg/registry/generic/registry/store.go, pkg/registry/rest/{create,update,delete}.go.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from labkit.api.kinds import Catalogue
from labkit.api.resources import COUNTED
from labkit.control import deletion, status
from labkit.control.chance import Chance
from labkit.control.forms import Formed, copy
from labkit.control.generation import counted
from labkit.control.history import History
from labkit.control.index import Index, Indexes, Key, key_of
from labkit.control.watch import Event, EventType, Watch, Watches

if TYPE_CHECKING:
    from labkit.control.keep import Entry, Keep  # and SQLite with it: only for labs that are kept

__all__ = ["Raw", "Store", "copy", "key_of"]

Raw = dict[str, Any]

KEPT = ("uid", "creationTimestamp", "generation", "deletionTimestamp", "deletionGracePeriodSeconds")
"""Metadata that only the store writes."""


class Store(Formed):
    """Every object of the lab. Writes are synchronous: watchers hear of each before it returns.

    seed: of uids and generated names; now: the clock; `catalogue` has the resources that it keeps; `completing`, by
    kind, may change a new object that has its uid. What it refuses is an `ApiError` with a real `Status`.
    """

    def __init__(self, seed: int = 0, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        super().__init__()
        self.chance = Chance(seed)
        self.catalogue = Catalogue()
        self.now = now
        self.completing: dict[str, Callable[[Raw], None]] = {}
        self._version = 0
        self._objects: dict[str, dict[tuple[str, str], Raw]] = {}
        self._created: dict[Key, int] = {}
        self._indexes = Indexes()
        self._watches = Watches()
        self.history = History()
        self._journal: list[Entry] | None = None
        self._keep: Keep | None = None
        self.add_index("namespace", lambda raw: [raw["metadata"].get("namespace", "")])
        self.add_index("node", lambda raw: [raw["spec"].get("nodeName", "")], "Pod")
        self.add_index("owner", lambda raw: [ref["uid"] for ref in raw["metadata"].get("ownerReferences", ())])

    @property
    def version(self) -> str:
        """ResourceVersion of the latest write."""
        return str(self._version)

    def find(self, kind: str, namespace: str, name: str) -> Raw | None:
        return self._objects.get(kind, {}).get((namespace, name))

    def get(self, kind: str, namespace: str, name: str) -> Raw:
        """The object. Raises NotFound."""
        if (raw := self.find(kind, namespace, name)) is None:
            raise status.not_found(self.catalogue.named(kind), name)
        return raw

    def list(self, kind: str, namespace: str | None = None) -> tuple[Raw, ...]:
        """Objects of a kind in order of namespace and name; of all namespaces when None."""
        found = self._objects.get(kind)
        if not found:
            return ()
        return tuple([found[place] for place in sorted(found) if namespace is None or place[0] == namespace])

    def indexed(self, index: str, value: str) -> tuple[Raw, ...]:
        """Objects for which an index has this value, in order of kind, namespace and name."""
        keys = self._indexes.keys(index, value)
        return tuple([self._objects[kind][place, name] for kind, place, name in keys]) if keys else ()

    def as_of(self, kind: str, version: int, namespace: str | None = None) -> tuple[Raw, ...]:
        """What `list` gave at a version, 0 being now. Raises Expired (410) where it is too long ago."""
        if version in (0, self._version):
            return self.list(kind, namespace)
        found = self.history.rewound(kind, self._objects.get(kind, {}), version)
        return tuple(found[place] for place in sorted(found) if namespace is None or place[0] == namespace)

    def created(self, raw: Raw) -> int:
        """A number that is greater the later the object was created (timestamps tell whole seconds only)."""
        return self._created[key_of(raw)]

    def create(self, raw: Raw, own: bool = False) -> Raw:
        """Store a copy of a new object, or itself as the store's `own`. Raises AlreadyExists, NotFound, Forbidden."""
        raw = raw if own else copy(raw)
        metadata = raw.setdefault("metadata", {})
        if not metadata.get("name") and (base := metadata.get("generateName")):
            metadata["name"] = self.chance.name(base, raw["kind"], metadata.get("namespace", ""))
        key = key_of(raw)
        if self.find(*key) is not None:
            raise status.already_exists(self.catalogue.named(key[0]), key[2])
        self._check_namespace(*key)
        for field in KEPT:
            metadata.pop(field, None)
        metadata["uid"] = self.chance.uid(*key)
        metadata["creationTimestamp"] = deletion.timestamp(self.now())
        if key[0] in COUNTED or "." in key[0]:  # those of custom kinds all are
            metadata["generation"] = 1
        if complete := self.completing.get(key[0]):
            complete(raw)
        self._created[key] = self._version + 1
        return self._write("ADDED", raw, None)

    def replace(self, raw: Raw, whole: bool = False) -> Raw:
        """Put a new value in place of an object, all but its status, or the `whole`. Raises NotFound, or Conflict where
        `metadata.resourceVersion` is given and is not the stored one.
        """
        old = self._current(raw)
        return self._commit(old, raw if whole else {**raw, "status": old.get("status")})

    def replace_status(self, raw: Raw) -> Raw:
        """Put a new status in place of the stored one, and nothing else. Raises as `replace` does."""
        old = self._current(raw)
        return self._commit(old, {**old, "status": raw.get("status")})

    def update(self, kind: str, namespace: str, name: str, change: Callable[[Raw], None]) -> Raw:
        """Let `change` change a copy of the object, whatever part of it, and store that. Raises NotFound."""
        old = self.get(kind, namespace, name)
        new = copy(old)
        change(new)
        return self._commit(old, new)

    def delete(
        self,
        kind: str,
        namespace: str,
        name: str,
        *,
        grace: int | None = None,
        propagation: deletion.Propagation | None = None,
        uid: str = "",
    ) -> Raw:
        """Delete an object, or begin to; returns its last state. Raises NotFound, Forbidden, Conflict (another uid).

        A pod on a node stays until the kubelet says `finalize`, unless `grace` (seconds) is 0; a Namespace until it is
        empty; an object with finalizers until they are gone. Its dependents: see `deletion.held`.
        """
        old = self.get(kind, namespace, name)
        if uid and uid != (stored := old["metadata"]["uid"]):
            why = f"Precondition failed: UID in precondition: {uid}, UID in object meta: {stored}"
            raise status.conflict(self.catalogue.named(kind), name, why)
        if kind == "Namespace" and name in deletion.LASTING:
            raise status.forbidden(kind, name, "this namespace may not be deleted")
        held = deletion.held(old, propagation)
        seconds = deletion.grace_period(held, grace)
        if not deletion.lingers(held, seconds):
            return self._remove(held)
        new = deletion.marked(held, seconds, self.now())
        return old if new is old else self._write("MODIFIED", new, old)

    def finalize(self, kind: str, namespace: str, name: str) -> None:
        """Say that nothing is left of an object that is being deleted: it goes, unless a finalizer holds it."""
        old = self.get(kind, namespace, name)
        if not old["metadata"].get("finalizers"):
            self._remove(old)
        elif old["metadata"].get("deletionGracePeriodSeconds"):
            self._write("MODIFIED", deletion.finished(old), old)

    def disown(self, child: Raw, uid: str) -> None:
        """Take one owner, by uid, from an object's ownerReferences."""
        self._write("MODIFIED", deletion.disowned(child, uid), child)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All writes of the block, or none where it raises. Watchers hear of them after the block."""
        if self._journal is not None:  # inside another one, which decides
            yield
            return
        journal = self._journal = []
        version, self.chance.undo = self._version, {}
        try:
            yield
        except BaseException:
            self._undo(journal)
            self._version = version
            self.chance.take_back()
            raise
        finally:
            self._journal = self.chance.undo = None
        self._settle(journal)

    def restore(self, keep: Keep) -> None:
        """Take over all that was kept, before anything else is done here; from now on, keep every write before whoever
        wrote has an answer.
        """
        for key, created, raw in keep.objects():
            self._put(key, raw)
            self._created[key] = created
        self._version, self.chance.drawn, self._keep = keep.version, keep.drawn, keep
        self.history.begin(self._version)

    def watch(self, kinds: Iterable[str] | None, callback: Callable[[Event], None], initial: bool = True) -> Watch:
        """Call back for every change of these kinds (None: all), in order and one at a time: a write that a callback
        makes is announced after those before it. With `initial` comes first what is there, as ADDED.
        """
        watch = Watch(None if kinds is None else frozenset(kinds), callback)
        present = sorted(self._objects if watch.kinds is None else watch.kinds) if initial else []
        self._watches.add(watch, (Event("ADDED", raw) for kind in present for raw in self.list(kind)))
        self._watches.dispatch()
        return watch

    def add_index(self, name: str, values: Callable[[Raw], Iterable[str]], *kinds: str) -> None:
        """Keep an index, of all objects or some kinds': `indexed(name, value)` finds those that have the value."""
        objects = (((kind, *place), raw) for kind, found in self._objects.items() for place, raw in found.items())
        self._indexes.add(name, Index(values, frozenset(kinds)), objects)

    def _check_namespace(self, kind: str, namespace: str, name: str) -> None:
        """NamespaceLifecycle: what lives in a namespace needs one, and not one that is going."""
        if namespace and "deletionTimestamp" in self.get("Namespace", "", namespace)["metadata"]:
            raise status.terminating(self.catalogue.named(kind), name, namespace)

    def _current(self, raw: Raw) -> Raw:
        kind, namespace, name = key_of(raw)
        old = self.get(kind, namespace, name)
        wanted = raw["metadata"].get("resourceVersion")
        if wanted and wanted != old["metadata"]["resourceVersion"]:
            raise status.conflict(self.catalogue.named(kind), name)
        return old

    def _commit(self, old: Raw, new: Raw) -> Raw:
        """Store `new` in place of `old`. Equal values make no version and no event."""
        new = copy(new)
        if new.get("status") is None:
            new.pop("status", None)
        metadata = new["metadata"]
        for field in (*KEPT, "resourceVersion"):
            metadata.pop(field, None)
            if field in old["metadata"]:
                metadata[field] = old["metadata"][field]
        if new == old:
            return old
        if "generation" in metadata and counted(new) != counted(old):
            metadata["generation"] += 1
        return self._remove(new) if deletion.released(new) else self._write("MODIFIED", new, old)

    def _write(self, change: EventType, new: Raw, old: Raw | None) -> Raw:
        self._version += 1
        new["metadata"]["resourceVersion"] = self.version
        self._record(key_of(new), new, Event(change, new, old))
        return new

    def _remove(self, old: Raw) -> Raw:
        self._version += 1
        last = {**old, "metadata": {**old["metadata"], "resourceVersion": self.version}}
        self._record(key_of(old), None, Event("DELETED", last, old))
        return last

    def _record(self, key: Key, new: Raw | None, event: Event) -> None:
        entry = key, self.find(*key), event
        self._put(key, new)
        if self._journal is None:
            self._settle([entry])
        else:
            self._journal.append(entry)

    def _settle(self, journal: Sequence[Entry]) -> None:
        """Keep the writes, all or none, then tell of them. What cannot be kept is undone."""
        if self._keep and journal:
            try:
                self._keep.write(journal, self._version, self._created, self.encoded, self.chance)
            except BaseException:
                self._undo(journal)
                raise
        self.chance.fresh_since_kept.clear()
        for key, _, event in journal:
            self.history.add(key[0], event)
            self._watches.announce(key[0], event)
        self._watches.dispatch()

    def _undo(self, journal: Sequence[Entry]) -> None:
        for key, old, _ in reversed(journal):
            self._put(key, old)

    def _put(self, key: Key, raw: Raw | None) -> None:
        found = self._objects.setdefault(key[0], {})
        old = found.get(key[1:])
        self._indexes.move(key, old, raw)
        self._forms.forget(key)
        if raw is None:
            found.pop(key[1:], None)
        else:
            found[key[1:]] = raw
