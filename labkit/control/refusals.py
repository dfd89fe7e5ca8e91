"""Refusals of whole requests: of their form, their sender, their timing. They too are `ApiError`s with a `Status`.

Source: k8s.io/apimachinery/pkg/api/errors/errors.go, apiserver/pkg/endpoints/handlers/{negotiation,responsewriters},
pkg/registry/core/pod/storage/eviction.go of v1.34.
"""

from __future__ import annotations

from collections.abc import Sequence

from labkit.control.status import Kind, forbidden, qualified, refusal
from labkit.errors import ApiError

EVICTION_SECONDS = 10


def method_not_allowed(kind: Kind, verb: str) -> ApiError:
    message = f'{verb} is not supported on resources of kind "{qualified(kind)}"'
    return refusal(405, "MethodNotAllowed", message, kind)


def going(kind: Kind, verb: str) -> ApiError:
    """A write of a custom resource whose definition is being deleted."""
    message = f"{verb} not allowed while custom resource definition is terminating"
    return refusal(405, "MethodNotAllowed", message, kind)


def not_served() -> ApiError:
    """A resource or subresource that this server does not have."""
    return refusal(404, "NotFound", "the server could not find the requested resource")


def unsupported_media_type(accepted: Sequence[str]) -> ApiError:
    listed = ", ".join(accepted)
    message = f"the body of the request was in an unknown format - accepted media types include: {listed}"
    return refusal(415, "UnsupportedMediaType", message)


def not_acceptable(accepted: Sequence[str]) -> ApiError:
    message = f"only the following media types are accepted: {', '.join(accepted)}"
    return refusal(406, "NotAcceptable", message)


def too_large(limit: int) -> ApiError:
    message = f"Request entity too large: limit is {limit}"
    return refusal(413, "RequestEntityTooLarge", message)


def unauthorized() -> ApiError:
    return refusal(401, "Unauthorized", "Unauthorized")


def denied(
    user: str, verb: str, kind: Kind, namespace: str = "", name: str = "", subresource: str = "", why: str = ""
) -> ApiError:
    """What the authorizer refuses; `why` is its reason, if it has one."""
    plural, _, group = qualified(kind).partition(".")
    resource = f"{plural}/{subresource}" if subresource else plural
    where = f'in the namespace "{namespace}"' if namespace else "at the cluster scope"
    text = f'User "{user}" cannot {verb} resource "{resource}" in API group "{group}" {where}'
    return forbidden(kind, name, f"{text}: {why}" if why else text)


def denied_path(user: str, verb: str, path: str) -> ApiError:
    return refusal(403, "Forbidden", f'forbidden: User "{user}" cannot {verb} path "{path}"')


def expired(asked: str, oldest: str) -> ApiError:
    """A resourceVersion of which the history is gone: list anew."""
    message = f"too old resource version: {asked} ({oldest})"
    return refusal(410, "Expired", message)


def gone(message: str) -> ApiError:
    return refusal(410, "Gone", message)


def version_too_large(asked: str, current: str) -> ApiError:
    """A resourceVersion from the future."""
    error = refusal(504, "Timeout", f"Timeout: Too large resource version: {asked}, current: {current}", retry=1)
    cause = {"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}
    error.details["status"]["details"]["causes"] = [cause]
    return error


def timeout(message: str, retry: int = 0) -> ApiError:
    return refusal(504, "Timeout", f"Timeout: {message}", retry=retry)


def unavailable(message: str) -> ApiError:
    return refusal(503, "ServiceUnavailable", message)


def internal(message: str) -> ApiError:
    cause = {"message": message}
    return refusal(500, "InternalError", f"Internal error occurred: {message}", causes=[cause])


def disrupted(budget: str, needed: int, healthy: int) -> ApiError:
    """An eviction that a PodDisruptionBudget does not allow now."""
    why = f"The disruption budget {budget} needs {needed} healthy pods and has {healthy} currently"
    return _not_evicted(why)


def budget_pending(budget: str) -> ApiError:
    """An eviction while the controller has not yet looked at the budget as it is."""
    return _not_evicted(f"The disruption budget {budget} is still being processed by the server.", EVICTION_SECONDS)


def several_budgets() -> ApiError:
    return internal("This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.")


def _not_evicted(why: str, retry: int = 0) -> ApiError:
    message = "Cannot evict pod as it would violate the pod's disruption budget."
    causes = [{"reason": "DisruptionBudget", "message": why}]
    return refusal(429, "TooManyRequests", message, causes=causes, retry=retry)
