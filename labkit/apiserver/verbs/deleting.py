"""delete and deletecollection. Source: apiserver/pkg/endpoints/handlers/delete.go; pkg/registry/rest/delete.go."""

from __future__ import annotations

from typing import Any, cast

import msgspec

from labkit.apiserver import bodies, options
from labkit.apiserver.call import Call
from labkit.apiserver.http.messages import Answer
from labkit.apiserver.verbs import reading
from labkit.control import status
from labkit.control.deletion import Propagation
from labkit.control.store import key_of

Raw = dict[str, Any]


class Wanted(msgspec.Struct, frozen=True):
    """DeleteOptions. `grace` None: as long as the object says; `propagation` None: as the kind does."""

    dry_run: bool = False
    grace: int | None = None
    propagation: Propagation | None = None
    uid: str = ""
    version: str = ""


def delete(call: Call) -> Answer:
    """The object where it stays for a while, else a Status that says that it is gone."""
    wanted = options_of(call)
    old = call.store.get(*call.route.key)
    last = call.write(wanted.dry_run, lambda: deleted(call, old, wanted))
    if lives(call, old) or call.resource.kind == "Pod":
        return call.renderer.one(last)
    return Answer(msgspec.json.encode(success(call, old)) + b"\n")


def delete_collection(call: Call) -> Answer:
    """A list of what was deleted."""
    wanted = options_of(call)
    listing = options.listing(call.request, watching=False)
    selects = reading.selecting(call, listing)
    found = [raw for raw in call.store.list(call.resource.key, call.route.namespace or None) if selects(raw)]

    def change() -> list[Raw]:
        return [deleted(call, raw, wanted) for raw in found if lives(call, raw)]

    return call.renderer.many(call.write(wanted.dry_run, change), {"resourceVersion": call.store.version})


def deleted(call: Call, old: Raw, wanted: Wanted) -> Raw:
    """The last state of an object whose deletion is begun or done. Raises Conflict where it is not the one meant."""
    metadata = old["metadata"]
    if wanted.version and wanted.version != metadata["resourceVersion"]:
        given, is_now = wanted.version, metadata["resourceVersion"]
        why = f"Precondition failed: ResourceVersion in precondition: {given}, ResourceVersion in object meta: {is_now}"
        raise status.conflict(call.resource, metadata["name"], why)
    return call.store.delete(*key_of(old), grace=wanted.grace, propagation=wanted.propagation, uid=wanted.uid)


def lives(call: Call, raw: Raw) -> bool:
    """Whether this very object is still stored."""
    found = call.store.find(*key_of(raw))
    return found is not None and bool(found["metadata"]["uid"] == raw["metadata"]["uid"])


def success(call: Call, raw: Raw) -> Raw:
    details = {"name": raw["metadata"]["name"], "group": call.resource.group, "kind": call.resource.plural}
    details["uid"] = raw["metadata"]["uid"]
    shown = {name: value for name, value in details.items() if value}
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": shown}


def options_of(call: Call) -> Wanted:
    """DeleteOptions of the body, or of the query where there is no body. Raises BadRequest, Invalid."""
    return parsed(call, _body(call) if call.request.body else _query(call))


def parsed(call: Call, given: Raw) -> Wanted:
    """DeleteOptions, checked. Raises BadRequest, Invalid."""
    grace, propagation = given.get("gracePeriodSeconds"), cast(Any, given.get("propagationPolicy"))
    orphan = given.get("orphanDependents")
    if grace is not None and (not isinstance(grace, int) or isinstance(grace, bool) or not 0 <= grace < 2**31):
        raise status.bad_request("DeleteOptions.gracePeriodSeconds: must be an integer of at least 0")
    if propagation not in (None, "", *options.PROPAGATIONS):
        raise options.invalid(
            f'propagationPolicy: Unsupported value: "{str(propagation)[:100]}": supported values: "Foreground", '
            '"Background", "Orphan", "nil"',
            "DeleteOptions",
        )
    if orphan is not None and propagation:
        raise options.invalid(
            "propagationPolicy: Invalid value: orphanDependents and it may not both be set", "DeleteOptions"
        )
    before, dry = given.get("preconditions"), given.get("dryRun")
    before, dry = {} if before is None else before, [] if dry is None else dry
    if not isinstance(before, dict) or not isinstance(dry, list):
        raise status.bad_request("DeleteOptions: preconditions must be an object, dryRun a list")
    legacy: Propagation | None = None if orphan is None else "Orphan" if orphan else "Background"
    return Wanted(
        options.dry_run([*dry, *call.request.query.get("dryRun", [])]),
        grace,
        propagation or legacy,
        str(before.get("uid") or ""),
        str(before.get("resourceVersion") or ""),
    )


def _body(call: Call) -> Raw:
    found = bodies.value(call.request.body, bodies.media_type(call.request))
    if found is None:
        return {}
    if not isinstance(found, dict) or found.get("kind", "DeleteOptions") != "DeleteOptions":
        raise status.bad_request("the body of a delete must be DeleteOptions")
    return found


def _query(call: Call) -> Raw:
    found: Raw = {}
    if text := call.request.first("gracePeriodSeconds"):
        found["gracePeriodSeconds"] = int(text) if text.isascii() and text.isdecimal() and len(text) < 12 else text
    if text := call.request.first("propagationPolicy"):
        found["propagationPolicy"] = text
    if text := call.request.first("orphanDependents"):
        found["orphanDependents"] = text in ("true", "1")
    return found
