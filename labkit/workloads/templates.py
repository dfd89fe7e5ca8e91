"""Pod templates: their hash, and whether two are the same.

Source: ComputeHash in pkg/controller/controller_utils.go, SafeEncodeString in apimachinery/pkg/util/rand. The real hash
is of Go's memory layout; this one is of the JSON: another value, as stable, in the same letters.
"""

from __future__ import annotations

from typing import Any

import msgspec

from labkit.control.chance import ALPHABET

HASH_LABEL = "pod-template-hash"

_encode = msgspec.json.Encoder(order="sorted").encode


def template_hash(template: dict[str, Any]) -> str:
    """FNV-1a of 32 bits over the template, its decimal digits each as a letter of Kubernetes' safe alphabet."""
    number = 0x811C9DC5
    for byte in _encode(template):
        number = (number ^ byte) * 0x01000193 & 0xFFFFFFFF
    return "".join(ALPHABET[ord(digit) % len(ALPHABET)] for digit in str(number))


def with_hash(template: dict[str, Any], digest: str) -> dict[str, Any]:
    """The template whose pods carry the hash as a label."""
    metadata = template.get("metadata", {})
    labels = {**metadata.get("labels", {}), HASH_LABEL: digest}
    return {**template, "metadata": {**metadata, "labels": labels}}


def same(template: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether two templates make the same pods, the hash label aside."""
    return with_hash(template, "") == with_hash(other, "")
