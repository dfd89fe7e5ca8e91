"""Schedules as cron writes them: "*/5 9-17 * * mon-fri", "@daily", "@every 90s".

Source: github.com/robfig/cron/v3 (parser.go, spec.go), which the CronJob controller uses.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, tzinfo

import msgspec

FIELDS = (("minute", 0, 59), ("hour", 0, 23), ("day of month", 1, 31), ("month", 1, 12), ("day of week", 0, 6))
MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
NAMES = {3: {name: n for n, name in enumerate(MONTHS, 1)}, 4: {name: n for n, name in enumerate(DAYS)}}
SHORT = {
    "@yearly": "0 0 1 1 *", "@annually": "0 0 1 1 *", "@monthly": "0 0 1 * *", "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *", "@midnight": "0 0 * * *", "@hourly": "0 * * * *",
}  # fmt: skip
UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}
FAR = timedelta(days=5 * 366)
"""How far ahead a time is looked for; "0 0 30 2 *" has none."""


class Schedule(msgspec.Struct, frozen=True):
    """When something is due. With `every`, at that distance; else at the times that fit all fields."""

    sets: tuple[frozenset[int], ...] = ()
    any_day: bool = True
    every: timedelta | None = None

    def after(self, moment: datetime, zone: tzinfo = UTC) -> datetime | None:
        """The first time after `moment`, in UTC; None where there is none within five years."""
        if self.every is not None:
            return moment.replace(microsecond=0) + self.every
        return next((time for time in self._times(moment, zone) if time > moment), None)

    def _times(self, moment: datetime, zone: tzinfo) -> Iterator[datetime]:
        """Times that fit by the zone's clock, from the moment's minute on. What the clock skips does not happen."""
        minutes, hours, _, months, _ = self.sets
        local = moment.astimezone(zone).replace(tzinfo=None, second=0, microsecond=0)
        end = local + FAR
        while local < end:
            if local.month not in months:
                local = (local.replace(day=1, hour=0, minute=0) + timedelta(days=32)).replace(day=1)
            elif not self._fits_day(local):
                local = local.replace(hour=0, minute=0) + timedelta(days=1)
            elif local.hour not in hours:
                local = local.replace(minute=0) + timedelta(hours=1)
            else:
                if local.minute in minutes:
                    found = local.replace(tzinfo=zone).astimezone(UTC)
                    if found.astimezone(zone).replace(tzinfo=None) == local:
                        yield found
                local += timedelta(minutes=1)

    def _fits_day(self, local: datetime) -> bool:
        """Both fields have to fit where one of them is `*`; else one of them suffices."""
        of_month, of_week = local.day in self.sets[2], (local.weekday() + 1) % 7 in self.sets[4]
        return (of_month and of_week) if self.any_day else (of_month or of_week)


def parse(text: str) -> Schedule:
    """The schedule. Raises `ValueError` that says what is wrong."""
    words = text.strip()
    if words.startswith("@every "):
        return Schedule(every=_duration(words.removeprefix("@every ").strip()))
    if words.startswith("@"):
        if words not in SHORT:
            raise ValueError(f"unrecognized descriptor: {words}")
        words = SHORT[words]
    fields = words.split()
    if len(fields) != len(FIELDS):
        raise ValueError(f"expected exactly 5 fields, found {len(fields)}: [{' '.join(fields)}]")
    sets = tuple(_field(number, field) for number, field in enumerate(fields))
    return Schedule(sets, any_day=any(field[0] in "*?" for field in (fields[2], fields[4])))


def _field(number: int, text: str) -> frozenset[int]:
    found: set[int] = set()
    for part in text.split(","):
        found |= set(_range(number, part))
    return frozenset(found)


def _range(number: int, part: str) -> range:
    name, low, high = FIELDS[number]
    span, slash, step = part.partition("/")
    if slash and (not step.isdecimal() or int(step) == 0):
        raise ValueError(f"step of range should be a positive number: {part}")
    first, dash, last = span.partition("-")
    if span in ("*", "?"):
        start, end = low, high
    else:
        start = _number(number, first)
        end = _number(number, last) if dash else (high if slash else start)
    if start < low or end > high:
        raise ValueError(f"{name}: {part} is outside of {low} to {high}")
    if start > end:
        raise ValueError(f"beginning of range ({start}) beyond end of range ({end}): {part}")
    return range(start, end + 1, int(step) if slash else 1)


def _number(number: int, text: str) -> int:
    named = NAMES.get(number, {}).get(text.lower())
    if named is not None:
        return named
    if not text.isdecimal():
        raise ValueError(f"failed to parse int from {text}")
    return int(text)


def _duration(text: str) -> timedelta:
    """A duration as Go writes it, at least one second."""
    parts = re.findall(r"(\d+(?:\.\d*)?|\.\d+)(h|ms|m|us|µs|ns|s)", text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError(f"failed to parse duration @every {text}")
    return timedelta(seconds=max(1, int(sum(float(number) * UNITS[unit] for number, unit in parts))))
