from __future__ import annotations

import pytest

from labkit.apiserver.tables import human, words

M, H, D, Y = 60, 3600, 86400, 365 * 86400


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        # The cases of apimachinery/pkg/util/duration/duration_test.go.
        (1, "1s"),
        (70, "70s"),
        (190, "3m10s"),
        (70 * M, "70m"),
        (47 * H, "47h"),
        (49 * H, "2d1h"),
        (8 * D + 2 * H, "8d"),
        (367 * D, "367d"),
        (2 * Y + 25 * D, "2y25d"),
        (8 * Y + 2 * D, "8y"),
        (3 * D, "3d"),
        # Edges of the ranges.
        (-1.9, "0s"),
        (-2, "<invalid>"),
        (0, "0s"),
        (119.9, "119s"),
        (120, "2m"),
        (599, "9m59s"),
        (600, "10m"),
        (3 * H - 1, "179m"),
        (3 * H, "3h"),
        (8 * H - 1, "7h59m"),
        (8 * H, "8h"),
        (8 * H + 30 * M, "8h"),
        (10 * M + 30, "10m"),
        (8 * D + 5 * H, "8d"),
        (2 * D, "2d"),
        (8 * D - 1, "7d23h"),
        (2 * Y, "2y"),
    ],
)
def test_a_duration(seconds: float, text: str) -> None:
    assert human.duration(seconds) == text


@pytest.mark.parametrize(
    ("written", "text"),
    [
        ("1970-01-01T00:00:00Z", "100s"),
        ("1970-01-01T01:00:00.500000+01:00", "99s"),
        ("1970-01-01T00:01:30Z", "10s"),
        (None, "<unknown>"),
        ("", "<unknown>"),
        ("yesterday", "<unknown>"),
        ("1970-01-01T00:00:00", "<unknown>"),
        (7, "<unknown>"),
    ],
)
def test_since(written: object, text: str) -> None:
    assert human.since(written, 100.0) == text


@pytest.mark.parametrize(
    ("selector", "text"),
    [
        (None, ""),
        ({}, ""),
        ({"matchLabels": {"b": "2", "a": "1"}}, "a=1,b=2"),
        (
            {
                "matchLabels": {"app": "web"},
                "matchExpressions": [
                    {"key": "tier", "operator": "In", "values": ["b", "a"]},
                    {"key": "env", "operator": "NotIn", "values": ["dev"]},
                    {"key": "old", "operator": "DoesNotExist"},
                    {"key": "zone", "operator": "Exists"},
                ],
            },
            "app=web,env notin (dev),!old,tier in (a,b),zone",
        ),
    ],
)
def test_a_selector(selector: dict[str, object] | None, text: str) -> None:
    assert words.selector(selector) == text
    assert words.selector_or_none(selector) == (text or "<none>")


def test_a_long_list_is_shortened() -> None:
    assert words.shortened(["c", "b", "a"]) == "c,b,a"
    assert words.shortened(["c", "b", "a", "d", "e"]) == "c,b,a + 2 more..."
    assert words.shortened(["c", "b", "a", "d"], whole=True) == "a,b,c,d"
    assert words.shortened([]) == "<unset>"
