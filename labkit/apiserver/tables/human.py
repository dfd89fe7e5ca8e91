"""Times as tables show them: "45s", "3m20s", "5d3h", "<unknown>".

Source: apimachinery/pkg/util/duration/duration.go (HumanDuration); pkg/printers/internalversion/printers.go.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

MINUTE, HOUR, DAY, YEAR = 60, 3600, 86400, 365 * 86400
UNKNOWN = "<unknown>"


def duration(seconds: float) -> str:
    """A span in at most two units; up to a second in the future counts as now, as clocks differ."""
    whole = int(seconds)
    if whole < -1:
        return "<invalid>"
    whole = max(whole, 0)
    if whole < 2 * MINUTE:
        return f"{whole}s"
    if whole < 10 * MINUTE:
        return _two(whole, MINUTE, "m", 1, "s")
    if whole < 3 * HOUR:
        return f"{whole // MINUTE}m"
    if whole < 8 * HOUR:
        return _two(whole, HOUR, "h", MINUTE, "m")
    if whole < 2 * DAY:
        return f"{whole // HOUR}h"
    if whole < 8 * DAY:
        return _two(whole, DAY, "d", HOUR, "h")
    if whole < 2 * YEAR:
        return f"{whole // DAY}d"
    if whole < 8 * YEAR:
        return _two(whole, YEAR, "y", DAY, "d")
    return f"{whole // YEAR}y"


def _two(seconds: int, large: int, large_name: str, small: int, small_name: str) -> str:
    rest = seconds % large // small
    return f"{seconds // large}{large_name}{rest}{small_name}" if rest else f"{seconds // large}{large_name}"


def moment(written: Any) -> float | None:
    """Seconds since 1970 of an RFC 3339 time; None for an absent one, and for text that is none."""
    if not isinstance(written, str) or not written:
        return None
    try:
        found = datetime.fromisoformat(written)
    except ValueError:
        return None
    return found.timestamp() if found.tzinfo is not None else None


def since(written: Any, now: float) -> str:
    """How long ago a time was; "<unknown>" where there is none."""
    then = moment(written)
    return UNKNOWN if then is None else duration(now - then)
