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
from labkit.api.problem import Problem
from labkit.control import immutable, status
from labkit.control.deletion import timestamp
from labkit.control.fields import stamp
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
    """

    fields: Literal["Strict", "Warn", "Ignore"] = "Strict"
    warn: Callable[[str], None] = lambda _: None
    manager: str = ""


STRICT = Options()


class Admission:
    """The way into the store for whatever comes from outside of the control plane, and for the pods it makes."""

    def __init__(self, store: Store) -> None:
        self.store = store
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

    def create(self, raw: Raw, options: Options = STRICT) -> Raw:
        """Check, complete and store a new object. Raises `ApiError`: BadRequest, Invalid, and those of the store."""
        raw = convert.to_stored(self.structured(raw, options))
        if raw["kind"] != "Node":  # a kubelet registers its node with a status; all others begin without one
            raw = {field: value for field, value in raw.items() if field != "status"}
        new = self._admit(default(raw), None)
        return self.store.create(self._stamped(None, new, options))

    def replace(self, raw: Raw, options: Options = STRICT) -> Raw:
        """Check, complete and store an object in place of the stored one. Raises as `create` does, and Conflict."""
        new = default(convert.to_stored(self.structured(raw, options)))
        old = self.store.get(*key_of(new))
        new = self._admit(new, old)
        return self.store.replace(self._stamped(old, {**new, "status": old.get("status")}, options))

    def replace_status(self, raw: Raw, options: Options = STRICT) -> Raw:
        """Store the status of an object, and nothing else of it. Raises BadRequest, NotFound, Conflict."""
        new = default(convert.to_stored(self.structured(raw, options)))
        old = self.store.get(*key_of(new))
        metadata = {**old["metadata"], "resourceVersion": new["metadata"].get("resourceVersion", "")}
        whole = {**old, "metadata": metadata, "status": new.get("status")}
        return self.store.replace_status(self._stamped(old, whole, options, "status"))

    def structured(self, raw: Raw, options: Options = STRICT) -> Raw:
        """The object in the shape of its kind. Raises BadRequest, with all problems, where it does not have it."""
        problems = schema.problems(raw)
        if options.fields != "Strict":
            unknown = [problem for problem in problems if pruning.is_unknown_field(problem)]
            if unknown:
                problems = [problem for problem in problems if problem not in unknown]
                raw = pruning.pruned(raw)
            for problem in unknown if options.fields == "Warn" else ():
                options.warn(problem.message)
        if problems:
            raise status.undecodable(raw, problems)
        return raw

    def check_structure(self, raw: Raw) -> None:
        """Raises BadRequest, with all problems, where the object does not have the shape of its kind."""
        self.structured(raw)

    def _stamped(self, old: Raw | None, new: Raw, options: Options, subresource: str = "") -> Raw:
        """The object with its managed fields as this write leaves them."""
        if not options.manager:
            return new
        return stamp(old, new, options.manager, timestamp(self.store.now()), subresource)

    def _admit(self, new: Raw, old: Raw | None) -> Raw:
        kind, _, name = key_of(new)
        problems = [problem for mutator in self._mutators.get(kind, ()) for problem in mutator(new, old)]
        problems += validation.problems(new)
        problems += [problem for validator in self._validators.get(kind, ()) for problem in validator(new, old)]
        if problems:
            raise status.invalid(kind, name or new["metadata"].get("generateName", ""), problems)
        return new
