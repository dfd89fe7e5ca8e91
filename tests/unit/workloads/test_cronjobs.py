"""CronJobs: schedules, zones, concurrency, deadlines, history."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labkit.workloads.cronjobs.schedule import parse

FRIDAY = datetime(2025, 1, 31, 12, 0, tzinfo=UTC)


def cron(name="tick", schedule="*/10 * * * *", **spec):
    container = {"name": "main", "image": "busybox:1", "command": ["true"]}
    template = {"spec": {"template": {"spec": {"restartPolicy": "Never", "containers": [container]}}}}
    spec = {"schedule": schedule, "jobTemplate": template, **spec}
    return {"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": name}, "spec": spec}


def jobs(plane):
    return [j["metadata"]["name"] for j in plane.store.list("Job")]


def finish(plane, phase="Succeeded"):
    for pod in plane.store.list("Pod"):
        if pod["status"].get("phase") == "Running":
            plane.store.update("Pod", "default", pod["metadata"]["name"], lambda raw: raw["status"].update(phase=phase))
    plane.loop.drain()


def reasons(plane):
    return [e["reason"] for e in plane.store.list("Event") if e["involvedObject"]["kind"] == "CronJob"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("* * * * *", "2025-01-31T12:01"),
        ("*/15 * * * *", "2025-01-31T12:15"),
        ("5/20 * * * *", "2025-01-31T12:05"),
        ("0 0 * * *", "2025-02-01T00:00"),
        ("30 9 * * mon-wed", "2025-02-03T09:30"),
        ("0 12 29 2 *", "2028-02-29T12:00"),
        ("0 0 13 * fri", "2025-02-07T00:00"),  # both are given: one of them suffices
        ("0 0 */2 * fri", "2025-02-07T00:00"),  # a star: both have to fit
        ("0 0 1 JAN,JUL ?", "2025-07-01T00:00"),
        ("@hourly", "2025-01-31T13:00"),
        ("@weekly", "2025-02-02T00:00"),
        ("@every 1h30m", "2025-01-31T13:30"),
    ],
)
def test_next_time(text, expected):
    assert parse(text).after(FRIDAY) == datetime.fromisoformat(expected).replace(tzinfo=UTC)


def test_never():
    assert parse("0 0 30 2 *").after(FRIDAY) is None


@pytest.mark.parametrize(
    "text",
    ["", "* * * *", "* * * * * *", "60 * * * *", "* 24 * * *", "* * 0 * *", "* * * 13 *", "* * * * 7", "5-1 * * * *",
     "*/0 * * * *", "a * * * *", "@never", "@every 5", "@every", "1,,2 * * * *", "-1 * * * *", "* * * * mo"],
)  # fmt: skip
def test_no_schedule(text):
    with pytest.raises(ValueError):
        parse(text)


def test_a_zone_with_summer_time():
    berlin = ZoneInfo("Europe/Berlin")
    nightly = parse("30 2 * * *")
    before = datetime(2025, 3, 29, 12, 0, tzinfo=UTC)
    # On 30 March the clock goes from 2 to 3: there is no half past two.
    assert nightly.after(before, berlin) == datetime(2025, 3, 31, 0, 30, tzinfo=UTC)
    assert nightly.after(datetime(2025, 1, 1, tzinfo=UTC), berlin) == datetime(2025, 1, 1, 1, 30, tzinfo=UTC)


@given(st.integers(0, 59), st.integers(1, 59), st.datetimes(datetime(2024, 1, 1), datetime(2026, 1, 1)))
def test_the_next_time_is_later_and_fits(first, step, moment):
    start = moment.replace(tzinfo=UTC)
    found = parse(f"{first}/{step} * * * *").after(start)
    assert start < found <= start + timedelta(hours=1, minutes=1)
    assert (found.minute - first) % step == 0


def test_a_job_for_each_time(plane):
    plane.apply(cron())
    assert jobs(plane) == []
    plane.wait(600)
    minutes = int(plane.time.timestamp()) // 60
    assert jobs(plane) == [f"tick-{minutes}"]
    status = plane.get("CronJob", "tick")["status"]
    assert status["lastScheduleTime"] == plane.timestamp()
    assert [ref["name"] for ref in status["active"]] == jobs(plane)
    job = plane.get("Job", jobs(plane)[0])
    assert job["metadata"]["annotations"] == {"batch.kubernetes.io/cronjob-scheduled-timestamp": plane.timestamp()}
    finish(plane)
    status = plane.get("CronJob", "tick")["status"]
    assert (status["lastSuccessfulTime"], "active" in status) == (plane.timestamp(), False)
    assert sorted(reasons(plane)) == ["SawCompletedJob", "SuccessfulCreate"]


def test_only_the_latest_of_what_was_missed(plane):
    plane.apply(cron())
    plane.wait(3700)
    assert jobs(plane) == [f"tick-{int(plane.time.timestamp()) // 600 * 10}"]


def test_very_many_missed_are_said(plane):
    plane.apply(cron(schedule="* * * * *"))
    plane.wait(150 * 60 + 30)
    assert jobs(plane) == [f"tick-{int(plane.time.timestamp()) // 60}"]
    assert "TooManyMissedTimes" in reasons(plane)


@pytest.mark.parametrize(("policy", "count", "reason"), [
    ("Allow", 2, "SuccessfulCreate"), ("Forbid", 1, "JobAlreadyActive"), ("Replace", 1, "SuccessfulDelete"),
])  # fmt: skip
def test_concurrency(plane, policy, count, reason):
    plane.apply(cron(concurrencyPolicy=policy))
    plane.wait(600)
    first = jobs(plane)
    plane.wait(600)
    assert len(jobs(plane)) == count
    assert reason in reasons(plane)
    assert (first[0] in jobs(plane)) is (policy != "Replace")
    assert len(plane.store.list("Pod")) == count


def test_forbid_starts_what_it_held_back(plane):
    plane.apply(cron(concurrencyPolicy="Forbid"))
    plane.wait(600)
    plane.wait(660)
    finish(plane)
    assert len(jobs(plane)) == 2


def test_too_late(plane):
    plane.apply(cron(startingDeadlineSeconds=60))
    plane.wait(661)
    assert jobs(plane) == []
    plane.wait(600 - 61 + 30)
    assert len(jobs(plane)) == 1


def test_suspended(plane):
    plane.apply(cron(suspend=True))
    plane.wait(1200)
    assert jobs(plane) == []
    plane.apply(cron(suspend=False))
    assert len(jobs(plane)) == 1


def test_history(plane):
    plane.apply(cron(successfulJobsHistoryLimit=2, failedJobsHistoryLimit=1))
    for _ in range(4):
        plane.wait(600)
        finish(plane)
    assert len(jobs(plane)) == 2


@pytest.mark.parametrize(("spec", "reason"), [
    ({"schedule": "61 * * * *"}, "UnparseableSchedule"), ({"timeZone": "Mars/Base"}, "UnknownTimeZone"),
])  # fmt: skip
def test_what_cannot_be_read_is_said(plane, spec, reason):
    # Written past admission, as by an older server.
    plane.store.create({**cron(**spec), "metadata": {"name": "tick", "namespace": "default"}})
    plane.loop.drain()
    assert reasons(plane) == [reason]


def test_what_it_owns_goes_with_it(plane):
    plane.apply(cron())
    plane.wait(600)
    plane.store.delete("CronJob", "default", "tick")
    plane.loop.drain()
    assert (jobs(plane), plane.store.list("Pod")) == ([], ())
