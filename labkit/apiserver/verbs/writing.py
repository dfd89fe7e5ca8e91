"""create and update. Source: apiserver/pkg/endpoints/handlers/{create,update}.go; pkg/registry/rest."""

from __future__ import annotations

from typing import Any

from labkit.apiserver import bodies, options
from labkit.apiserver.call import Call
from labkit.apiserver.http.messages import Answer
from labkit.apiserver.options import WriteOptions
from labkit.control import status
from labkit.control.admission import Options

Raw = dict[str, Any]


def create(call: Call) -> Answer:
    wanted = options.writing(call.request)
    raw = placed(call, read(call, wanted))
    if raw["metadata"].get("resourceVersion"):
        raise status.bad_request("resourceVersion should not be set on objects to be created")
    call.plane.guard(call, raw, None)
    stored = call.write(wanted.dry_run, lambda: call.plane.admission.create(raw, admitted(call, wanted)))
    return call.renderer.one(stored, 201, call.warnings)


def update(call: Call) -> Answer:
    """Replaces an object, or its status."""
    wanted = options.writing(call.request)
    raw = placed(call, read(call, wanted))
    return call.renderer.one(replaced(call, raw, wanted), 200, call.warnings)


def replaced(call: Call, raw: Raw, wanted: WriteOptions, subresource: str = "") -> Raw:
    """What is stored in place of an object once `raw` is taken; a `subresource` that writes the whole is named."""
    old = call.store.get(*call.route.key)
    if (uid := raw["metadata"].get("uid")) and uid != old["metadata"]["uid"]:
        why = f"Precondition failed: UID in precondition: {uid}, UID in object meta: {old['metadata']['uid']}"
        raise status.conflict(call.resource, call.route.name, why)
    call.plane.guard(call, raw, old)
    admission, chosen = call.plane.admission, admitted(call, wanted, subresource)
    replace = admission.replace_status if call.route.subresource == "status" else admission.replace
    return call.write(wanted.dry_run, lambda: replace(raw, chosen))


def admitted(call: Call, wanted: WriteOptions, subresource: str = "") -> Options:
    """The request's parameters as admission takes them."""
    return Options(wanted.validation, call.warnings.append, wanted.manager, subresource)


def read(call: Call, wanted: WriteOptions) -> Raw:
    """The object in the request's body."""
    return bodies.checked(call.request, call.resource, wanted.validation, call.warnings.append)


def placed(call: Call, raw: Raw) -> Raw:
    """The object in the namespace, and with the name, of the request's path. Raises BadRequest where it has others."""
    metadata: Raw = dict(raw.get("metadata") or {})
    route = call.route
    if route.resource.namespaced:
        given = metadata.get("namespace") or route.namespace
        if given != route.namespace:
            raise status.bad_request(
                "the namespace of the provided object does not match the namespace sent on the request"
            )
        metadata["namespace"] = given
    else:
        metadata.pop("namespace", None)
    if route.name:
        given = metadata.get("name") or route.name
        if given != route.name:
            raise status.bad_request(
                f"the name of the object ({str(given)[:100]}) does not match the name on the URL ({route.name})"
            )
        metadata["name"] = given
    return {**raw, "metadata": metadata}
