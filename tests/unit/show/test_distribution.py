"""Shares, bands and p-values against SciPy's own statistics, and what the title makes of them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pandas import DataFrame
from scipy import stats

from labkit import show
from labkit.errors import LabError


def hits(counts: dict[str, int], failed: int = 0) -> DataFrame:
    pods = [pod for pod, count in counts.items() for _ in range(count)]
    return DataFrame({"pod": [*pods, *[None] * failed], "status": 200})


def test_even_shares() -> None:
    picture = show.distribution(hits({"web-2": 980, "web-1": 1010, "web-3": 1010}))
    assert picture.title == "web-1, web-2 and web-3 share 3,000 requests evenly"
    assert picture.expected == pytest.approx({"web-1": 1 / 3, "web-2": 1 / 3, "web-3": 1 / 3})
    assert picture.p_value == pytest.approx(stats.chisquare([1010, 980, 1010]).pvalue)
    assert list(picture.facts["pod"]) == ["web-1", "web-2", "web-3"]
    assert list(picture.facts["observed"]) == [1010, 980, 1010]


def test_uneven_shares_name_the_farthest() -> None:
    picture = show.distribution(hits({"a": 500, "b": 250, "c": 250}, failed=12))
    assert picture.title == "1,000 requests are not shared evenly: a got 50% instead of 33%, 12 more failed"
    assert picture.failed == 12


def test_expected_weights_find_the_one_that_got_nothing() -> None:
    picture = show.distribution(hits({"a": 500, "b": 500}), expected={"a": 1, "b": 1, "c": 1})
    assert picture.title == "1,000 requests are not shared as expected: c got 0% instead of 33%"
    assert picture.p_value is not None and picture.p_value < 1e-9


def test_requests_where_none_were_expected() -> None:
    picture = show.distribution(hits({"a": 99, "stranger": 1}), expected={"a": 1})
    assert picture.p_value == 0.0
    assert picture.title.startswith("100 requests are not shared as expected")


def test_canary_weights() -> None:
    picture = show.distribution(hits({"v1": 897, "v2": 103}), expected={"v1": 90, "v2": 10})
    assert picture.title == "v1 and v2 share 1,000 requests as expected"


@pytest.mark.parametrize(
    ("counts", "failed", "title"),
    [
        ({}, 0, "No requests to show"),
        ({}, 3, "No request was answered"),
        ({"web-0": 1}, 0, "web-0 answered 1 request"),
        ({"web-0": 100}, 5, "web-0 answered all 100 requests, 5 more failed"),
    ],
)
def test_nothing_and_one(counts: dict[str, int], failed: int, title: str) -> None:
    picture = show.distribution(hits(counts, failed))
    assert picture.title == title
    assert picture.p_value is None


def test_by_another_column() -> None:
    assert show.distribution(DataFrame({"zone": ["a", "b"] * 50}), by="zone").title == (
        "a and b share 100 requests evenly"
    )
    with pytest.raises(LabError, match="no column 'node'; they have pod, status"):
        show.distribution(hits({"a": 1}), by="node")


@pytest.mark.parametrize("weights", [{"a": -1.0, "b": 2.0}, {"a": 0.0}, {}])
def test_weights_that_make_no_shares(weights: dict[str, float]) -> None:
    with pytest.raises(LabError, match="not be negative"):
        show.distribution(hits({"a": 1}), expected=weights)


@given(total=st.integers(1, 5000), weight=st.integers(1, 99))
def test_the_band_is_the_binomials(total: int, weight: int) -> None:
    picture = show.distribution(hits({"a": total}), expected={"a": weight, "b": 100 - weight})
    low, high = picture.band["a"]
    assert (low, high) == (
        int(stats.binom.ppf(0.005, total, weight / 100)),
        int(stats.binom.ppf(0.995, total, weight / 100)),
    )


def test_what_chance_decides_is_marked_and_left_out_of_the_text() -> None:
    first, second = (show.distribution(hits({"a": n, "b": 1000 - n})) for n in (510, 490))
    assert repr(first) == repr(second)
    assert first.table._repr_html_() != second.table._repr_html_()
    assert '<td style="text-align:right" class="measured">510</td>' in first.table._repr_html_()
