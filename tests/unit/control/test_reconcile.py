"""The loop: level-triggered, in a certain order, never stopped by one failure."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labkit.control.reconcile import Loop
from labkit.control.store import Store
from labkit.errors import LabError


class Recorder:
    """Marks the name of every ConfigMap; what it does is given."""

    kinds = frozenset({"ConfigMap"})

    def __init__(self, name, do=lambda key: None, keys=lambda event: [event.object["metadata"]["name"]]):
        self.name, self._do, self.keys = name, do, keys
        self.seen = []

    def reconcile(self, key):
        self.seen.append(key)
        return self._do(key)


def fresh_store() -> Store:
    store = Store()
    store.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "default"}})
    return store


def put(store, name, value=0):
    raw = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": "default"},
        "data": {"v": value},
    }
    return store.create(raw) if store.find("ConfigMap", "default", name) is None else store.replace(raw)


def test_sorted_keys_once_upstream_first():
    store, order = fresh_store(), []
    first = Recorder("first", lambda key: order.append(("first", key)))
    second = Recorder("second", lambda key: order.append(("second", key)))
    loop = Loop(store, [first, second], pytest.fail)
    for name in ("b", "a", "b"):
        put(store, name, len(order))
    put(store, "b", 5)
    loop.drain()
    assert order == [("first", "a"), ("first", "b"), ("second", "a"), ("second", "b")]
    loop.drain()
    assert len(order) == 4


def test_upstream_settles_before_downstream_goes_on():
    store, order = fresh_store(), []

    def grow(key):
        order.append(("up", key))
        if key < "c":
            put(store, chr(ord(key) + 1))

    loop = Loop(store, [Recorder("up", grow), Recorder("down", lambda key: order.append(("down", key)))], pytest.fail)
    put(store, "a")
    loop.drain()
    assert order == [("up", "a"), ("up", "b"), ("up", "c"), ("down", "a"), ("down", "b"), ("down", "c")]


def test_a_failure_is_reported_retried_and_stops_nobody():
    store, now, failures, broken = fresh_store(), [0.0], [], [True]

    def do(key):
        if key == "bad" and broken[0]:
            raise ValueError("broken")

    controller = Recorder("c", do)
    loop = Loop(store, [controller], failures.append, clock=lambda: now[0])
    put(store, "bad")
    put(store, "good")
    loop.drain()
    assert controller.seen == ["bad", "good"]
    assert [(f.controller, f.key, f.attempts, f.retry) for f in failures] == [("c", "bad", 1, 0.005)]
    assert loop.next_due() == 0.005
    loop.drain()
    assert len(failures) == 1  # not due yet
    now[0] = 0.005
    loop.drain()
    assert [(f.attempts, f.retry) for f in failures] == [(1, 0.005), (2, 0.01)]
    assert str(failures[1]) == "c bad: broken (attempt 2, next in 0.01 s)"
    broken[0] = False
    now[0] = 1.0
    loop.drain()
    assert loop.next_due() is None
    broken[0] = True
    put(store, "bad", 2)  # a change does not wait for the backoff, and success has reset the count
    loop.drain()
    assert failures[-1].attempts == 1


def test_backoff_has_an_upper_bound():
    now, failures = [0.0], []

    def do(key):
        raise ValueError

    store = fresh_store()
    loop = Loop(store, [Recorder("c", do)], failures.append, clock=lambda: now[0])
    put(store, "a")
    for _ in range(20):
        loop.drain()
        now[0] += 100
    assert failures[-1].retry == 16.0


def test_a_failing_keys_function_is_reported():
    failures = []

    def keys(event):
        raise KeyError("x")

    store = fresh_store()
    other = Recorder("other")
    loop = Loop(store, [Recorder("c", keys=keys), other], failures.append)
    put(store, "a")
    loop.drain()
    assert [(f.controller, f.key) for f in failures] == [("c", "")]
    assert other.seen == ["a"]


def test_postponed_keys():
    store, now = fresh_store(), [0.0]
    controller = Recorder("c", lambda key: 5.0 if now[0] < 5 else None)
    loop = Loop(store, [controller], pytest.fail, clock=lambda: now[0])
    put(store, "a")
    loop.drain()
    assert (controller.seen, loop.next_due()) == (["a"], 5.0)
    now[0] = 5.5
    assert loop.next_due() == 0.0
    loop.drain()
    assert (controller.seen, loop.next_due()) == (["a", "a"], None)


def test_a_quarrel_is_an_error():
    store = fresh_store()

    def set_to(value):
        return lambda key: put(store, key, value) and None

    loop = Loop(store, [Recorder("one", set_to(1)), Recorder("two", set_to(2))], pytest.fail)
    put(store, "a")
    with pytest.raises(LabError, match=r"did not come to rest in 10000 rounds; still at work: (one|two) a"):
        loop.drain()


def test_changed_is_called_for_work_that_nobody_does_yet():
    store, calls = fresh_store(), []
    loop = Loop(store, [Recorder("c", lambda key: put(store, "other") and None)], pytest.fail, lambda: calls.append(1))
    put(store, "a")
    assert calls == [1]
    loop.drain()  # its own writes need no further call
    assert calls == [1]


class Mirror:
    """Level-triggered by design: keeps a Secret with a copy of each ConfigMap, and none without one."""

    name = "mirror"
    kinds = frozenset({"ConfigMap", "Secret"})

    def __init__(self, store):
        self._store = store

    def keys(self, event):
        return [event.object["metadata"]["name"]]

    def reconcile(self, key):
        source, copy = (self._store.find(kind, "default", key) for kind in ("ConfigMap", "Secret"))
        if source is None:
            if copy is not None:
                self._store.delete("Secret", "default", key)
            return
        metadata = {"name": key, "namespace": "default"}
        wanted = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": source["data"]}
        if copy is None:
            self._store.create(wanted)
        else:
            self._store.replace(wanted)


STEPS = st.lists(
    st.tuples(st.sampled_from(["put", "delete", "spoil"]), st.sampled_from("abc"), st.integers(0, 3), st.booleans()),
    max_size=25,
)


@given(STEPS)
@settings(max_examples=150, deadline=None)
def test_batching_does_not_matter(steps):
    """Draining after every step, after some, or once at the end leaves the same objects."""
    ends = []
    for drains in (lambda drain: True, lambda drain: drain, lambda drain: False):
        store = fresh_store()
        loop = Loop(store, [Mirror(store)], pytest.fail)
        for operation, name, value, drain in steps:
            if operation == "put":
                put(store, name, value)
            elif store.find("ConfigMap" if operation == "delete" else "Secret", "default", name) is not None:
                store.delete("ConfigMap" if operation == "delete" else "Secret", "default", name)
            if drains(drain):
                loop.drain()
        loop.drain()
        ends.append(
            [[(r["metadata"]["name"], r["data"]) for r in store.list(kind)] for kind in ("ConfigMap", "Secret")]
        )
    assert ends[0] == ends[1] == ends[2]
    assert ends[0][0] == ends[0][1]
