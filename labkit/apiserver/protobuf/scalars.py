"""Single values of the protobuf encoding, and Kubernetes' well-known types, as JSON has them.

Source: k8s.io/apimachinery: pkg/apis/meta/v1/time_proto.go, micro_time_proto.go, pkg/api/resource/generated.proto,
pkg/util/intstr/generated.proto, pkg/runtime/generated.proto.
"""

from __future__ import annotations

import math
import struct
from base64 import b64encode
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from labkit.apiserver.protobuf.wire import Malformed, fields, signed

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def number(value: int | bytes) -> int:
    if not isinstance(value, int):
        raise Malformed("wrong wireType for a number")
    return value


def octets(value: int | bytes) -> bytes:
    if not isinstance(value, bytes):
        raise Malformed("wrong wireType for a length-delimited field")
    return value


def text(value: int | bytes) -> str:
    try:
        return octets(value).decode()
    except UnicodeDecodeError as error:
        raise Malformed(f"invalid UTF-8 in a string: {error.reason}") from None


def _time(value: int | bytes, micro: bool) -> str | None:
    """RFC 3339 in UTC, to the second or the microsecond; None for Go's zero time."""
    parts = dict(fields(octets(value)))
    seconds, nanos = signed(number(parts.get(1, 0)), 64), signed(number(parts.get(2, 0)), 32)
    if seconds == nanos == 0:
        return None
    try:
        moment = EPOCH + timedelta(seconds=seconds, microseconds=nanos // 1000)
    except OverflowError:
        raise Malformed("a time beyond the year 9999") from None
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ" if micro else "%Y-%m-%dT%H:%M:%SZ").rjust(20 + 7 * micro, "0")


def _double(value: int | bytes) -> int | float:
    """A whole number as an int, which JSON writes as Go does: 1, not 1.0."""
    raw = octets(value)
    if len(raw) != 8:
        raise Malformed("wrong wireType for a double")
    (found,) = struct.unpack("<d", raw)
    if not math.isfinite(found):
        raise Malformed("no finite number")
    return int(found) if found.is_integer() else float(found)


def _int_or_string(value: int | bytes) -> int | str:
    parts = dict(fields(octets(value)))
    return text(parts.get(3, b"")) if parts.get(1, 0) else signed(number(parts.get(2, 0)), 32)


def _json(value: int | bytes) -> Any:
    raw = octets(dict(fields(octets(value))).get(1, b""))
    try:
        return msgspec.json.decode(raw) if raw else None
    except (msgspec.DecodeError, RecursionError) as error:
        raise Malformed(f"no JSON in a raw field: {error}") from None


SCALARS: Mapping[str, Callable[[int | bytes], Any]] = {
    "string": text,
    "bytes": lambda value: b64encode(octets(value)).decode(),
    "bool": lambda value: number(value) != 0,
    "int32": lambda value: signed(number(value), 32),
    "int64": lambda value: signed(number(value), 64),
    "double": _double,
    "time": lambda value: _time(value, False),
    "microtime": lambda value: _time(value, True),
    "quantity": lambda value: text(dict(fields(octets(value))).get(1, b"")) or "0",
    "intorstring": _int_or_string,
    "json": _json,
    "strings": lambda value: [text(item) for number, item in fields(octets(value)) if number == 1],
}
"""By `Field.kind`. None means that the field is absent."""
