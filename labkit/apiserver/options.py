"""The parameters of requests: what they may be, and what may go together. Pure.

Source: apimachinery/pkg/apis/meta/internalversion/validation; pkg/apis/meta/v1/validation.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Any, Literal

import msgspec

from labkit.apiserver.http.messages import Request
from labkit.apiserver.routes import TRUE
from labkit.control import status
from labkit.errors import ApiError

MATCHES = ("", "Exact", "NotOlderThan")
VALIDATIONS = ("", "Strict", "Warn", "Ignore")
PROPAGATIONS = ("Background", "Foreground", "Orphan")


class ListOptions(msgspec.Struct, frozen=True):
    """Parameters of list and watch. `version` -1 where none is given; `start` is where a continued list goes on."""

    labels: str = ""
    fields: str = ""
    version: int = -1
    match: str = ""
    limit: int = 0
    start: tuple[str, str] | None = None
    timeout: float = 0.0
    bookmarks: bool = False
    initial: bool | None = None


class WriteOptions(msgspec.Struct, frozen=True):
    """Parameters of create, update and patch; `validation` is Strict, Warn or Ignore."""

    dry_run: bool = False
    validation: Literal["Strict", "Warn", "Ignore"] = "Warn"
    manager: str = ""
    force: bool = False


def listing(request: Request, watching: bool) -> ListOptions:
    """Raises BadRequest, Invalid."""
    match = request.first("resourceVersionMatch")
    initial = _flag(request, "sendInitialEvents")
    version = _version(request.first("resourceVersion"))
    limit = _number(request, "limit")
    token = request.first("continue")
    if problem := _contradiction(request, watching, match, initial, version):
        raise invalid(problem)
    start = None
    if token and not watching:
        if version > 0:
            raise status.bad_request("specifying resource version is not allowed when using continue")
        version, start = continued(token)
        match = "Exact"
    return ListOptions(
        request.first("labelSelector"),
        request.first("fieldSelector"),
        version,
        match,
        limit,
        start,
        float(_number(request, "timeoutSeconds")),
        bool(_flag(request, "allowWatchBookmarks")),
        initial,
    )


def writing(request: Request, applying: bool = False) -> WriteOptions:
    """Raises BadRequest, Invalid."""
    validation = request.first("fieldValidation")
    if validation not in VALIDATIONS:
        raise invalid(
            f'fieldValidation: Unsupported value: "{validation}": supported values: "", "Ignore", "Warn", "Strict"'
        )
    manager = request.first("fieldManager")
    if len(manager) > 128 or not manager.isprintable():
        raise invalid("fieldManager: Invalid value: must be printable, of at most 128 letters")
    force = request.first("force")
    if applying and not manager:
        raise invalid("fieldManager: Required value: is required for apply patch", "PatchOptions")
    if force and not applying:
        raise invalid("force: Forbidden: may not be specified for non-apply patch", "PatchOptions")
    manager = manager or request.header("user-agent").partition("/")[0][:128] or "unknown"
    chosen: Any = validation or "Warn"
    return WriteOptions(dry_run(request.query.get("dryRun", [])), chosen, manager, force in TRUE)


def dry_run(given: list[Any]) -> bool:
    """Raises Invalid for any other value than All."""
    if any(value not in ("All", "") for value in given):
        raise invalid(f'dryRun: Unsupported value: {msgspec.json.encode(given).decode()}: supported values: "All"')
    return "All" in given


def token(version: int, after: tuple[str, str]) -> str:
    """Where a list goes on: after this namespace and name, as of this version."""
    return urlsafe_b64encode(msgspec.json.encode({"v": "meta.k8s.io/v1", "rv": version, "start": after})).decode()


def continued(text: str) -> tuple[int, tuple[str, str]]:
    """What `token` wrote. Raises BadRequest."""
    try:
        found = msgspec.json.decode(urlsafe_b64decode(text + "=="))
        return int(found["rv"]), (str(found["start"][0]), str(found["start"][1]))
    except (ValueError, TypeError, KeyError, IndexError, msgspec.DecodeError, RecursionError):
        raise status.bad_request("continue key is not valid: it was not made by this server") from None


def _contradiction(request: Request, watching: bool, match: str, initial: bool | None, version: int) -> str:
    """What must not go together; empty where all is well."""
    field = "resourceVersionMatch"
    if initial is not None and not watching:
        return "sendInitialEvents: Forbidden: sendInitialEvents is forbidden for list"
    if match not in MATCHES:
        return f'{field}: Unsupported value: "{match}": supported values: "Exact", "NotOlderThan", ""'
    if watching and match and initial is None:
        return f"{field}: Forbidden: {field} is forbidden for watch unless sendInitialEvents is provided"
    if watching and initial is not None and match != "NotOlderThan":
        return f"{field}: Forbidden: sendInitialEvents requires setting {field} to NotOlderThan"
    if match and not watching and request.first("continue"):
        return f"{field}: Forbidden: {field} is forbidden when continue is provided"
    if match and not watching and version < 0:
        return f"{field}: Forbidden: {field} is forbidden unless resourceVersion is provided"
    if match == "Exact" and version == 0:
        return f'{field}: Forbidden: {field} "Exact" is forbidden for resourceVersion "0"'
    return ""


def invalid(problem: str, kind: str = "ListOptions", group: str = "meta.k8s.io") -> ApiError:
    field, _, message = problem.partition(": ")
    cause = {"reason": "FieldValueInvalid", "message": message, "field": field}
    details = {**({"group": group} if group else {}), "kind": kind, "causes": [cause]}
    full = f"{kind}.{group}" if group else kind
    error = status.refusal(422, "Invalid", f'{full} "" is invalid: {problem}')
    error.details["status"]["details"] = details
    return error


def _version(text: str) -> int:
    if not text:
        return -1
    if not (text.isascii() and text.isdecimal()) or len(text) > 18:
        detail = (
            f'resourceVersion: Invalid value: "{text[:100]}": strconv.ParseUint: parsing "{text[:100]}": invalid syntax'
        )
        raise status.bad_request(detail)
    return int(text)


def _number(request: Request, name: str) -> int:
    text = request.first(name)
    if not text:
        return 0
    try:
        number = int(text[:30])
    except ValueError:
        raise status.bad_request(f'strconv.ParseInt: parsing "{text[:100]}": invalid syntax') from None
    if number < 0:
        raise status.bad_request(f"{name}: Invalid value: {number}: must be greater than or equal to 0")
    return number


def _flag(request: Request, name: str) -> bool | None:
    text = request.first(name)
    return None if not text else text in TRUE
