"""Round robin and session affinity, as the proxy in userspace mode had them."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labkit.proxy.userspace.balancer import NoEndpoint, RoundRobin

ENDS = ("10.244.1.2:80", "10.244.1.3:80", "10.244.2.2:80")


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def balancer(seconds: int = 0, clock: Clock | None = None) -> RoundRobin:
    made = RoundRobin("shop/web:http/tcp", clock or Clock())
    made.configure(ENDS, seconds)
    return made


@given(st.lists(st.integers(1, 250), min_size=1, max_size=12, unique=True), st.integers(1, 5))
def test_every_endpoint_gets_its_turn_before_any_gets_a_second(numbers: list[int], rounds: int) -> None:
    made = RoundRobin("shop/web")
    made.configure([f"10.244.1.{n}:80" for n in numbers], 0)
    drawn = [made.next("10.244.9.9") for _ in range(len(numbers) * rounds)]
    assert set(Counter(drawn).values()) == {rounds}
    assert drawn[: len(numbers)] * rounds == drawn


def test_the_same_endpoints_in_another_order_change_nothing() -> None:
    made = balancer()
    first = [made.next("c") for _ in range(2)]
    made.configure(ENDS[::-1], 0)
    assert sorted([*first, made.next("c")]) == sorted(ENDS)


def test_the_order_is_drawn_by_the_name() -> None:
    def order(name: str) -> list[str]:
        made = RoundRobin(name)
        made.configure([f"10.244.1.{n}:80" for n in range(20)], 0)
        return [made.next("c") for _ in range(20)]

    assert order("a") == order("a") != order("b")


def test_a_client_keeps_its_endpoint_until_it_was_idle_for_the_time() -> None:
    clock = Clock()
    made = balancer(60, clock)
    first = made.next("10.244.1.9")
    for _ in range(5):
        clock.now += 59
        assert made.next("10.244.1.9") == first
    assert made.next("10.244.1.8") != first
    clock.now += 60
    assert made.next("10.244.1.9") != first


def test_a_kept_client_gets_another_endpoint_where_its_own_cannot_be_reached() -> None:
    made = balancer(60)
    first = made.next("c")
    second = made.next("c", anew=True)
    assert second != first
    assert made.next("c") == second


def test_a_client_whose_endpoint_has_gone_is_drawn_anew() -> None:
    made = balancer(60)
    first, other = made.next("a"), made.next("b")
    made.configure([e for e in ENDS if e != first], 60)
    assert made.next("a") != first
    assert made.next("b") == other


def test_affinity_that_is_switched_off_forgets() -> None:
    made = balancer(60)
    made.next("a")
    made.configure(ENDS, 0)
    assert len({made.next("a") for _ in range(3)}) == 3


def test_without_endpoints() -> None:
    made = balancer()
    made.configure((), 0)
    with pytest.raises(NoEndpoint):
        made.next("a")
