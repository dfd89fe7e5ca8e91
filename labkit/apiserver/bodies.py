"""Request bodies: JSON, YAML or protobuf to plain values.

Source: apimachinery/pkg/runtime/serializer; apiserver/pkg/endpoints/handlers/create.go.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from labkit.api import schema
from labkit.api.problem import TYPE_INVALID, Problem
from labkit.api.resources import Resource
from labkit.apiserver.http.messages import Request
from labkit.apiserver.repeated import repeated
from labkit.control import refusals, status

JSON, YAML = "application/json", "application/yaml"
PROTOBUF = "application/vnd.kubernetes.protobuf"
ACCEPTED = (JSON, YAML, PROTOBUF)
Raw = dict[str, Any]


def media_type(request: Request) -> str:
    return request.header("content-type").partition(";")[0].strip().lower() or JSON


def value(body: bytes, media: str) -> Any:
    """What a body says. Raises BadRequest (400), UnsupportedMediaType (415)."""
    if media == JSON:
        return _json(body)
    if media in (YAML, "application/x-yaml", "text/yaml"):
        return _yaml(body)
    if media == PROTOBUF:
        from labkit.apiserver.protobuf.decode import decode  # its field numbers are a file that few clients need

        return decode(body)
    raise refusals.unsupported_media_type(ACCEPTED)


def object_of(request: Request, resource: Resource) -> Raw:
    """The object in a request for a resource, with `apiVersion` and `kind`, which may be left out."""
    return typed(value(request.body, media_type(request)), resource.api_version, resource.kind)


def checked(request: Request, resource: Resource, fields: str, warn: Callable[[str], None]) -> Raw:
    """The same, with a look at keys that are there twice: `fields` is what fieldValidation says of them."""
    media = media_type(request)
    found = value(request.body, media)
    raw = typed(found, resource.api_version, resource.kind)
    if media == JSON and fields != "Ignore" and (paths := repeated(request.body, found)):
        said = [f'duplicate field "{path}"' for path in paths]
        if fields == "Strict":
            remedy = "Write it once."
            raise status.undecodable(raw, [Problem(p, text, remedy) for p, text in zip(paths, said, strict=True)])
        for text in said:
            warn(text)
    return raw


def typed(found: Any, api_version: str, kind: str) -> Raw:
    """The value as an object of this kind. Raises BadRequest where it is none, or says to be another."""
    if not isinstance(found, dict):
        raise status.bad_request(f"the object provided is unrecognized (must be of type {kind}): it is no object")
    if found.get("kind") not in (None, "", kind):
        other = str(found["kind"])[:100]
        raise status.bad_request(
            f"{other} in version {str(found.get('apiVersion'))[:100]!r} cannot be handled as a {kind}"
        )
    given = found.get("apiVersion")
    if given not in (None, "", api_version):
        raise status.bad_request(
            f"the API version in the data ({str(given)[:100]}) does not match the expected API version ({api_version})"
        )
    if not isinstance(found.get("metadata"), dict | None):
        raise status.bad_request("json: cannot unmarshal metadata into Go struct field .metadata of type v1.ObjectMeta")
    return {**found, "apiVersion": api_version, "kind": kind}


def asked(request: Request, api_version: str, kind: str, older: str = "") -> Raw:
    """An object of a kind that is not stored, with nothing in it of a wrong type. Raises BadRequest.

    older  another version that clients may still write it in, of the same fields
    """
    found = value(request.body, media_type(request))
    if older and isinstance(found, dict) and found.get("apiVersion") == older:
        found = {**found, "apiVersion": api_version}
    raw = typed(found, api_version, kind)
    problems = [problem for problem in schema.shape_problems(raw) if problem.reason == TYPE_INVALID]
    if problems:
        raise status.undecodable(raw, problems)
    return raw


def _json(body: bytes) -> Any:
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise status.bad_request(f"couldn't get version/kind; json parse error: {error}") from None
    except RecursionError:
        raise status.bad_request("couldn't get version/kind; json parse error: exceeded max depth") from None


def _yaml(body: bytes) -> Any:
    from labkit.api import yamltext

    try:
        documents, problems = yamltext.parse(body.decode())
    except UnicodeDecodeError as error:
        raise status.bad_request(f"error converting YAML to JSON: {error}") from None
    if problems:
        raise status.bad_request(problems[0].message)
    return documents[0].value if documents else None
