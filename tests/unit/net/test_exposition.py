"""Metrics as Prometheus reads them."""

from hypothesis import given
from hypothesis import strategies as st

from labkit.net.exposition import Histogram, Values, exponential, linear, number, text


def test_a_page() -> None:
    total = Values("counter", "b_total", "How many.")
    total.add(table="nat", ip_family="IPv4")
    total.add(2, ip_family="IPv4", table="nat")
    total.add(path='a"b\\c\nd')
    took = Histogram("a_seconds", "How long.", exponential(0.5, 2, 2))
    for seconds in (0.5, 0.6, 7):
        took.observe(seconds)
    unused = Values("gauge", "c", "Never.")
    assert text([total, unused, took]) == (
        "# HELP a_seconds How long.\n"
        "# TYPE a_seconds histogram\n"
        'a_seconds_bucket{le="0.5"} 1\n'
        'a_seconds_bucket{le="1"} 2\n'
        'a_seconds_bucket{le="+Inf"} 3\n'
        "a_seconds_sum 8.1\n"
        "a_seconds_count 3\n"
        "# HELP b_total How many.\n"
        "# TYPE b_total counter\n"
        'b_total{ip_family="IPv4",table="nat"} 3\n'
        'b_total{path="a\\"b\\\\c\\nd"} 1\n'
    )


def test_numbers() -> None:
    assert [number(n) for n in (3.0, 0.25, 1_700_000_000, float("inf"), 1795874524.5405326)] == [
        "3", "0.25", "1700000000", "+Inf", "1795874524.5405326",
    ]  # fmt: skip
    assert linear(1, 5, 3) == (1, 6, 11)


@given(st.lists(st.floats(0, 100), max_size=50))
def test_buckets_hold_all_that_is_not_larger(sizes: list[float]) -> None:
    took = Histogram("a", "b", (1, 10, 50))
    for size in sizes:
        took.observe(size)
    lines = dict(line.rsplit(" ", 1) for line in took.lines())
    for bound in (1, 10, 50):
        assert int(lines.get(f'a_bucket{{le="{bound}"}}', 0)) == sum(size <= bound for size in sizes)
    assert took.count() == len(sizes)
