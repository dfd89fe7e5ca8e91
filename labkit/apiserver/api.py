"""The API server: from a request to its answer.

    request ── who? ── about what? ── may they? ── verb or subresource ── answer, stream or upgrade

Source: apiserver/pkg/server/config.go (DefaultBuildHandlerChain), pkg/endpoints/installer.go.
"""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from http import HTTPStatus

import msgspec

from labkit.apiserver.access.access import Access
from labkit.apiserver.access.rbac import Attributes
from labkit.apiserver.call import Call, Plane, User
from labkit.apiserver.documents import Documents
from labkit.apiserver.http.encode import warning
from labkit.apiserver.http.messages import Answer, Reply, Request, Stream
from labkit.apiserver.routes import TRUE, Route, parse
from labkit.apiserver.verbs import deleting, patching, reading, watching, writing
from labkit.control import refusals, status
from labkit.errors import ApiError

Verb = Callable[[Call], Reply | Awaitable[Reply]]

VERBS: Mapping[str, Verb] = {
    "get": reading.get,
    "list": reading.listed,
    "watch": watching.watch,
    "create": writing.create,
    "update": writing.update,
    "patch": patching.patch,
    "delete": deleting.delete,
    "deletecollection": deleting.delete_collection,
}
DEPRECATED = {  # zz_generated.prerelease-lifecycle.go of k8s.io/api/core/v1
    ("v1", "Endpoints"): "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice",
}
COMPRESSED = 128 * 1024  # bytes from which on compressing pays; apiserver's own threshold
METHODS = {"GET": "get", "HEAD": "head", "POST": "post", "PUT": "put", "PATCH": "patch", "DELETE": "delete"}


class Api:
    """Answers requests. `below` has the handlers of subresources and of reviews, by "plural.group/name" or its end."""

    def __init__(self, plane: Plane, access: Access, documents: Documents, below: Mapping[str, Verb]) -> None:
        self._plane = plane
        self._access = access
        self._documents = documents
        self._below = below

    def handle(self, request: Request) -> Reply | Awaitable[Reply]:
        """What a connection asks for each request."""
        try:
            reply = self._handled(request)
        except ApiError as error:
            return refused(error)
        if isinstance(reply, Answer):
            return reply if not _wants_gzip(request, reply) else _compressed(reply)
        return reply if not isinstance(reply, Awaitable) else self._later(request, reply)

    async def _later(self, request: Request, reply: Awaitable[Reply]) -> Reply:
        try:
            value = await reply
        except ApiError as error:
            return refused(error)
        return await _compressed(value) if isinstance(value, Answer) and _wants_gzip(request, value) else value

    def _handled(self, request: Request) -> Reply | Awaitable[Reply]:
        try:
            watching = request.method == "GET" and request.first("watch") in TRUE
        except ValueError:
            raise status.bad_request("too many parameters") from None
        user = self._access.user(request)
        if not request.path.startswith(("/api/", "/apis/")):
            return self._document(request, user)
        route = parse(request.method, request.path, watching, self._plane.store.catalogue)
        if route is None:
            return self._document(request, user)
        self._access.check(user, route, request.first("fieldSelector"))
        reply = self._verb(route)(Call(self._plane, request, route, user))
        what = route.resource.api_version, route.resource.kind
        old = DEPRECATED.get(what) or self._plane.admission.custom.warning(*what)
        return _warned(reply, old) if old else reply

    def _document(self, request: Request, user: User) -> Reply:
        verb = METHODS.get(request.method, request.method.lower())
        self._access.demand(user, Attributes(verb, path=request.path))
        return self._documents.answer(request)

    def _verb(self, route: Route) -> Verb:
        found: Verb | None = None
        if route.subresource and route.subresource != "status":
            own = f"{route.resource.qualified}/{route.subresource}"
            found = self._below.get(own) or self._below.get(f"*/{route.subresource}")
        elif not route.resource.stored:
            found = self._below.get(route.resource.qualified)
        else:
            found = VERBS.get(route.verb)
        if found is None:
            raise refusals.method_not_allowed(route.resource, route.verb)
        return found


def refused(error: ApiError) -> Answer:
    """The Status of a refusal as an answer."""
    said = error.details["status"]
    retry = said.get("details", {}).get("retryAfterSeconds")
    headers = (("Retry-After", str(retry)),) if retry else ()
    return Answer(msgspec.json.encode(said) + b"\n", int(said["code"]), headers=headers)


def refusal(code: int) -> Answer:
    """The answer to what is no request: see `labkit.apiserver.http.server`."""
    if code == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        return refused(refusals.too_large(3145728))
    if code == HTTPStatus.INTERNAL_SERVER_ERROR:
        return refused(refusals.internal("see the lab's log"))
    return refused(status.refusal(code, "BadRequest", HTTPStatus(code).phrase))


def _warned(reply: Reply | Awaitable[Reply], text: str) -> Reply | Awaitable[Reply]:
    """The reply with a warning before all others: for what is deprecated (installer.go; crdHandler)."""
    if isinstance(reply, Answer):
        return replace(reply, warnings=(text, *reply.warnings))
    return replace(reply, headers=(*reply.headers, warning(text))) if isinstance(reply, Stream) else reply


def _wants_gzip(request: Request, answer: Answer) -> bool:
    return len(answer.body) >= COMPRESSED and "gzip" in request.header("accept-encoding")


async def _compressed(answer: Answer) -> Answer:
    """The answer in gzip, made beside the loop."""
    body = await asyncio.to_thread(gzip.compress, answer.body, 1)
    return replace(
        answer, body=body, headers=(*answer.headers, ("Content-Encoding", "gzip"), ("Vary", "Accept-Encoding"))
    )
