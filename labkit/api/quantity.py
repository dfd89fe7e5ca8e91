"""Quantities: the numbers with suffixes in which Kubernetes writes CPU, memory and counts.

Source: apimachinery/pkg/api/resource/quantity.go.
"""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache

DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
BINARY = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60}


@lru_cache(4096)  # they come from clients
def value(quantity: str | int | float) -> Fraction:
    """The exact number: "250m" is 1/4, "1Ki" is 1024. Raises `ValueError` for what is no quantity."""
    text = str(quantity)
    suffix = text.lstrip("+-0123456789.")
    number = text[: len(text) - len(suffix)]
    if suffix in BINARY:
        return Fraction(number) * (1 << BINARY[suffix])
    if suffix in DECIMAL:
        return _scaled(number, DECIMAL[suffix])
    if suffix[:1] in ("e", "E"):
        return _scaled(number, int(suffix[1:]))
    raise ValueError(f"{text!r} is no quantity")


def _scaled(number: str, exponent: int) -> Fraction:
    factor = Fraction(10 ** abs(exponent))
    return Fraction(number) * factor if exponent > 0 else Fraction(number) / factor


def ceiling(quantity: str | int | float, unit: Fraction = Fraction(1)) -> int:
    """The quantity in whole units, rounded up as the real one rounds."""
    return whole(value(quantity), unit)


def whole(exact: Fraction, unit: Fraction = Fraction(1)) -> int:
    """An amount in whole units, rounded up."""
    scaled = exact / unit
    return -(-scaled.numerator // scaled.denominator)
