"""serviceaccounts/token: a token for a ServiceAccount, bound to what its bearer lives in.

Source: kubernetes/pkg/registry/core/serviceaccount/storage/token.go; pkg/apis/authentication/validation.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec

from labkit.api.problem import Problem
from labkit.api.resources import AUTHENTICATION, Resource
from labkit.apiserver import bodies, options
from labkit.apiserver.access.tokens import HOUR, LONGEST, SHORTEST, Tokens
from labkit.apiserver.call import Call
from labkit.apiserver.http.messages import Answer
from labkit.control import status
from labkit.control.deletion import timestamp

Raw = dict[str, Any]

REQUEST = Resource("TokenRequest", AUTHENTICATION, "tokenrequests")
BOUND = ("Node", "Pod", "Secret")


def token(call: Call, tokens: Tokens) -> Answer:
    """Raises BadRequest, Invalid, NotFound, Conflict where what it shall be bound to is another by now."""
    options.dry_run(call.request.query.get("dryRun", []))
    raw = bodies.asked(call.request, AUTHENTICATION, "TokenRequest")
    account = call.store.get(*call.route.key)
    spec = raw.get("spec") or {}
    audiences, seconds = spec.get("audiences") or [], spec.get("expirationSeconds") or HOUR
    why = "may not specify a duration less than 10 minutes" if seconds < SHORTEST else ""
    why = "may not specify a duration larger than 2^32 seconds" if seconds > LONGEST else why
    if why:
        problem = Problem("spec.expirationSeconds", f"Invalid value: {seconds}: {why}")
        raise status.invalid(REQUEST, call.route.name, [problem])
    text, expires = tokens.issue(account, audiences, seconds, _bound(call, spec.get("boundObjectRef")))
    metadata = {"name": account["metadata"]["name"], "namespace": account["metadata"]["namespace"]}
    spec = {**spec, "audiences": tokens.audiences(text), "expirationSeconds": seconds}
    told = {"token": text, "expirationTimestamp": timestamp(datetime.fromtimestamp(expires, UTC))}
    metadata["creationTimestamp"] = timestamp(call.store.now())
    made = {**raw, "metadata": metadata, "spec": spec, "status": told}
    return Answer(msgspec.json.encode(made) + b"\n", 201)


def _bound(call: Call, reference: Raw | None) -> Raw | None:
    """The object that a token shall be bound to."""
    if reference is None:
        return None
    if reference.get("kind") not in BOUND or not reference.get("name"):
        why = f"Invalid value: {str(reference)[:100]}: cannot bind token to this object"
        problem = Problem("spec.boundObjectRef", why)
        raise status.invalid(REQUEST, call.route.name, [problem])
    kind, name = reference["kind"], reference["name"]
    found = call.store.get(kind, "" if kind == "Node" else call.route.namespace, name)
    uid = reference.get("uid")
    if uid and uid != found["metadata"]["uid"]:
        why = (
            f"the UID in the bound object reference ({uid}) does not match the UID in record. The object might have "
            "been deleted and then recreated"
        )
        raise status.conflict(kind, name, why)
    return found
