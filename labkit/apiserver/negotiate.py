"""In what form a client wants its answer: objects, tables or metadata alone. Pure.

Source: apiserver/pkg/endpoints/handlers/negotiation; apimachinery/pkg/apis/meta/v1 (Table, PartialObjectMetadata).
"""

from __future__ import annotations

from functools import lru_cache
from typing import Literal

from labkit.control import refusals

Form = Literal["object", "table", "metadata"]
ACCEPTED = ("application/json",)
METADATA = "PartialObjectMetadata"
FORMS: dict[str, Form] = {"Table": "table", METADATA: "metadata", f"{METADATA}List": "metadata"}
PLAIN = frozenset({"", "*/*", "application/*", "application/json"})


@lru_cache(maxsize=256)
def form(accept: str) -> Form:
    """The first form in an Accept header that the server has. Raises NotAcceptable (406)."""
    for media in accept.split(","):
        kind, *parameters = (part.strip() for part in media.split(";"))
        if kind not in PLAIN:
            continue
        given = dict(parameter.partition("=")[::2] for parameter in parameters)
        wanted = given.get("as", "")
        if not wanted:
            return "object"
        if wanted in FORMS and given.get("g") == "meta.k8s.io" and given.get("v") in ("v1", "v1beta1"):
            return FORMS[wanted]
    raise refusals.not_acceptable(ACCEPTED)


def content_type(wanted: Form, listed: bool) -> str:
    """The media type of an answer in a form, as clients compare it."""
    if wanted == "object":
        return ACCEPTED[0]
    name = "Table" if wanted == "table" else METADATA if not listed else f"{METADATA}List"
    return f"{ACCEPTED[0]};as={name};v=v1;g=meta.k8s.io"
