"""What every object that a client writes goes through before it is stored.

    object -> structure -> defaults -> mutators of its kind -> validation -> validators of its kind -> store

Source: k8s.io/apiserver/pkg/registry/rest/create.go and update.go (BeforeCreate, BeforeUpdate), the order of admission.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from labkit.api import convert, schema, validation
from labkit.api.defaults import default
from labkit.api.problem import Problem
from labkit.api.resources import Resource
from labkit.api.validation import meta
from labkit.control import immutable, refusals, status
from labkit.control.custom import Custom
from labkit.control.store import Raw, Store, key_of

Plugin = Callable[[Raw, Raw | None], Iterable[Problem]]
"""Called with the new object and the stored one (None on create); yields what is wrong. A mutator may change the new
object, which is its own."""


class Admission:
    """The way into the store for whatever comes from outside of the control plane, and for the pods it makes."""

    def __init__(self, store: Store, custom: Custom | None = None) -> None:
        self.store = store
        self.custom = custom or Custom(store)
        self._mutators: dict[str, list[Plugin]] = {}
        self._validators: dict[str, list[Plugin]] = {}
        for kind, validator in immutable.VALIDATORS.items():
            self.validate(kind, validator)

    def mutate(self, kind: str, mutator: Plugin) -> None:
        """Add a mutator for a kind; they run in the order in which they were added."""
        self._mutators.setdefault(kind, []).append(mutator)

    def validate(self, kind: str, validator: Plugin) -> None:
        """Add a validator for a kind; all of them run, and all that they find is reported at once."""
        self._validators.setdefault(kind, []).append(validator)

    def create(self, raw: Raw) -> Raw:
        """Check, complete and store a new object. Raises `ApiError`: BadRequest, Invalid, and those of the store."""
        self.check_structure(raw)
        if self.custom.going(raw["apiVersion"], raw["kind"]):
            raise refusals.going(self.store.catalogue.named(key_of(raw)[0]), "create")
        if self._has_status(raw) and raw["kind"] != "Node":  # a kubelet registers its node with a status
            raw = {field: value for field, value in raw.items() if field != "status"}
        return self.store.create(self._admit(self._completed(raw), None))

    def replace(self, raw: Raw) -> Raw:
        """Check, complete and store an object in place of the stored one. Raises as `create` does, and Conflict."""
        self.check_structure(raw)
        new = self._completed(raw)
        return self.store.replace(self._admit(new, self.store.get(*key_of(new))))

    def check_structure(self, raw: Raw) -> None:
        """Raises BadRequest, with all problems, where the object does not have the shape of its kind."""
        version = self.custom.find(raw.get("apiVersion"), raw.get("kind"))
        if version is None:
            problems = schema.problems(raw)
        else:
            problems = schema.metadata_problems(raw)
            problems += [_unknown(path) for path in self.custom.pruned(raw)[1]]
        if problems:
            raise status.undecodable(raw, problems)

    def resource(self, raw: Raw) -> Resource:
        """What an object is one of; its kind must be served. Raises KeyError."""
        return self.store.catalogue.stored(key_of({**raw, "metadata": {}})[0])

    def _has_status(self, raw: Raw) -> bool:
        """Whether its status is a matter of its own, which a client writes apart."""
        version = self.custom.find(raw["apiVersion"], raw["kind"])
        return version is None or version.has_status

    def _completed(self, raw: Raw) -> Raw:
        """A new object with the defaults of its kind."""
        if self.custom.find(raw["apiVersion"], raw["kind"]) is None:
            return default(convert.to_stored(raw))
        made = self.custom.complete(raw)
        metadata = made["metadata"] = made.get("metadata") or {}
        if self.resource(raw).namespaced and not metadata.get("namespace"):
            metadata["namespace"] = "default"
        return made

    def _admit(self, new: Raw, old: Raw | None) -> Raw:
        kind, _, name = key_of(new)
        problems = [problem for mutator in self._mutators.get(kind, ()) for problem in mutator(new, old)]
        if self.custom.find(new["apiVersion"], new["kind"]) is None:
            problems += validation.problems(new)
        else:
            problems += [*meta.object_meta(new, self.resource(new).namespaced), *self.custom.check(new, old)]
            new = self.custom.to_stored(new)
        problems += [problem for validator in self._validators.get(kind, ()) for problem in validator(new, old)]
        if problems:
            resource = self.store.catalogue.named(kind)
            raise status.invalid(resource, name or new["metadata"].get("generateName", ""), problems)
        return new


def _unknown(path: str) -> Problem:
    return Problem(path, f'unknown field "{path}"', "The kind's definition does not have it.")
