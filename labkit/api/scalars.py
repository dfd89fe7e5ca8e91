"""What an unquoted YAML word means to Kubernetes: `on` is true, `010` is 8, a date and `22:22` stay text.

kubectl and the API server read YAML through sigs.k8s.io/yaml (go-yaml v2, resolve.go), which differs from PyYAML's
own rules: `y` and `n` are booleans there, `1e3` is a number, dates and base-60 numbers are not converted.
"""

from __future__ import annotations

import math
import re

NULL = frozenset({"", "~", "null", "Null", "NULL"})
TRUE = frozenset(["y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"])
FALSE = frozenset(["n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"])
INTEGER = re.compile(r"[-+]?(0[xX][0-9a-fA-F]+|0[bB][01]+|0[oO]?[0-7]+|0|[1-9][0-9]*)")
OCTAL = re.compile(r"[-+]?0[0-7]+")
FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
LONGEST = 400  # more digits than a float can have; the conversion of far longer text takes quadratic time


def resolve(text: str) -> str | int | float | bool | None:
    """The JSON value of an unquoted scalar. Raises `ValueError` for infinity and not-a-number, which JSON lacks."""
    if text in NULL:
        return None
    if text in TRUE:
        return True
    if text in FALSE:
        return False
    if text[0] not in "+-.0123456789":
        return text
    if NOT_FINITE.fullmatch(text):
        raise ValueError(f"unsupported value: {text}")
    number = _number(text.replace("_", ""))
    return text if number is None else number


def _number(text: str) -> int | float | None:
    """Underscores are gone. A number without a fraction is an integer, as it is once it went through JSON."""
    if len(text) > LONGEST:
        return None
    if INTEGER.fullmatch(text):
        value = int(text, 8 if OCTAL.fullmatch(text) else 0)
        if -(2**63) <= value < 2**64:
            return value
    if not FLOAT.fullmatch(text):
        return None
    number = float(text)
    if not math.isfinite(number):
        return None
    return int(number) if number.is_integer() and abs(number) < 2**63 else number
