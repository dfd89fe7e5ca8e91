"""Paths that are no resources: health, version, discovery."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from labkit.api.kinds import Catalogue
from labkit.apiserver.discovery import aggregated, legacy, server
from labkit.apiserver.http.messages import TEXT, Answer, Request
from labkit.apiserver.routes import words
from labkit.control import refusals

NOT_FOUND = Answer(b"404 page not found\n", 404, TEXT)


class Documents:
    """Answers what `routes.parse` leaves over. `address` is "host:port", for clients from anywhere."""

    def __init__(self, catalogue: Catalogue, address: str) -> None:
        self._catalogue = catalogue
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


def _health(request: Request, name: str) -> Answer:
    if "verbose" in request.query:
        return Answer(f"[+]ping ok\n{name} check passed\n".encode(), kind=TEXT)
    return Answer(b"ok", kind=TEXT)


def _json(value: Any) -> Answer:
    return Answer(msgspec.json.encode(value) + b"\n")
