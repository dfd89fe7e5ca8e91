"""The one way in which the API server writes a quantity: "0.5" is "500m", "1024Mi" is "1Gi", "1000m" is "1".

Source: apimachinery/pkg/api/resource/quantity.go (CanonicalizeBytes); pkg/apis/core/v1/defaults.go, which rounds
amounts of resources up to thousandths.
"""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache

from labkit.api import quantity

SUFFIXES = {exponent: suffix for suffix, exponent in quantity.DECIMAL.items()}
BINARY = ("", *quantity.BINARY)


@lru_cache(4096)
def canonical(text: str) -> str:
    """The same amount, to thousandths, as the server writes it. Raises `ValueError` for what is no quantity."""
    text = text.strip()
    return written(quantity.value(text), text)


def written(exact: Fraction, like: str) -> str:
    """An amount in the family of suffixes (Ki, k, e3) of another quantity."""
    suffix = like.lstrip("+-0123456789.")
    if suffix in quantity.BINARY and abs(exact) >= 1024:
        whole, power = -(-exact.numerator // exact.denominator), 0
        while whole % 1024 == 0 and power < len(BINARY) - 1:
            whole, power = whole // 1024, power + 1
        return f"{whole}{BINARY[power]}"
    whole, exponent = -(-exact.numerator * 1000 // exact.denominator), -3
    if not whole:
        return "0"
    scientific = suffix[:1] in ("e", "E") and len(suffix) > 1
    while whole % 1000 == 0 and (exponent < 18 or scientific):
        whole, exponent = whole // 1000, exponent + 3
    if scientific:
        return f"{whole}e{exponent}" if exponent else str(whole)
    return f"{whole}{SUFFIXES[exponent]}"


def amount(value: str | int | float) -> str:
    """A quantity of a JSON object, which may be a number, as it is stored."""
    return canonical(str(value))
