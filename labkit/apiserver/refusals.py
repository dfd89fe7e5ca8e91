"""What the server refuses before any object is looked at: `ApiError`s with the real `Status`.

Source: apimachinery/pkg/api/errors/errors.go; apiserver/pkg/endpoints/handlers/responsewriters.
"""

from __future__ import annotations

from typing import Any

import msgspec

from labkit.api.resources import Resource
from labkit.apiserver.http.messages import Answer
from labkit.errors import ApiError

REASONS = {
    400: "BadRequest",
    404: "NotFound",
    405: "MethodNotAllowed",
    406: "NotAcceptable",
    413: "RequestEntityTooLarge",
    415: "UnsupportedMediaType",
    431: "BadRequest",
    500: "InternalError",
    504: "Timeout",
}
WIRE = {
    400: "the request is not HTTP",
    413: "limit is 3145728",
    431: "the request line and headers are too large",
    500: "Internal error occurred",
}


def refusal(code: int, message: str, reason: str = "", details: dict[str, Any] | None = None) -> ApiError:
    status: dict[str, Any] = {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": message,
        "reason": reason or REASONS[code],
        "code": code,
    }
    if details is not None:
        status["details"] = details
    return ApiError(message, status=status)


def bad_request(message: str) -> ApiError:
    return refusal(400, message)


def unauthorized() -> ApiError:
    return refusal(401, "Unauthorized", "Unauthorized")


def no_such_resource() -> ApiError:
    return refusal(404, "the server could not find the requested resource", details={})


def not_allowed() -> ApiError:
    return refusal(405, "the server does not allow this method on the requested resource", details={})


def not_acceptable(accepted: str) -> ApiError:
    return refusal(406, f"only the following media types are accepted: {accepted}")


def unsupported_media(accepted: str) -> ApiError:
    message = f"the body of the request was in an unknown format - accepted media types include: {accepted}"
    return refusal(415, message)


def too_new(version: int, current: int) -> ApiError:
    """A resourceVersion that no write has reached yet."""
    cause = {"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}
    details = {"causes": [cause], "retryAfterSeconds": 1}
    return refusal(504, f"Timeout: Too large resource version: {version}, current: {current}", details=details)


def no_body(code: int) -> Answer:
    """The answer to what is no request; see `labkit.apiserver.http.server`."""
    return answer(refusal(code, WIRE[code]))


def answer(error: ApiError) -> Answer:
    status = error.details["status"]
    code = int(status["code"])
    retry = status.get("details", {}).get("retryAfterSeconds")
    headers = [("Retry-After", str(retry))] if retry else []
    return Answer(msgspec.json.encode(status), code, headers=tuple(headers))


def forbidden(resource: Resource, name: str, why: str) -> ApiError:
    """A refusal of the authorizer."""
    details = {"name": name, "group": resource.group, "kind": resource.plural}
    what = f'{resource.qualified} "{name}"' if name else resource.qualified
    shown = {key: value for key, value in details.items() if value}
    return refusal(403, f"{what} is forbidden: {why}", "Forbidden", shown)


def forbidden_path(path: str, why: str) -> ApiError:
    return refusal(403, f'forbidden: {why} path "{path}"', "Forbidden", {})
