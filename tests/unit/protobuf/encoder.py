"""An encoder of the tests' own: the wire format, and the envelope that Kubernetes puts around a message."""

from __future__ import annotations


def varint(value: int) -> bytes:
    value &= 2**64 - 1
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*found, value])


def num(number: int, value: int) -> bytes:
    return varint(number << 3) + varint(value)


def sub(number: int, content: bytes | str) -> bytes:
    content = content.encode() if isinstance(content, str) else content
    return varint(number << 3 | 2) + varint(len(content)) + content


def body(api_version: str, kind: str, content: bytes) -> bytes:
    return b"k8s\x00" + sub(1, sub(1, api_version) + sub(2, kind)) + sub(2, content) + sub(3, "") + sub(4, "")
