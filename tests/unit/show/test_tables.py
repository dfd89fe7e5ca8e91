"""Tables: no index, escaped, deterministic."""

from __future__ import annotations

import pandas as pd
import pytest

from labkit import show
from labkit.show.tables import cell


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""), ("None", "None"),
        (float("nan"), ""), (pd.NA, ""), (pd.NaT, ""), (3, "3"), (3.0, "3"), (1 / 3, "0.3333"),
        (12345.678, "12345.7"), (float("inf"), "inf"), (True, "True"), ("a b", "a b"),
        (["x", 1], "x,1"), ({"b", "a"}, "a,b"),
    ],
)  # fmt: skip
def test_cell(value: object, text: str) -> None:
    assert cell(value) == text


def test_html_is_escaped_and_has_no_index() -> None:
    html = show.table(pd.DataFrame({"selector": ["<a&b>"], "n": [1]}, index=[77]))._repr_html_()
    assert "&lt;a&amp;b&gt;" in html
    assert "77" not in html
    assert '<td style="text-align:right">1</td>' in html


def test_text_has_aligned_columns() -> None:
    table = show.table(pd.DataFrame({"name": ["web", "client"], "ready": ["1/1", "0/1"], "ms": [1.5, 2.5]}), ["ms"])
    assert repr(table) == "name    ready\nweb     1/1\nclient  0/1"


def test_an_empty_table() -> None:
    assert repr(show.table(pd.DataFrame({"name": []}))) == "name"
    assert repr(show.table(pd.DataFrame())) == ""
