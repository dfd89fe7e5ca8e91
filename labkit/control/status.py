"""The API's refusals: `ApiError`s that hold the `Status` object a real API server would send, in its words.

Source: k8s.io/apimachinery/pkg/api/errors/errors.go.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from labkit.api import kinds
from labkit.api.problem import Problem
from labkit.errors import ApiError


def not_found(kind: str, name: str) -> ApiError:
    return _refusal(404, "NotFound", f'{_resource(kind)} "{name}" not found', kind, name)


def already_exists(kind: str, name: str) -> ApiError:
    return _refusal(409, "AlreadyExists", f'{_resource(kind)} "{name}" already exists', kind, name)


def conflict(kind: str, name: str, why: str = "") -> ApiError:
    why = why or "the object has been modified; please apply your changes to the latest version and try again"
    message = f'Operation cannot be fulfilled on {_resource(kind)} "{name}": {why}'
    return _refusal(409, "Conflict", message, kind, name)


def forbidden(kind: str, name: str, why: str, causes: Sequence[dict[str, str]] = ()) -> ApiError:
    return _refusal(403, "Forbidden", f'{_resource(kind)} "{name}" is forbidden: {why}', kind, name, causes)


def terminating(kind: str, name: str, namespace: str) -> ApiError:
    """A refusal to create something in a namespace that is going."""
    gone = f"namespace {namespace} is being terminated"
    cause = {"reason": "NamespaceTerminating", "message": gone, "field": "metadata.namespace"}
    why = f"unable to create new content in namespace {namespace} because it is being terminated"
    return forbidden(kind, name, why, [cause])


def bad_request(problems: Sequence[Problem]) -> ApiError:
    """An object of the wrong shape. Source: the strict field validation of apiserver's create and update handlers."""
    listed = ", ".join(
        problem.message if "unknown field" in problem.message else _text(problem) for problem in problems
    )
    error = _refusal(400, "BadRequest", f"strict decoding error: {listed}")
    error.details["problems"] = msgspec.to_builtins(problems)
    return error


def refused(message: str) -> ApiError:
    """A request that makes no sense as things are."""
    return _refusal(400, "BadRequest", message)


def invalid(kind: str, name: str, problems: Sequence[Problem]) -> ApiError:
    """An object of the right shape with impossible values: one cause for each problem."""
    texts = list(dict.fromkeys(_text(problem) for problem in problems))
    listed = texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"
    group = kinds.resource(kind).group
    qualified = f"{kind}.{group}" if group else kind
    causes = [{"reason": p.reason, "message": p.message, "field": p.field} for p in problems]
    error = _refusal(422, "Invalid", f'{qualified} "{name}" is invalid: {listed}', kind, name, causes)
    error.details["status"]["details"]["kind"] = kind  # here, and only here, the kind in place of the resource
    error.details["problems"] = msgspec.to_builtins(problems)
    return error


def _text(problem: Problem) -> str:
    return f"{problem.field}: {problem.message}"


def _resource(kind: str) -> str:
    resource = kinds.resource(kind)
    return f"{resource.plural}.{resource.group}" if resource.group else resource.plural


def _refusal(
    code: int, reason: str, message: str, kind: str = "", name: str = "", causes: Iterable[dict[str, str]] = ()
) -> ApiError:
    status: dict[str, Any] = {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": message,
        "reason": reason,
        "code": code,
    }
    if kind:
        resource = kinds.resource(kind)
        status["details"] = {"name": name, "kind": resource.plural}
        if resource.group:
            status["details"]["group"] = resource.group
        if causes:
            status["details"]["causes"] = list(causes)
    return ApiError(message, status=status)
