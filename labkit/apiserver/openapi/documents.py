"""The documents of OpenAPI as a server answers them, made when first asked for and kept while they are true.

    GET /openapi/v3                          index(): a URL for each version, with a hash of its content
    GET /openapi/v3/apis/apps/v1?hash=…      document("apis/apps/v1")
    GET /openapi/v2                          swagger("json" | "protobuf")

A hash is of what a document is made from, so the index costs no document. What makes documents is imported with the
first one: a lab without readers of OpenAPI does not spend those 10 ms. Source: kube-openapi/pkg/handler3/handler.go.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import cache
from typing import Any, Literal

import msgspec

from labkit.api import schema
from labkit.api.kinds import Catalogue
from labkit.api.resources import Resource
from labkit.apiserver.discovery.groups import groups
from labkit.apiserver.discovery.server import version

Raw = dict[str, Any]
Custom = Callable[[str, str], Raw | None]
"""The openAPIV3Schema of a custom kind, by apiVersion and kind."""


class Document(msgspec.Struct, frozen=True):
    """The bytes of an answer; `hash` changes with them and is the ETag (in quotes)."""

    body: bytes
    hash: str
    content_type: str = "application/json"


class _Sources(msgspec.Struct, frozen=True):
    """What a document is made from, and the hash of it."""

    resources: tuple[Resource, ...]
    schemas: tuple[Raw | None, ...]
    hash: str


class OpenApi:
    """The documents of one server. `custom` gives a custom kind's schema, the same object while it does not change."""

    def __init__(self, catalogue: Catalogue, custom: Custom) -> None:
        self._catalogue = catalogue
        self._custom = custom
        self._sources: dict[str, _Sources] = {}
        self._kept: dict[str, Document] = {}

    def index(self) -> Raw:
        """What `/openapi/v3` answers."""
        urls = {path: f"/openapi/v3/{path}?hash={sources.hash}" for path, sources in self._current().items()}
        return {"paths": {path: {"serverRelativeURL": url} for path, url in sorted(urls.items())}}

    def document(self, path: str) -> Document | None:
        """The document at "api/v1" or "apis/apps/v1"; None where no such version is served."""
        sources = self._current().get(path)
        if sources is None:
            return None
        kept = self._kept.get(path)
        if kept is None or kept.hash != sources.hash:
            from labkit.apiserver.openapi import version3

            body = version3.document(sources.resources, self._custom)
            kept = self._kept[path] = Document(body, sources.hash)
        return kept

    def swagger(self, form: Literal["json", "protobuf"]) -> Document:
        """What `/openapi/v2` answers."""
        sources = self._current().values()
        current = _hash(*(each.hash.encode() for each in sources))
        kept = self._kept.get(form)
        if kept is None or kept.hash != current:
            from labkit.apiserver.openapi import gnostic, version2

            made = version2.document([r for each in sources for r in each.resources], self._custom)
            if form == "json":
                kept = Document(msgspec.json.encode(made), current)
            else:
                kept = Document(gnostic.encode(made), current, gnostic.CONTENT_TYPE)
            self._kept[form] = kept
        return kept

    def _current(self) -> dict[str, _Sources]:
        """The sources of all documents by path, those that did not change as they were."""
        found = {}
        for group in groups(self._catalogue):
            for name, resources in group.versions.items():
                path = f"apis/{group.api_version(name)}" if group.name else f"api/{name}"
                found[path] = self._source(self._sources.get(path), resources)
        for gone in self._sources.keys() - found.keys():
            self._kept.pop(gone, None)
        self._sources = found
        return found

    def _source(self, known: _Sources | None, resources: tuple[Resource, ...]) -> _Sources:
        schemas = tuple(self._custom(r.api_version, r.kind) if r.custom else None for r in resources)
        if known is not None and known.resources == resources:
            same = (old is new for old, new in zip(known.schemas, schemas, strict=True))
            if all(same):
                return known
        content = msgspec.json.encode([resources, schemas])
        return _Sources(resources, schemas, _hash(_built_in().encode(), content))


@cache
def _built_in() -> str:
    """The hash of what all documents have in common: the version and the published types."""
    from labkit.apiserver.openapi.definitions import DESCRIPTIONS

    return _hash(version()["gitVersion"].encode(), schema.FILE.read_bytes(), DESCRIPTIONS.read_bytes())


def _hash(*parts: bytes) -> str:
    found = hashlib.sha256()
    for part in parts:
        found.update(len(part).to_bytes(8, "big") + part)
    return found.hexdigest().upper()
