"""The API's refusals: `ApiError`s that hold the `Status` object a real API server would send, in its words.

A kind is given as its `Resource`, or as the name that the store keeps a built-in one under.
Source: k8s.io/apimachinery/pkg/api/errors/errors.go; those of requests and access are in `refusals.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from labkit.api import unmarshal
from labkit.api.kinds import BY_KIND
from labkit.api.problem import Problem
from labkit.api.resources import Resource
from labkit.errors import ApiError

Kind = Resource | str
MODIFIED = "the object has been modified; please apply your changes to the latest version and try again"


def not_found(kind: Kind, name: str) -> ApiError:
    return refusal(404, "NotFound", f'{qualified(kind)} "{name}" not found', kind, name)


def already_exists(kind: Kind, name: str) -> ApiError:
    return refusal(409, "AlreadyExists", f'{qualified(kind)} "{name}" already exists', kind, name)


def conflict(kind: Kind, name: str, why: str = "", causes: Sequence[dict[str, str]] = ()) -> ApiError:
    message = f'Operation cannot be fulfilled on {qualified(kind)} "{name}": {why or MODIFIED}'
    return refusal(409, "Conflict", message, kind, name, causes)


def forbidden(kind: Kind, name: str, why: str, causes: Sequence[dict[str, str]] = ()) -> ApiError:
    shown = f'{qualified(kind)} "{name}"' if name else qualified(kind)
    return refusal(403, "Forbidden", f"{shown} is forbidden: {why}", kind, name, causes)


def terminating(kind: Kind, name: str, namespace: str) -> ApiError:
    """A refusal to create something in a namespace that is going."""
    gone = f"namespace {namespace} is being terminated"
    cause = {"reason": "NamespaceTerminating", "message": gone, "field": "metadata.namespace"}
    why = f"unable to create new content in namespace {namespace} because it is being terminated"
    return forbidden(kind, name, why, [cause])


def bad_request(why: str) -> ApiError:
    return refusal(400, "BadRequest", why)


def undecodable(raw: dict[str, Any], problems: Sequence[Problem]) -> ApiError:
    """An object of the wrong shape: what cannot be decoded at all comes before what strictness finds.

    Source: transformDecodeError of apiserver/pkg/endpoints/handlers/rest.go.
    """
    kind, version = raw.get("kind"), str(raw.get("apiVersion", "")).rpartition("/")[2]
    texts = [p.message if p.message.startswith(("unknown field", "duplicate field")) else text(p) for p in problems]
    what = f'{kind} in version "{version}" cannot be handled as a {kind}: ' if kind and version else ""
    undecoded = next(filter(None, (unmarshal.said(raw, problem) for problem in problems)), "")
    error = bad_request(what + (undecoded or f"strict decoding error: {', '.join(texts)}"))
    error.details["problems"] = msgspec.to_builtins(problems)
    return error


def invalid(kind: Kind, name: str, problems: Sequence[Problem]) -> ApiError:
    """An object of the right shape with impossible values: one cause for each problem."""
    resource = named(kind)
    texts = list(dict.fromkeys(text(problem) for problem in problems))
    listed = texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"
    full = f"{resource.kind}.{resource.group}" if resource.group else resource.kind
    causes = [{"reason": p.reason, "message": p.message, "field": p.field} for p in problems]
    error = refusal(422, "Invalid", f'{full} "{name}" is invalid: {listed}', kind, name, causes)
    error.details["status"]["details"]["kind"] = resource.kind  # here, and only here, the kind instead of the resource
    error.details["problems"] = msgspec.to_builtins(problems)
    return error


def text(problem: Problem) -> str:
    return f"{problem.field}: {problem.message}"


def named(kind: Kind) -> Resource:
    """The resource; one that is made up for a key that no built-in resource has."""
    if isinstance(kind, Resource):
        return kind
    if kind in BY_KIND:
        return BY_KIND[kind]
    plain, _, group = kind.partition(".")
    return Resource(plain, f"{group}/" if group else "", f"{plain.lower()}s", custom=bool(group))


def qualified(kind: Kind) -> str:
    """The resource with its group, as messages name it."""
    return named(kind).qualified


def refusal(
    code: int,
    reason: str,
    message: str,
    kind: Kind = "",
    name: str = "",
    causes: Iterable[dict[str, str]] = (),
    retry: int = 0,
) -> ApiError:
    """Any refusal; `retry` is the number of seconds after which the client may try again."""
    status: dict[str, Any] = {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": message,
        "reason": reason,
        "code": code,
    }
    details: dict[str, Any] = {}
    if kind:
        resource = named(kind)
        details = {**({"name": name} if name else {}), "kind": resource.plural}
        if resource.group:
            details["group"] = resource.group
    if listed := list(causes):
        details["causes"] = listed
    if retry:
        details["retryAfterSeconds"] = retry
    if details:
        status["details"] = details
    return ApiError(message, status=status)
