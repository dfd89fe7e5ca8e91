"""What every object that a client writes goes through before it is stored.

    object -> structure -> defaults -> mutators of its kind -> validation -> validators of its kind -> store

Source: k8s.io/apiserver/pkg/registry/rest/create.go and update.go (BeforeCreate, BeforeUpdate), the order of admission.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Literal

import msgspec

from labkit.api import convert, pruning, schema, validation
from labkit.api.defaults import default
from labkit.api.defaults.omission import compact_metadata
from labkit.api.problem import REQUIRED, Problem
from labkit.api.resources import Resource
from labkit.api.validation import meta
from labkit.control import immutable, refusals, status
from labkit.control.custom import Custom
from labkit.control.deletion import timestamp
from labkit.control.fields import Kind, custom, stamp
from labkit.control.store import Raw, Store, key_of

Plugin = Callable[[Raw, Raw | None], Iterable[Problem]]
"""Called with the new object and the stored one (None on create); yields what is wrong. A mutator may change the new
object, which is its own."""


class Options(msgspec.Struct, frozen=True):
    """How a write is to be done.

    fields    what becomes of fields that the kind does not have: refused, left out with a warning, or left out
    warn      hears the warnings
    manager   who writes, for `metadata.managedFields`; without one these stay as they are given: an apply's
              result has them already
    subresource  by which the whole object is written: scale
    """

    fields: Literal["Strict", "Warn", "Ignore"] = "Strict"
    warn: Callable[[str], None] = lambda _: None
    manager: str = ""
    subresource: str = ""


STRICT = Options()


class Admission:
    """The way into the store for whatever comes from outside of the control plane, and for the pods it makes."""

    def __init__(self, store: Store, custom: Custom | None = None) -> None:
        self.store = store
        self.custom = custom or Custom(store)
        self._mutators: dict[str, list[Plugin]] = {}
        self._validators: dict[str, list[Plugin]] = {}
        self._shapes: dict[str, tuple[object, Kind]] = {}
        for kind, validator in immutable.VALIDATORS.items():
            self.validate(kind, validator)

    def mutate(self, kind: str, mutator: Plugin) -> None:
        """Add a mutator for a kind; they run in the order in which they were added."""
        self._mutators.setdefault(kind, []).append(mutator)

    def validate(self, kind: str, validator: Plugin) -> None:
        """Add a validator for a kind; all of them run, and all that they find is reported at once.

        Those of the kind `*` run for all kinds, where nothing else was wrong so far.
        """
        self._validators.setdefault(kind, []).append(validator)

    def create(self, raw: Raw, options: Options = STRICT) -> Raw:
        """Check, complete and store a new object. Raises `ApiError`: BadRequest, Invalid, and those of the store."""
        raw = self.structured(raw, options)
        if self.custom.going(raw["apiVersion"], raw["kind"]):
            raise refusals.going(self.store.catalogue.named(key_of(raw)[0]), "create")
        if self.has_status(raw) and raw["kind"] != "Node":  # a kubelet registers its node with a status
            raw = {field: value for field, value in raw.items() if field != "status"}
        new = self._completed(raw)
        if self.custom.find(raw["apiVersion"], raw["kind"]) is None:
            new = self._admit(self._stamped(None, new, options), None)  # what admission adds is nobody's
        else:
            new = self._stamped(None, self._admit(new, None), options)  # owned as of the version that is stored
        return self.store.create(new, own=True)

    def replace(self, raw: Raw, options: Options = STRICT) -> Raw:
        """Check, complete and store an object in place of the stored one. Raises as `create` does, and Conflict."""
        new = self._completed(self.structured(raw, options))
        old = self.store.get(*key_of(new))
        if self.has_status(raw):
            kept = {"status": old["status"]} if "status" in old else {}
            new = {**{field: value for field, value in new.items() if field != "status"}, **kept}
        new = self._stamped(old, self._admit(new, old), options, options.subresource)
        return self.store.replace(new, whole=True)

    def replace_status(self, raw: Raw, options: Options = STRICT) -> Raw:
        """Store the status of an object, and nothing else of it. Raises BadRequest, Invalid, NotFound, Conflict."""
        new = self._completed(self.structured(raw, options))
        old = self.store.get(*key_of(new))
        version = new["metadata"].get("resourceVersion", "")
        whole = {**old, "metadata": {**old["metadata"], "resourceVersion": version}, "status": new.get("status")}
        if managed := new["metadata"].get("managedFields"):
            whole["metadata"]["managedFields"] = managed
        if self.custom.find(raw["apiVersion"], raw["kind"]):
            seen = {**self.custom.from_stored(old, new["apiVersion"]), "status": new.get("status")}
            problems = self.custom.check({k: v for k, v in seen.items() if v is not None}, old)
        else:
            problems = validation.status_problems(whole)
        if problems:
            raise status.invalid(self.resource(new), key_of(new)[2], problems)
        return self.store.replace(self._stamped(old, whole, options, "status"), whole=True)

    def structured(self, raw: Raw, options: Options = STRICT, partial: bool = False) -> Raw:
        """The object in the shape of its kind; a `partial` one may lack what it must have.

        Raises BadRequest, with all problems, where it does not have that shape; Invalid where it only lacks something.
        """
        found = raw
        if self.custom.find(raw.get("apiVersion"), raw.get("kind")) is None:
            problems = schema.problems(raw)
            unknown = [problem for problem in problems if pruning.is_unknown_field(problem)]
            if unknown and options.fields != "Strict":
                found = pruning.pruned(raw)
        else:
            problems = schema.metadata_problems(raw)
            found, paths = self.custom.pruned(raw)
            unknown = [_unknown(path) for path in paths]
            problems += unknown
        if options.fields != "Strict":
            problems = [problem for problem in problems if problem not in unknown]
            for problem in unknown if options.fields == "Warn" else ():
                options.warn(problem.message)
        if partial:
            problems = [problem for problem in problems if problem.reason != REQUIRED]
        if any(problem.reason != REQUIRED for problem in problems):
            raise status.undecodable(raw, problems)
        if problems:
            raise status.invalid(self.resource(raw), str((raw.get("metadata") or {}).get("name") or ""), problems)
        return found

    def check_structure(self, raw: Raw) -> None:
        """Raises BadRequest, with all problems, where the object does not have the shape of its kind."""
        self.structured(raw)

    def resource(self, raw: Raw) -> Resource:
        """What an object is one of; its kind must be served. Raises KeyError."""
        return self.store.catalogue.stored(key_of({**raw, "metadata": {}})[0])

    def shape(self, raw: Raw) -> Kind | None:
        """What of a custom kind is owned apart, for managed fields; None for a built-in one, whose shape is known."""
        version = self.custom.find(raw["apiVersion"], raw["kind"])
        if version is None:
            return None
        name = f"{raw['apiVersion']}/{raw['kind']}"
        known = self._shapes.get(name)
        if known is None or known[0] is not version:
            known = self._shapes[name] = version, custom(version.schema, version.has_status)
        return known[1]

    def has_status(self, raw: Raw) -> bool:
        """Whether its status is a matter of its own, which a client writes apart."""
        version = self.custom.find(raw["apiVersion"], raw["kind"])
        return version is None or version.has_status

    def _all(self, kind: str) -> list[Plugin]:
        return [*self._validators.get(kind, ()), *self._validators.get("*", ())]

    def _completed(self, raw: Raw) -> Raw:
        """A new object with the defaults of its kind."""
        if self.custom.find(raw["apiVersion"], raw["kind"]) is None:
            return default(convert.to_stored(raw))
        made = self.custom.complete(raw)
        metadata = made["metadata"] = compact_metadata(made.get("metadata") or {})
        if self.resource(raw).namespaced and not metadata.get("namespace"):
            metadata["namespace"] = "default"
        return made

    def _stamped(self, old: Raw | None, new: Raw, options: Options, subresource: str = "") -> Raw:
        """The object with its managed fields as this write leaves them."""
        if not options.manager:
            return new
        now = timestamp(self.store.now())
        return stamp(old, new, options.manager, now, subresource, types=self.shape(new))

    def _admit(self, new: Raw, old: Raw | None) -> Raw:
        kind, _, name = key_of(new)
        problems = [problem for mutator in self._mutators.get(kind, ()) for problem in mutator(new, old)]
        if self.custom.find(new["apiVersion"], new["kind"]) is None:
            problems += validation.problems(new)
        else:
            problems += [*meta.object_meta(new, self.resource(new).namespaced), *self.custom.check(new, old)]
            new = self.custom.to_stored(new)
        problems += immutable.metadata(new, old)
        validators = self._validators.get(kind, ()) if problems else self._all(kind)
        problems += [problem for validator in validators for problem in validator(new, old)]
        if problems:
            resource = self.store.catalogue.named(kind)
            raise status.invalid(resource, name or new["metadata"].get("generateName", ""), problems)
        return new


def _unknown(path: str) -> Problem:
    return Problem(path, f'unknown field "{path}"', "The kind's definition does not have it.")
