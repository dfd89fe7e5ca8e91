"""Which run of a CronJob is due now, and when to look again.

Source: kubernetes/pkg/controller/cronjob/utils.go (mostRecentScheduleTime, nextScheduleTime) of v1.34.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

import msgspec

from labkit.workloads.cronjobs.schedule import Schedule

Raw = dict[str, Any]

TOO_MANY = 100
"""Missed runs that are worth a warning."""


class Due(msgspec.Struct, frozen=True):
    """`run`: the latest time that is due and not too old to look at; `missed`: how many were, up to one too many."""

    run: datetime | None
    missed: int


def zone_of(cron: Raw) -> tzinfo:
    """The zone of a CronJob's clock, UTC unless it names one. Raises `ValueError` for an unknown one."""
    name = cron["spec"].get("timeZone")
    if not name:
        return UTC
    from zoneinfo import ZoneInfo  # seldom needed, and slow to import

    try:
        return ZoneInfo(name)
    except (KeyError, OSError, ValueError) as error:
        raise ValueError(f'invalid timeZone: "{name}": unknown time zone {name}') from error


LONGEST = 10 * 365 * 86400
"""Seconds: a deadline that is further away than that makes no difference."""


def due(cron: Raw, schedule: Schedule, zone: tzinfo, now: datetime) -> Due:
    """What is due since the last run (or since the CronJob was made), as far back as its deadline goes."""
    since = datetime.fromisoformat(
        cron.get("status", {}).get("lastScheduleTime") or cron["metadata"]["creationTimestamp"]
    )
    deadline = cron["spec"].get("startingDeadlineSeconds")
    if deadline is not None:
        since = max(since, now - timedelta(seconds=min(deadline, LONGEST)))
    run, missed = None, 0
    time = schedule.after(since, zone)
    while time is not None and time <= now:
        run, missed = time, missed + 1
        if missed > TOO_MANY:
            run = _latest(schedule, zone, time, now)
            break
        time = schedule.after(time, zone)
    return Due(run, missed)


def next_in(schedule: Schedule, zone: tzinfo, now: datetime) -> float | None:
    """Seconds until the next run."""
    time = schedule.after(now, zone)
    return None if time is None else (time - now).total_seconds()


def _latest(schedule: Schedule, zone: tzinfo, known: datetime, now: datetime) -> datetime:
    """The last time up to now, found from ever further back."""
    for back in (timedelta(minutes=2), timedelta(hours=2), timedelta(days=2), timedelta(days=63)):
        start = max(known, now - back)
        time, found = schedule.after(start, zone), None
        while time is not None and time <= now:
            found, time = time, schedule.after(time, zone)
        if found is not None:
            return found
    return known
