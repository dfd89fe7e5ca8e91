"""Events go an hour after they were last written."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from labkit.control import recorder as recording
from labkit.control.admission import Admission
from labkit.control.expiry import EventExpiry, expires
from labkit.control.namespaces import create_initial
from labkit.control.reconcile import Loop
from labkit.control.recorder import Recorder
from labkit.control.store import Store

NOON = datetime(2025, 1, 31, 12, 0, tzinfo=UTC)
POD = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web", "namespace": "default"}, "spec": {}}


class Clock:
    def __init__(self):
        self.now = NOON
        self.store = Store(seed=1, now=lambda: self.now)
        create_initial(Admission(self.store))
        self.loop = Loop(
            self.store, [EventExpiry(self.store)], lambda f: pytest.fail(str(f)), clock=lambda: self.now.timestamp()
        )
        self.pod = self.store.create(POD)
        self.recorder = Recorder(self.store, "kubelet")

    def wait(self, **time):
        self.now += timedelta(**time)
        self.loop.drain()

    def say(self, reason):
        self.recorder.event(self.pod, "Normal", reason, "…")
        self.loop.drain()

    @property
    def left(self):
        return {(event["reason"], event["count"]) for event in self.store.list("Event")}


@pytest.fixture
def clock():
    return Clock()


def test_an_hour_after_it_was_said(clock):
    clock.say("Pulled")
    clock.wait(minutes=30)
    clock.say("Started")
    clock.wait(minutes=29)
    assert clock.left == {("Pulled", 1), ("Started", 1)}
    clock.wait(minutes=2)
    assert clock.left == {("Started", 1)}
    clock.wait(minutes=30)
    assert clock.left == set()


def test_said_again_it_stays_for_another_hour(clock):
    clock.say("Unhealthy")
    clock.wait(minutes=50)
    clock.say("Unhealthy")
    clock.wait(minutes=50)
    assert clock.left == {("Unhealthy", 2)}
    clock.wait(minutes=11)
    assert clock.left == set()
    clock.say("Unhealthy")
    assert clock.left == {("Unhealthy", 1)}


def test_one_timer_for_all_and_none_where_there_are_no_events(clock):
    assert clock.loop.next_due() is None
    for number in range(100):
        clock.say(f"Reason{number}")
        clock.wait(seconds=1)
    assert clock.loop.next_due() == 3600 - 100
    clock.wait(hours=2)
    assert clock.left == set()
    assert clock.loop.next_due() is None


def test_those_of_an_earlier_life_go_too(clock):
    clock.say("Pulled")
    clock.now += timedelta(hours=3)
    again = Loop(clock.store, [EventExpiry(clock.store)], lambda f: pytest.fail(str(f)))
    again.drain()
    assert clock.left == set()


@pytest.mark.parametrize(
    ("last", "expected"),
    [
        (None, NOON),
        ("2025-01-31T12:30:00Z", NOON + timedelta(minutes=30)),
        ("2025-01-31T14:30:00+02:00", NOON + timedelta(minutes=30)),
        ("2099-01-01T00:00:00Z", NOON),  # nobody keeps one for ever
        ("yesterday", NOON),
    ],
)
def test_the_last_of_its_times_counts(last, expected):
    event = {"metadata": {"creationTimestamp": "2025-01-31T12:00:00Z"}, "lastTimestamp": last}
    assert expires(event, NOON + timedelta(minutes=45)) == expected + timedelta(hours=1)


def test_written_by_a_client_it_stays_for_another_hour():
    metadata = {"creationTimestamp": "2025-01-31T12:00:00Z", "managedFields": [{"time": "2025-01-31T12:40:00Z"}]}
    assert expires({"metadata": metadata}, NOON + timedelta(minutes=45)) == NOON + timedelta(hours=1, minutes=40)


def test_a_recorder_remembers_only_the_latest(clock, monkeypatch):
    monkeypatch.setattr(recording, "REMEMBERED", 2)
    for reason in ("A", "B", "A", "C", "A", "B"):
        clock.say(reason)
    said = sorted((event["reason"], event["count"]) for event in clock.store.list("Event"))
    assert said == [("A", 3), ("B", 1), ("B", 1), ("C", 1)]
