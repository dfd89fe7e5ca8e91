"""Request bodies in Kubernetes' protobuf encoding, as the JSON objects that they stand for.

    "k8s" 00 │ Unknown{typeMeta{apiVersion, kind}, raw} ──► message by kind ──► {"apiVersion": …, "kind": …, …}

Clients send protobuf without asking first, and take no 415 for an answer. Fields that v1.34 does not have are left out,
as a server of that version would. Source: apimachinery/pkg/runtime/serializer/protobuf/protobuf.go.
"""

from __future__ import annotations

from typing import Any

from labkit.apiserver.protobuf.fields import message_of, messages
from labkit.apiserver.protobuf.message import Field
from labkit.apiserver.protobuf.registration import CHOICES
from labkit.apiserver.protobuf.scalars import SCALARS, octets, text
from labkit.apiserver.protobuf.wire import Malformed, fields, varint
from labkit.control.status import bad_request

Raw = dict[str, Any]

MAGIC = b"k8s\x00"
CONTENT_TYPE = "application/vnd.kubernetes.protobuf"
MAX_DEPTH = 100  # a schema in a custom resource definition holds others: two levels each
MAX_VALUES = 200_000  # an empty message is two bytes here, and a hundred in memory


def decode(body: bytes) -> Raw:
    """The object in a body. Raises `ApiError` (400): no envelope, an unknown kind, bytes that are no such message."""
    try:
        if not body.startswith(MAGIC):
            raise Malformed("the body does not begin with the protobuf prefix of Kubernetes")
        envelope = dict(fields(body[len(MAGIC) :]))
        about = dict(fields(octets(envelope.get(1, b""))))
        api_version, kind = text(about.get(1, b"")), text(about.get(2, b""))
    except Malformed as error:
        raise bad_request(f"the object provided is unrecognized: {error}") from None
    name = message_of(api_version, kind)
    if not kind or name not in messages():
        raise bad_request(f'no kind "{kind[:100]}" is registered for version "{api_version[:100]}"')
    try:
        found = _Decoder().message(name, octets(envelope.get(2, b"")))
    except Malformed as error:
        version = api_version.rpartition("/")[2]
        raise bad_request(f'{kind} in version "{version}" cannot be handled as a {kind}: proto: {error}') from None
    return {"apiVersion": api_version, "kind": kind, **found}


class _Decoder:
    """One body; counts its values, so that none can ask for more memory than its size gives a reason for."""

    def __init__(self) -> None:
        self.left = MAX_VALUES
        self.depth = 0

    def message(self, name: str, data: bytes) -> Raw:
        known = messages()[name]
        found: Raw = {}
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise Malformed(f"nested more than {MAX_DEPTH} deep")
        for number, value in fields(data):
            self.left -= 1
            if self.left < 0:
                raise Malformed(f"more than {MAX_VALUES} values")
            field = known.get(number)
            if field is not None:
                self._add(found, field, value)
        self.depth -= 1
        return found

    def _add(self, found: Raw, field: Field, value: int | bytes) -> None:
        match field.way:
            case "inline":
                found |= self.message(field.kind, octets(value))
            case "list" if field.kind in ("int32", "int64") and isinstance(value, bytes):
                found.setdefault(field.name, []).extend(self._packed(field.kind, value))
            case "list":
                found.setdefault(field.name, []).append(self._value(field.kind, value))
            case "map":
                entry = dict(fields(octets(value)))
                item = self._value(field.kind, entry.get(2, b""))
                found.setdefault(field.name, {})[text(entry.get(1, b""))] = item
            case "one":
                one = self._value(field.kind, value)
                if one is not None and (field.keep or isinstance(one, dict) or one):
                    found[field.name] = one

    def _value(self, kind: str, value: int | bytes) -> Any:
        scalar = SCALARS.get(kind)
        if scalar:
            return scalar(value)
        found = self.message(kind, octets(value))
        choice = CHOICES.get(kind)
        return found if choice is None else found.get("schema", found.get(choice))

    def _packed(self, kind: str, value: bytes) -> list[int]:
        numbers, at = [], 0
        while at < len(value):
            one, at = varint(value, at)
            numbers.append(SCALARS[kind](one))
        self.left -= len(numbers)
        return numbers
