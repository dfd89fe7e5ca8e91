"""Reviews: questions about access, asked by creating an object that comes back with its answer.

Source: kubernetes/pkg/registry/{authentication,authorization}.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec

from labkit.apiserver import bodies, options
from labkit.apiserver.access.access import Access
from labkit.apiserver.access.rbac import Attributes
from labkit.apiserver.call import Call, User
from labkit.apiserver.http.messages import Answer
from labkit.control import status
from labkit.control.deletion import timestamp

Raw = dict[str, Any]
Review = Callable[[Access, Call, Raw], Raw]

AUTHENTICATION, AUTHORIZATION = "authentication.k8s.io", "authorization.k8s.io"


def handlers(access: Access) -> dict[str, Callable[[Call], Answer]]:
    """The answers to all reviews, by resource."""
    every: dict[str, Review] = {
        f"selfsubjectreviews.{AUTHENTICATION}": _who_am_i,
        f"tokenreviews.{AUTHENTICATION}": _whose_token,
        f"localsubjectaccessreviews.{AUTHORIZATION}": _may_somebody,
        f"selfsubjectaccessreviews.{AUTHORIZATION}": _may_i,
        f"selfsubjectrulesreviews.{AUTHORIZATION}": _what_may_i,
        f"subjectaccessreviews.{AUTHORIZATION}": _may_somebody,
    }
    return {name: partial(_answer, access, review) for name, review in every.items()}


def _answer(access: Access, review: Review, call: Call) -> Answer:
    """The object with the status that answers it. Raises BadRequest for one that is no such review."""
    options.dry_run(call.request.query.get("dryRun", []))
    raw = bodies.asked(call.request, call.resource.api_version, call.resource.kind)
    metadata = {"creationTimestamp": timestamp(call.store.now()), **(raw.get("metadata") or {})}
    made = {**raw, "metadata": metadata, "status": review(access, call, raw.get("spec") or {})}
    return Answer(msgspec.json.encode(made) + b"\n", 201)


def _who_am_i(_: Access, call: Call, __: Raw) -> Raw:
    return {"userInfo": _user_info(call.user)}


def _whose_token(access: Access, _: Call, spec: Raw) -> Raw:
    audiences = spec.get("audiences") or []
    user = access.tokens.user(spec.get("token") or "", audiences)
    if user is None:
        return {"authenticated": False, "user": {}, "error": "[invalid bearer token]"}
    held = access.tokens.audiences(spec["token"])
    return {
        "authenticated": True,
        "user": _user_info(user),
        "audiences": [each for each in audiences if each in held] or held,
    }


def _may_i(access: Access, call: Call, spec: Raw) -> Raw:
    return _decision(access, call.user, _asked(spec))


def _may_somebody(access: Access, call: Call, spec: Raw) -> Raw:
    groups = tuple(spec.get("groups") or ())
    if not spec.get("user") and not groups:
        raise status.bad_request("at least one of user or group must be specified")
    wanted = _asked(spec)
    if call.resource.namespaced and wanted.namespace != call.route.namespace:
        raise status.bad_request(
            f'spec.resourceAttributes.namespace must match the namespace of the path: "{call.route.namespace}"'
        )
    return _decision(access, User(spec.get("user") or "", groups, spec.get("uid") or ""), wanted)


def _decision(access: Access, user: User, wanted: Attributes) -> Raw:
    decision = access.authorizer.decide(user, wanted)
    told: Raw = {"allowed": decision.allowed}
    return {**told, "reason": decision.reason} if decision.reason else told


def _asked(spec: Raw) -> Attributes:
    """What a review asks about. Raises BadRequest where it is not one thing."""
    resource, path = spec.get("resourceAttributes"), spec.get("nonResourceAttributes")
    if (resource is None) == (path is None):
        raise status.bad_request("exactly one of nonResourceAttributes or resourceAttributes must be specified")
    if path is not None:
        return Attributes(path.get("verb") or "", path=path.get("path") or "/")
    names = ("verb", "group", "resource", "subresource", "namespace", "name")
    return Attributes(**{name: (resource or {}).get(name) or "" for name in names})


def _what_may_i(access: Access, call: Call, spec: Raw) -> Raw:
    if not spec.get("namespace"):
        raise status.bad_request("no namespace on request")
    rules = access.authorizer.rules(call.user, spec["namespace"])
    resources = [rule for rule in rules if rule.get("resources")]
    paths = [{"verbs": r["verbs"], "nonResourceURLs": r["nonResourceURLs"]} for r in rules if r.get("nonResourceURLs")]
    return {"resourceRules": resources, "nonResourceRules": paths, "incomplete": False}


def _user_info(user: User) -> Raw:
    info = {"username": user.name, "uid": user.uid, "groups": list(user.groups), "extra": user.extra}
    return {name: value for name, value in info.items() if value}
