"""The `format`s of strings that a CustomResourceDefinition may ask for. A format that is not listed asks for nothing.

Source: apiextensions-apiserver/pkg/apiserver/validation/formats.go, kube-openapi/pkg/validation/strfmt.
"""

from __future__ import annotations

import re
from binascii import Error as Base64Error
from binascii import a2b_base64
from collections.abc import Callable
from datetime import date, timedelta
from ipaddress import ip_address, ip_network
from urllib.parse import urlsplit

_UUID = "[0-9a-f]{8}-?[0-9a-f]{4}-?%s-?%s-?[0-9a-f]{12}"
_TIME = re.compile(r"(\d{4}-\d\d-\d\d)[Tt ]([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d+)?([Zz]|[+-]\d\d:?\d\d)", re.ASCII)
_DURATION = re.compile(r"(\d+(?:\.\d*)?|\.\d+)\s*([a-zµμ]+)", re.ASCII | re.IGNORECASE)
_HOST_PART = "[a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?"
_HOSTNAME = re.compile(rf"{_HOST_PART}(\.{_HOST_PART})*\.?")
_EMAIL = re.compile(r"[^\s@<>()\[\],;:\"]+@[^\s@<>()\[\],;:\"]+")
_LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_UNITS = {
    "microseconds": (("us", "µs", "μs", "micro", "micros", "microsecond", "microseconds"), 1.0),
    "milliseconds": (("ms", "milli", "millis", "millisecond", "milliseconds"), 1.0),
    "seconds": (("s", "sec", "secs", "second", "seconds"), 1.0),
    "minutes": (("m", "min", "mins", "minute", "minutes"), 1.0),
    "hours": (("h", "hr", "hrs", "hour", "hours"), 1.0),
    "days": (("d", "day", "days"), 1.0),
    "weeks": (("w", "wk", "wks", "week", "weeks"), 1.0),
}
_SECONDS = {word: timedelta(**{unit: size}).total_seconds() for unit, (words, size) in _UNITS.items() for word in words}
_SECONDS |= dict.fromkeys(("ns", "nano", "nanos", "nanosecond", "nanoseconds"), 1e-9)


def duration(text: str) -> float | None:
    """Seconds of a duration such as "1h30m" or "22 ns"; None where it is none."""
    rest = text.strip()
    sign, rest = (rest[0], rest[1:]) if rest[:1] in ("+", "-") else ("", rest)
    if rest == "0":
        return 0.0
    found = list(_DURATION.finditer(rest))
    if not found or _DURATION.sub("", rest).strip() or any(m[2].lower() not in _SECONDS for m in found):
        return None
    total = sum(float(match[1]) * _SECONDS[match[2].lower()] for match in found)
    return -total if sign == "-" else total


def date_time(text: str) -> bool:
    match = _TIME.fullmatch(text)
    return match is not None and _is_date(match[1])


def conforms(text: str, name: str) -> bool:
    """Whether a text has a format; the format's name with or without hyphens."""
    check = FORMATS.get(name if name.startswith("k8s-") else name.replace("-", ""))
    return check is None or check(text)


def _is_date(text: str) -> bool:
    try:
        return bool(re.fullmatch(r"\d{4}-\d\d-\d\d", text, re.ASCII) and date.fromisoformat(text))
    except ValueError:
        return False


def _is_base64(text: str) -> bool:
    try:
        a2b_base64(text.encode(), strict_mode=bool(text))
    except (Base64Error, UnicodeEncodeError):
        return False
    return True


def _is_address(version: int) -> Callable[[str], bool]:
    def check(text: str) -> bool:
        try:
            return ip_address(text).version == version and "%" not in text
        except ValueError:
            return False

    return check


def _is_network(text: str) -> bool:
    try:
        ip_network(text, strict=False)
    except ValueError:
        return False
    return "/" in text


def _is_uri(text: str) -> bool:
    """What Go's url.ParseRequestURI takes: an absolute URI, or an absolute path."""
    try:
        return text.startswith("/") or (bool(urlsplit(text).scheme) and " " not in text)
    except ValueError:
        return False


def _is_isbn(length: int) -> Callable[[str], bool]:
    def check(text: str) -> bool:
        digits = text.replace("-", "").replace(" ", "")
        if not re.fullmatch(r"\d{9}[\dX]" if length == 10 else r"\d{13}", digits, re.ASCII):
            return False
        numbers = [10 if digit == "X" else int(digit) for digit in digits]
        if length == 10:
            return sum((10 - place) * number for place, number in enumerate(numbers)) % 11 == 0
        return sum((3 if place % 2 else 1) * number for place, number in enumerate(numbers)) % 10 == 0

    return check


def _matches(pattern: str, flags: int = re.ASCII) -> Callable[[str], bool]:
    compiled = re.compile(pattern, flags)
    return lambda text: compiled.fullmatch(text) is not None


def _is_card(text: str) -> bool:
    return bool(_CARD.fullmatch(re.sub(r"[^0-9]+", "", text)))


_CARD = re.compile(
    r"4\d{12}(\d{3})?|5[1-5]\d{14}|6(011|5\d\d)\d{12}|3[47]\d{13}|3(0[0-5]|[68]\d)\d{11}|(2131|1800|35\d{3})\d{11}"
)
_HEX4 = "[0-9a-f]{4}"
_NO_CASE = re.ASCII | re.IGNORECASE
_BYTE = r"(25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)"

FORMATS: dict[str, Callable[[str], bool]] = {
    "bsonobjectid": _matches("[0-9a-f]{24}", _NO_CASE),
    "byte": _is_base64,
    "cidr": _is_network,
    "creditcard": _is_card,
    "date": _is_date,
    "datetime": date_time,
    "duration": lambda text: duration(text) is not None,
    "email": lambda text: bool(_EMAIL.fullmatch(text)),
    "hexcolor": _matches("#?([0-9a-f]{3}|[0-9a-f]{6})", _NO_CASE),
    "hostname": lambda text: len(text) <= 255 and bool(_HOSTNAME.fullmatch(text)),
    "ipv4": _is_address(4),
    "ipv6": _is_address(6),
    "isbn": lambda text: _is_isbn(10)(text) or _is_isbn(13)(text),
    "isbn10": _is_isbn(10),
    "isbn13": _is_isbn(13),
    "k8s-long-name": lambda text: len(text) <= 253 and bool(re.fullmatch(rf"{_LABEL}(\.{_LABEL})*", text)),
    "k8s-short-name": lambda text: len(text) <= 63 and bool(re.fullmatch(_LABEL, text)),
    "mac": _matches("[0-9a-f]{2}([:-][0-9a-f]{2}){5,7}|[0-9a-f]{4}(\\.[0-9a-f]{4}){2,3}", _NO_CASE),
    "rgbcolor": _matches(rf"rgb\({_BYTE},{_BYTE},{_BYTE}\)"),
    "ssn": _matches(r"\d{3}[- ]?\d{2}[- ]?\d{4}"),
    "uri": _is_uri,
    "uuid": _matches(_UUID % (_HEX4, _HEX4), _NO_CASE),
    "uuid3": _matches(_UUID % ("3[0-9a-f]{3}", _HEX4), _NO_CASE),
    "uuid4": _matches(_UUID % ("4[0-9a-f]{3}", "[89ab][0-9a-f]{3}"), _NO_CASE),
    "uuid5": _matches(_UUID % ("5[0-9a-f]{3}", "[89ab][0-9a-f]{3}"), _NO_CASE),
}
