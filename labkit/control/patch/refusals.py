"""Refusals of patches, in the server's words.

Source: apiserver/pkg/endpoints/handlers/patch.go; apimachinery/pkg/util/mergepatch/errors.go.
"""

from __future__ import annotations

from typing import Any

import msgspec

from labkit.control.status import refusal
from labkit.errors import ApiError

NOT_FOR_CUSTOM = (
    "the body of the request was in an unknown format - accepted media types include: application/json-patch+json, "
    "application/merge-patch+json, application/apply-patch+yaml"
)


def malformed(text: str) -> ApiError:
    """400: this is no patch."""
    return refusal(400, "BadRequest", text)


def impossible() -> ApiError:
    """422: a patch that cannot be applied to this object. The server keeps the reason to itself."""
    return refusal(422, "Invalid", "the server rejected our request due to an error in our request")


def too_many(limit: int, count: int) -> ApiError:
    why = f"The allowed maximum operations in a JSON patch is {limit}, got {count}"
    return refusal(413, "RequestEntityTooLarge", f"Request entity is too large: {why}")


def unsupported() -> ApiError:
    """415: a strategic merge patch for a custom resource."""
    return refusal(415, "UnsupportedMediaType", NOT_FOR_CUSTOM)


def no_key(item: Any, key: str) -> ApiError:
    return malformed(f"map: {_shown(item)} does not contain declared merge key: {key}")


def no_directive(directive: Any, item: Any) -> ApiError:
    return malformed(f"unknown patch type: {directive} in map: {_shown(item)}"[:500])


def wrong_order(patch: list[Any], order: list[Any]) -> ApiError:
    shown = f"The order in patch list:\n{_shown(patch)}\n doesn't match $setElementOrder list:\n{_shown(order)}\n"
    return malformed(shown)


def _shown(value: Any) -> str:
    return msgspec.json.encode(value).decode()[:200]
