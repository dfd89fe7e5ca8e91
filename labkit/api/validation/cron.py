"""The schedules of CronJobs, as github.com/robfig/cron/v3 (ParseStandard) reads them: what is wrong with one."""

from __future__ import annotations

import re
from zoneinfo import ZoneInfo

MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
FIELDS: tuple[tuple[int, int, dict[str, int]], ...] = (
    (0, 59, {}),
    (0, 23, {}),
    (1, 31, {}),
    (1, 12, {name: number for number, name in enumerate(MONTHS, 1)}),
    (0, 6, {name: number for number, name in enumerate(DAYS)}),
)
"""Lowest and highest value and the names of: minute, hour, day of month, month, day of week."""
DESCRIPTORS = ("@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly")
EVERY = "@every "
_DURATION = re.compile(r"(\d+(\.\d*)?(h|m|s|ms|us|µs|ns))+", re.ASCII)


class _Fault(ValueError):
    pass


def fault(schedule: str) -> str:
    """What is wrong with a schedule, in the library's words; empty where nothing is."""
    text = schedule
    if text.startswith(("TZ=", "CRON_TZ=")):
        zone, _, text = text.partition(" ")
        if why := zone_fault(zone.partition("=")[2]):
            return f"provided bad location {zone.partition('=')[2]}: {why}"
        text = text.strip()
    if text.startswith("@"):
        return _descriptor(text)
    fields = text.split()
    if len(fields) != len(FIELDS):
        return f"expected exactly 5 fields, found {len(fields)}: [{' '.join(fields)}]"
    try:
        for field, (low, high, names) in zip(fields, FIELDS, strict=True):
            for part in field.split(","):
                _range(part, low, high, names)
    except _Fault as error:
        return str(error)
    return ""


def zone_fault(name: str) -> str:
    """What is wrong with the name of a time zone; empty where nothing is."""
    if not name:
        return "timeZone must be nil or non-empty string"
    if name.lower() == "local":
        return "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones"
    try:
        ZoneInfo(name)
    except (OSError, ValueError, LookupError):
        return f"unknown time zone {name}"
    return ""


def _descriptor(text: str) -> str:
    if text in DESCRIPTORS:
        return ""
    if text.startswith(EVERY):
        return "" if _is_duration(text[len(EVERY) :]) else f"failed to parse duration {text}"
    return f"unrecognized descriptor: {text}"


def _is_duration(text: str) -> bool:
    """A duration of Go, such as 1h30m."""
    return bool(_DURATION.fullmatch(text))


def _range(text: str, low: int, high: int, names: dict[str, int]) -> None:
    span, *steps = text.split("/")
    ends = span.split("-")
    if len(steps) > 1:
        raise _Fault(f"too many slashes: {text}")
    if len(ends) > 2:
        raise _Fault(f"too many hyphens: {text}")
    if ends[0] in ("*", "?"):
        start, end = low, high
    else:
        start = _number(ends[0], names)
        end = _number(ends[1], names) if len(ends) == 2 else high if steps else start
    step = _integer(steps[0]) if steps else 1
    if start < low:
        raise _Fault(f"beginning of range ({start}) below minimum ({low}): {text}")
    if end > high:
        raise _Fault(f"end of range ({end}) above maximum ({high}): {text}")
    if start > end:
        raise _Fault(f"beginning of range ({start}) beyond end of range ({end}): {text}")
    if step == 0:
        raise _Fault(f"step of range should be a positive number: {text}")


def _number(text: str, names: dict[str, int]) -> int:
    return names[text.lower()] if text.lower() in names else _integer(text)


def _integer(text: str) -> int:
    if not text.isascii() or not text.removeprefix("-").isdecimal() or len(text) > 9:
        raise _Fault(f'failed to parse int from {text}: strconv.Atoi: parsing "{text}": invalid syntax')
    number = int(text)
    if number < 0:
        raise _Fault(f"negative number ({number}) not allowed: {text}")
    return number
