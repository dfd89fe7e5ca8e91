"""How kube-proxy makes short names of long ones: the first characters of the base32 of a SHA-256.

Written out, because a full sync of 5,000 Services needs 15,000 of them: `base64.b32encode` takes three times as long.
"""

from __future__ import annotations

from hashlib import sha256

_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
_PAIRS = [first + second for first in _ALPHABET for second in _ALPHABET]  # of ten bits


def hashed(text: str, length: int = 16) -> str:
    """`length` characters, at most 16."""
    digest = sha256(text.encode()).digest()
    a, b = int.from_bytes(digest[:5], "big"), int.from_bytes(digest[5:10], "big")
    first = _PAIRS[a >> 30] + _PAIRS[a >> 20 & 1023] + _PAIRS[a >> 10 & 1023] + _PAIRS[a & 1023]
    return (first + _PAIRS[b >> 30] + _PAIRS[b >> 20 & 1023] + _PAIRS[b >> 10 & 1023] + _PAIRS[b & 1023])[:length]
