"""One request on its way through the server, and what all verbs work with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import msgspec

from labkit.api import convert
from labkit.api.resources import Resource
from labkit.apiserver import negotiate
from labkit.apiserver.feed import Feed
from labkit.apiserver.http.messages import Request
from labkit.apiserver.render import Renderer
from labkit.apiserver.routes import Route
from labkit.control import status
from labkit.control.admission import Admission
from labkit.control.store import Store

Raw = dict[str, Any]
T = TypeVar("T")


class User(msgspec.Struct, frozen=True):
    """Who makes a request. `extra` as TokenReview shows it."""

    name: str
    groups: tuple[str, ...] = ()
    uid: str = ""
    extra: dict[str, list[str]] = {}


@dataclass(frozen=True)
class Plane:
    """The control plane that the server serves. `guard` raises Forbidden for a write that its user may not make: it
    gets the call, the new object and the stored one.
    """

    store: Store
    admission: Admission
    feed: Feed
    guard: Callable[[Call, Raw, Raw | None], None]


@dataclass(frozen=True)
class Call:
    """A request for a resource, by a user who may make it. `warnings` go into the answer's headers."""

    plane: Plane
    request: Request
    route: Route
    user: User
    warnings: list[str] = field(default_factory=list)

    @property
    def store(self) -> Store:
        return self.plane.store

    @property
    def resource(self) -> Resource:
        return self.route.resource

    @property
    def renderer(self) -> Renderer:
        """A new one, for what the call answers."""
        custom = self.plane.admission.custom
        columns = custom.columns(self.resource.api_version, self.resource.kind) if self.resource.custom else None
        return self.rendering(self.resource, self.shown, columns)

    def rendering(
        self, resource: Resource, shown: Callable[[Raw], Raw], columns: Sequence[Raw] | None = None
    ) -> Renderer:
        """Writes objects of a resource in the form that the client asks for. Raises BadRequest, NotAcceptable."""
        include = self.request.first("includeObject")
        if include not in ("", "Object", "Metadata", "None"):
            raise status.bad_request(f"unrecognized includeObject value: {include[:100]!r}")
        return Renderer(self.store, resource, shown, negotiate.form(self.request.header("accept")), include, columns)

    def shown(self, stored: Raw) -> Raw:
        """A stored object in the version that is asked for."""
        if self.resource.custom:
            return self.plane.admission.custom.from_stored(stored, self.resource.api_version)
        return convert.from_stored(stored, self.resource.api_version)

    def write(self, dry_run: bool, change: Callable[[], T]) -> T:
        """Do a write; with `dry_run` find out how it would end, and leave everything as it is."""
        if not dry_run:
            return change()
        try:
            with self.store.transaction():
                raise _Rehearsed(change())
        except _Rehearsed as done:
            result: T = done.result
            return result


class _Rehearsed(Exception):
    """Ends a transaction whose result is all that is wanted of it."""

    def __init__(self, result: Any) -> None:
        super().__init__()
        self.result = result
