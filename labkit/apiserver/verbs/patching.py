"""patch: an object changed by part of it, or applied as a whole by somebody who owns part of it.

    live object ── JSON patch | merge patch | strategic merge patch ── update        kubectl edit, label, apply
    live object or none ── server-side apply ── update or create                     kubectl apply --server-side

Source: apiserver/pkg/endpoints/handlers/patch.go.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from labkit.api.resources import Resource
from labkit.api.schema import definition
from labkit.apiserver import bodies, options
from labkit.apiserver.call import Call
from labkit.apiserver.http.messages import Answer
from labkit.apiserver.verbs import writing
from labkit.control import refusals, status
from labkit.control.admission import Options
from labkit.control.deletion import timestamp
from labkit.control.fields import server_side_apply
from labkit.control.patch import patched

Raw = dict[str, Any]

KINDS: dict[str, Literal["json", "merge", "strategic"]] = {
    "application/json-patch+json": "json",
    "application/merge-patch+json": "merge",
    "application/strategic-merge-patch+json": "strategic",
}
APPLY = "application/apply-patch+yaml"
ACCEPTED = (*KINDS, APPLY)


def patch(call: Call) -> Answer:
    """Raises UnsupportedMediaType, BadRequest, Invalid, Conflict."""
    if bodies.media_type(call.request) == APPLY:
        return apply(call)
    wanted = options.writing(call.request)
    live = call.shown(call.store.get(*call.route.key))
    made = writing.placed(call, patched_value(call, live, call.resource))
    return call.renderer.one(writing.replaced(call, made, wanted), 200, call.warnings)


def patched_value(call: Call, live: Raw, resource: Resource) -> Raw:
    """What the patch in a request makes of an object of this resource."""
    media = bodies.media_type(call.request)
    kind = KINDS.get(media)
    if kind is None:
        raise refusals.unsupported_media_type(ACCEPTED)
    change = bodies.value(call.request.body, bodies.JSON)
    made = patched(kind, live, change, definition(resource.api_version, resource.kind))
    return bodies.typed(made, resource.api_version, resource.kind)


def apply(call: Call) -> Answer:
    """Server-side apply: creates what is not there."""
    wanted = options.writing(call.request, applying=True)
    given = bodies.value(call.request.body, bodies.YAML)
    raw = writing.placed(call, bodies.typed(given, call.resource.api_version, call.resource.kind))
    admission, sub = call.plane.admission, call.route.subresource
    raw = admission.structured(raw, Options(wanted.validation, call.warnings.append), partial=True)
    stored = call.store.find(*call.route.key)
    if stored is None and sub:
        raise status.not_found(call.resource, call.route.name)
    version = raw["metadata"].pop("resourceVersion", "")
    if version and (stored is None or stored["metadata"]["resourceVersion"] != version):
        raise status.conflict(call.resource, call.route.name)
    live = None if stored is None else call.shown(stored)
    now = timestamp(call.store.now())
    made = server_side_apply(live, raw, wanted.manager, wanted.force, now, sub, admission.shape(raw))
    call.plane.guard(call, made, live)
    if live is None:
        created = call.write(wanted.dry_run, lambda: admission.create(made))
        return call.renderer.one(created, 201, call.warnings)
    unmanaged = msgspec.structs.replace(wanted, manager="")
    return call.renderer.one(writing.replaced(call, made, unmanaged), 200, call.warnings)
