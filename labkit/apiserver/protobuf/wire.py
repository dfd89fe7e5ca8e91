"""The protobuf wire format: a message's bytes to its fields, number by number.

Only what Kubernetes uses: varints and length-delimited values; fixed-width fields are stepped over, groups refused.
Every length is checked against the bytes that are left. Source: protobuf.dev/programming-guides/encoding.
"""

from __future__ import annotations

from collections.abc import Iterator

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5


class Malformed(Exception):
    """Bytes that are no such message."""


def fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Number and value of each field in turn: an int for a varint, else bytes. Raises `Malformed`."""
    at, end = 0, len(data)
    while at < end:
        tag, at = varint(data, at)
        number, wire = tag >> 3, tag & 7
        if number == 0:
            raise Malformed("illegal tag 0")
        if wire == VARINT:
            value, at = varint(data, at)
            yield number, value
            continue
        if wire == BYTES:
            length, at = varint(data, at)
        elif wire in (FIXED64, FIXED32):
            length = 8 if wire == FIXED64 else 4
        else:
            raise Malformed(f"illegal wireType {wire}")
        if length > end - at:
            raise Malformed("unexpected EOF")
        yield number, data[at : at + length]
        at += length


def varint(data: bytes, at: int) -> tuple[int, int]:
    """The unsigned number at a position, and the position after it."""
    value = shift = 0
    while True:
        if at >= len(data):
            raise Malformed("unexpected EOF")
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & (2**64 - 1), at
        shift += 7
        if shift > 63:
            raise Malformed("integer overflow")


def signed(value: int, bits: int) -> int:
    """The low bits of a number as Go's int32 or int64."""
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> (bits - 1) else value
