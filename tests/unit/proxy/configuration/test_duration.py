"""Times as Go reads and writes them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labkit.proxy.configuration.duration import Duration, parse


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("0", "0s"), ("0s", "0s"), ("30s", "30s"), ("90s", "1m30s"), ("1h", "1h0m0s"), ("24h", "24h0m0s"),
        ("250ms", "250ms"), ("1.5s", "1.5s"), (".5m", "30s"), ("2h45m30.25s", "2h45m30.25s"), ("-1m", "-1m0s"),
        ("1500us", "1.5ms"), ("7ns", "7ns"), ("1.2µs", "1.2µs"), ("+5s", "5s"),
    ],
)  # fmt: skip
def test_printed_as_go_prints(text: str, printed: str) -> None:
    assert str(parse(text)) == printed


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", 'time: invalid duration ""'),
        ("5", 'time: missing unit in duration "5"'),
        ("5x", 'time: unknown unit "x" in duration "5x"'),
        ("x", 'time: invalid duration "x"'),
        ("1s2", 'time: missing unit in duration "1s2"'),
        ("9999999999h", 'time: invalid duration "9999999999h"'),
    ],
)
def test_refused_in_gos_words(text: str, said: str) -> None:
    with pytest.raises(ValueError) as refused:
        parse(text)
    assert str(refused.value) == said


@given(st.integers(-(2**63) + 1, 2**63 - 1))
def test_what_is_printed_is_read_again(nanoseconds: int) -> None:
    assert parse(str(Duration(nanoseconds))) == nanoseconds


@given(st.text(max_size=12))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        read = parse(text)
    except ValueError as refused:
        assert str(refused).startswith("time: ")
    else:
        assert isinstance(read, Duration)
