"""Times as Go writes them: "30s", "1h30m", "250ms". Source: the Go standard library, time/format.go, time/time.go."""

from __future__ import annotations

import re

NANO, MICRO, MILLI, SECOND, MINUTE, HOUR = 1, 10**3, 10**6, 10**9, 60 * 10**9, 3600 * 10**9
_UNITS = {"ns": NANO, "us": MICRO, "µs": MICRO, "μs": MICRO, "ms": MILLI, "s": SECOND, "m": MINUTE, "h": HOUR}
_PART = re.compile(r"(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h|)", re.ASCII)
_MOST = 2**63 - 1


class Duration(int):
    """Nanoseconds, positive or negative; as text what Go prints."""

    @property
    def seconds(self) -> float:
        return self / SECOND

    def __str__(self) -> str:
        sign, left = ("-", -int(self)) if self < 0 else ("", int(self))
        if left < SECOND:
            if not left:
                return "0s"
            name, unit = ("ns", NANO) if left < MICRO else ("µs", MICRO) if left < MILLI else ("ms", MILLI)
            return f"{sign}{_decimal(left, unit)}{name}"
        hours, left = divmod(left, HOUR)
        minutes, left = divmod(left, MINUTE)
        text = f"{_decimal(left, SECOND)}s"
        if hours or minutes:
            text = f"{minutes}m{text}"
        return f"{sign}{hours}h{text}" if hours else f"{sign}{text}"

    def __repr__(self) -> str:
        return f"Duration({self!s})"


def parse(text: str) -> Duration:
    """Raises `ValueError` in Go's words."""
    quoted = f'"{text}"'
    sign, rest = (-1, text[1:]) if text.startswith("-") else (1, text.removeprefix("+"))
    if rest == "0":
        return Duration(0)
    if not rest:
        raise ValueError(f"time: invalid duration {quoted}")
    total, at = 0, 0
    while at < len(rest):
        found = _PART.match(rest, at)
        if found is None:
            raise ValueError(f"time: invalid duration {quoted}")
        number, unit = found.groups()
        if not unit:
            word = re.match(r"[^\d.]*", rest[found.end() :])
            if word and word[0]:
                raise ValueError(f'time: unknown unit "{word[0]}" in duration {quoted}')
            raise ValueError(f"time: missing unit in duration {quoted}")
        whole, _, part = number.partition(".")
        total += int(whole or 0) * _UNITS[unit] + (int(part) * _UNITS[unit] // 10 ** len(part) if part else 0)
        at = found.end()
    if total > _MOST:
        raise ValueError(f"time: invalid duration {quoted}")
    return Duration(sign * total)


def seconds(value: float) -> Duration:
    return Duration(round(value * SECOND))


def _decimal(value: int, unit: int) -> str:
    whole, part = divmod(value, unit)
    digits = str(part).rjust(len(str(unit)) - 1, "0").rstrip("0") if part else ""
    return f"{whole}.{digits}" if digits else str(whole)
