"""Packing: every endpoint once, no slice too full, as few slices touched as possible."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from labkit.api.objects import Endpoint, EndpointConditions
from labkit.endpoints.packing import identity, pack


def endpoint(number: int, ready: bool = True) -> Endpoint:
    return Endpoint(addresses=(f"10.0.{number // 256}.{number % 256}",), conditions=EndpointConditions(ready=ready))


def many(*numbers: int) -> tuple[Endpoint, ...]:
    return tuple(endpoint(number) for number in numbers)


def test_first_time():
    packed = pack(many(*range(25)), [], limit=10)
    assert [len(content) for content in packed] == [10, 10, 5]
    assert sum(packed, ()) == many(*range(25))


def test_nothing_changed():
    slices = [many(1, 2), many(3)]
    assert pack(many(3, 2, 1), slices) == slices


def test_changed_endpoint_stays_where_it_is():
    slices = [many(1, 2), many(3)]
    wanted = [endpoint(1), endpoint(2, ready=False), endpoint(3)]
    assert pack(wanted, slices) == [(endpoint(1), endpoint(2, ready=False)), many(3)]


def test_slices_that_change_anyway_are_filled_first_the_fullest_before():
    slices = [many(1, 2, 3), many(10, 11, 12, 13), many(20)]
    wanted = many(1, 2, 10, 11, 12, 20, 30, 31)
    assert pack(wanted, slices, limit=4) == [many(1, 2, 31), many(10, 11, 12, 30), many(20)]


def test_leftovers_go_together_into_the_fullest_that_has_room():
    slices = [many(1), many(10, 11), many(20, 21, 22)]
    assert pack(many(1, 10, 11, 20, 21, 22, 30, 31), slices, limit=4) == [
        many(1),
        many(10, 11, 30, 31),
        many(20, 21, 22),
    ]


def test_new_slice_where_no_slice_has_room_for_all():
    slices = [many(1, 2, 3), many(10, 11, 12)]
    assert pack(many(1, 2, 3, 10, 11, 12, 30, 31), slices, limit=4) == [*slices, many(30, 31)]


def test_emptied_slice_is_not_filled():
    assert pack(many(5), [many(1)], limit=4) == [(), many(5)]


NUMBERS = st.sets(st.integers(0, 40))


@given(
    wanted=NUMBERS,
    existing=st.lists(st.lists(st.integers(0, 40), max_size=7, unique=True), max_size=5),
    limit=st.integers(1, 8),
)
@settings(max_examples=300)
def test_each_endpoint_once_and_no_slice_too_full(wanted, existing, limit):
    slices = [many(*content[:limit]) for content in existing]
    packed = pack(many(*wanted), slices, limit)
    found = [identity(e) for content in packed for e in content]
    assert sorted(found) == sorted(identity(e) for e in many(*wanted))
    assert all(len(content) <= limit for content in packed)
    assert all(packed[len(slices) :])
    assert pack(many(*wanted), [content for content in packed if content], limit) == [c for c in packed if c]


@given(before=st.sets(st.integers(0, 60), min_size=1), gone=st.integers(0, 60), come=st.integers(61, 90))
def test_churn_is_small(before, gone, come):
    """One endpoint going or one coming touches one slice."""
    slices = pack(many(*sorted(before)), [], limit=10)
    after_loss = pack(many(*sorted(before - {gone})), slices, limit=10)
    assert sum(a != b for a, b in zip(slices, after_loss, strict=True)) == (gone in before)
    after_gain = pack(many(*sorted(before | {come})), slices, limit=10)
    untouched = sum(a == b for a, b in zip(slices, after_gain, strict=False))
    assert len(after_gain) - untouched == 1
