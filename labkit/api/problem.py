"""What is wrong with an object: one value per fault, in Kubernetes' own words, with a remedy in ours.

The constructors follow `field.Error` (apimachinery/pkg/util/validation/field/errors.go): the same reasons, which the
API also sends as causes of a `Status`, and the same text. Remedies are one plain sentence each.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import msgspec

TYPE_INVALID = "FieldValueTypeInvalid"
REQUIRED = "FieldValueRequired"
_STEP = re.compile(r"\[([^\]]*)\]|([^.\[\]]+)")


class Problem(msgspec.Struct, frozen=True, omit_defaults=True):
    """A fault at `field` ("spec.ports[0].port"); `document` and `line` count from 1 and are None where unknown.

    `reason` is Kubernetes' name of the kind of fault; `object` names what the document holds ("Service web").
    """

    field: str
    message: str
    remedy: str = ""
    reason: str = "FieldValueInvalid"
    file: str = ""
    document: int | None = None
    object: str = ""
    line: int | None = None

    def __str__(self) -> str:
        document = f"document {self.document}" if self.document is not None else ""
        if document and self.object:
            document += f" ({self.object})"
        line = f"line {self.line}" if self.line is not None else ""
        where = ", ".join(part for part in (self.file, document, line, self.field) if part)
        text = f"{where}: {self.message}" if where else self.message
        return f"{text}. {self.remedy}" if self.remedy else text


def steps(field: str) -> list[str]:
    """The names, indices and map keys of a field path: spec, ports, 0, port of "spec.ports[0].port"."""
    return [bracketed or plain for bracketed, plain in _STEP.findall(field)]


def shown(value: Any) -> str:
    """A value as a message shows it: JSON, cut after 200 characters."""
    text = msgspec.json.encode(value, order="sorted").decode()
    return text if len(text) <= 200 else text[:200] + "…"


def invalid(field: str, value: Any, detail: str, remedy: str = "") -> Problem:
    return Problem(field, f"Invalid value: {shown(value)}: {detail}", remedy)


def wrong_type(field: str, value: Any, detail: str, remedy: str = "") -> Problem:
    return Problem(field, f"Invalid value: {shown(value)}: {detail}", remedy, TYPE_INVALID)


def required(field: str, detail: str = "", remedy: str = "") -> Problem:
    message = f"Required value: {detail}" if detail else "Required value"
    return Problem(field, message, remedy or f"Add {_last(field)}.", "FieldValueRequired")


def unsupported(field: str, value: Any, supported: Iterable[str], remedy: str = "") -> Problem:
    values = sorted(supported)
    detail = "supported values: " + ", ".join(f'"{v}"' for v in values)
    meant = nearest(str(value), values)
    remedy = remedy or (f'Did you mean "{meant}"?' if meant else "Write one of the supported values.")
    return Problem(field, f"Unsupported value: {shown(value)}: {detail}", remedy, "FieldValueNotSupported")


def duplicate(field: str, value: Any, remedy: str = "") -> Problem:
    remedy = remedy or "Give it another value, or remove one of the two."
    return Problem(field, f"Duplicate value: {shown(value)}", remedy, "FieldValueDuplicate")


def forbidden(field: str, detail: str, remedy: str = "") -> Problem:
    return Problem(field, f"Forbidden: {detail}", remedy or f"Remove {_last(field)}.", "FieldValueForbidden")


def not_found(field: str, value: Any, remedy: str = "") -> Problem:
    return Problem(field, f"Not found: {shown(value)}", remedy, "FieldValueNotFound")


def too_long(field: str, limit: int, remedy: str = "") -> Problem:
    return Problem(field, f"Too long: may not be more than {limit} bytes", remedy or "Shorten it.", "FieldValueTooLong")


def too_many(field: str, count: int, limit: int, remedy: str = "") -> Problem:
    message = f"Too many: {count}: must have at most {limit} items"
    return Problem(field, message, remedy or f"Keep at most {limit}.", "FieldValueTooMany")


def nearest(name: str, known: Iterable[str]) -> str:
    """The known name that looks most like `name`, by letters whatever their case; empty if none comes near."""
    from difflib import get_close_matches  # only a fault needs it

    by_lower = {k.lower(): k for k in known}
    return next((by_lower[m] for m in get_close_matches(name.lower()[:100], by_lower, n=1)), "")


def _last(field: str) -> str:
    return field.rpartition(".")[2]
