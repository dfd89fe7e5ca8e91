"""Paths that are no resources: health, version, discovery, OpenAPI."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from labkit.api.kinds import Catalogue
from labkit.apiserver.discovery import aggregated, legacy, server
from labkit.apiserver.http.messages import TEXT, Answer, Headers, Request
from labkit.apiserver.openapi.documents import Document, OpenApi
from labkit.apiserver.routes import words
from labkit.control import refusals

NOT_FOUND = Answer(b"404 page not found\n", 404, TEXT)


class Documents:
    """Answers what `routes.parse` leaves over. `address` is "host:port", for clients from anywhere."""

    def __init__(self, catalogue: Catalogue, address: str, openapi: OpenApi) -> None:
        self._catalogue = catalogue
        self._openapi = openapi
        self._address = address

    def answer(self, request: Request) -> Answer:
        """Raises MethodNotAllowed, `ApiError` where what is asked for cannot be had."""
        found = self._document(request, words(request.path))
        if found is None:
            return NOT_FOUND
        if request.method != "GET":
            raise refusals.not_served()
        return found()

    def _document(self, request: Request, path: list[str]) -> Callable[[], Answer] | None:
        accept = request.header("accept")
        match path:
            case []:
                return lambda: _json(server.paths(self._catalogue))
            case ["version"]:
                return lambda: _json(server.version())
            case ["livez" | "readyz" | "healthz", *_]:
                return lambda: _health(request, path[0])
            case ["openapi", "v2"]:
                return lambda: self._swagger(request, accept)
            case ["openapi", "v3"]:
                return lambda: _json(self._openapi.index())
            case ["openapi", "v3", *version] if document := self._openapi.document("/".join(version)):
                return lambda: _hashed(request, document)
            case ["api"]:
                return lambda: self._groups(accept, core=True)
            case ["apis"]:
                return lambda: self._groups(accept, core=False)
            case ["apis", group] if (listed := legacy.api_group(self._catalogue, group)) is not None:
                return lambda: _json(listed)
            case ["api" | "apis", *version] if len(version) in (1, 2):
                found = legacy.api_resources(self._catalogue, "/".join(version))
                return None if found is None else lambda: _json(found)
        return None

    def _groups(self, accept: str, core: bool) -> Answer:
        version = aggregated.asked_for(accept)
        if version:
            listed = aggregated.group_list(self._catalogue, core, version)
            return Answer(msgspec.json.encode(listed), kind=aggregated.content_type(version))
        plain = legacy.api_versions(self._address) if core else legacy.api_groups(self._catalogue)
        return _json(plain)

    def _swagger(self, request: Request, accept: str) -> Answer:
        return _tagged(request, self._openapi.swagger("protobuf" if "protobuf" in accept else "json"))


def _hashed(request: Request, document: Document) -> Answer:
    """A document at an address that names its hash may be kept for good; at one of another hash it has moved."""
    asked = request.first("hash")
    if asked and asked != document.hash:
        moved = f"{request.path}?hash={document.hash}"
        return Answer(b"", 301, TEXT, (("Location", moved),))
    return _tagged(request, document, (("Cache-Control", "public, immutable"),) if asked else ())


def _tagged(request: Request, document: Document, headers: Headers = ()) -> Answer:
    tag = f'"{document.hash}"'
    told: Headers = (("Etag", tag), ("Vary", "Accept"), *headers)
    if request.header("if-none-match") == tag:
        return Answer(b"", 304, document.content_type, told)
    return Answer(document.body, kind=document.content_type, headers=told)


def _health(request: Request, name: str) -> Answer:
    if "verbose" in request.query:
        return Answer(f"[+]ping ok\n{name} check passed\n".encode(), kind=TEXT)
    return Answer(b"ok", kind=TEXT)


def _json(value: Any) -> Answer:
    return Answer(msgspec.json.encode(value) + b"\n")
