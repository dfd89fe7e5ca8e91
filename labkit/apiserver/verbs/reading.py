"""get and list. Source: apiserver/pkg/endpoints/handlers/get.go; apiserver/pkg/storage (continue tokens)."""

from __future__ import annotations

from typing import Any

from labkit.apiserver import options, selection
from labkit.apiserver.call import Call
from labkit.apiserver.http.messages import Answer
from labkit.apiserver.options import ListOptions
from labkit.apiserver.selection import Selects
from labkit.control import refusals

Raw = dict[str, Any]


def get(call: Call) -> Answer:
    return call.renderer.one(call.store.get(*call.route.key))


def listed(call: Call) -> Answer:
    """A list, whole or in pieces: each piece is of the version of the first."""
    wanted = options.listing(call.request, watching=False)
    check_version(call, wanted)
    version = wanted.version if wanted.match == "Exact" and wanted.version > 0 else int(call.store.version)
    objects = call.store.as_of(call.resource.key, version, call.route.namespace or None)
    selects = selecting(call, wanted)
    if wanted.labels or wanted.fields:
        objects = tuple(raw for raw in objects if selects(raw))
    if start := wanted.start:
        objects = tuple(raw for raw in objects if place(raw) > start)
    metadata: Raw = {"resourceVersion": str(version)}
    if wanted.limit and len(objects) > wanted.limit:
        rest = len(objects) - wanted.limit
        objects = objects[: wanted.limit]
        metadata["continue"] = options.token(version, place(objects[-1]))
        if not wanted.labels and not wanted.fields:
            metadata["remainingItemCount"] = rest
    return call.renderer.many(objects, metadata)


def selecting(call: Call, wanted: ListOptions) -> Selects:
    """The test for the selectors of a request."""
    version = call.plane.admission.custom.find(call.resource.api_version, call.resource.kind)
    custom = () if version is None else tuple(path.lstrip(".") for path in version.selectable)
    return selection.selects(call.resource, wanted.labels, wanted.fields, custom)


def check_version(call: Call, wanted: ListOptions) -> None:
    """Raises Timeout for a version from the future."""
    if wanted.version > int(call.store.version):
        raise refusals.version_too_large(str(wanted.version), call.store.version)


def place(raw: Raw) -> tuple[str, str]:
    """Where an object stands in a list."""
    return raw["metadata"].get("namespace", ""), raw["metadata"]["name"]
