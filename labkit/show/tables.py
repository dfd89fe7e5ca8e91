"""How tables are shown: plain, no index, text to the left and numbers to the right.

Some columns hold what chance decides (counts, milliseconds): `measured` names them. The HTML marks their cells with
`class="measured"`, which `labkit/learn/nbval.cfg` blanks before nbval compares; the plain text leaves them out. So a
committed notebook shows them, and a second run need not repeat them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pandas import DataFrame

_CELL = '<{tag} style="text-align:{align}"{mark}>{text}</{tag}>'


class Table:
    """A DataFrame, `data`, as the notebook shows it; `folded` is the line that opens a folded one."""

    def __init__(self, data: DataFrame, measured: Sequence[str] = (), folded: str = "") -> None:
        self.data = data
        self.measured = tuple(measured)
        self.folded = folded

    def _repr_html_(self) -> str:
        numeric = [dtype.kind in "iuf" for dtype in self.data.dtypes]
        align = ["right" if number else "left" for number in numeric]
        marks = [' class="measured"' if column in self.measured else "" for column in self.data.columns]
        head = "".join(
            _CELL.format(tag="th", align=a, mark="", text=escape(str(column)))
            for a, column in zip(align, self.data.columns, strict=True)
        )
        rows = [
            "".join(
                _CELL.format(tag="td", align=a, mark=mark, text=escape(cell(value)))
                for a, mark, value in zip(align, marks, row, strict=True)
            )
            for row in self.data.itertuples(index=False, name=None)
        ]
        body = "\n".join(f"<tr>{row}</tr>" for row in rows)
        table = f"<table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table>"
        return f"<details><summary>{escape(self.folded)}</summary>\n{table}\n</details>" if self.folded else table

    def __repr__(self) -> str:
        stable = self.data.drop(columns=[c for c in self.data.columns if c in self.measured])
        columns = [[str(name), *map(cell, stable[name])] for name in stable.columns]
        widths = [max(map(len, column)) for column in columns]
        lines = zip(*columns, strict=True)
        return "\n".join(
            "  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip() for line in lines
        )


def table(data: DataFrame, measured: Sequence[str] = (), folded: str = "") -> Table:
    """A table of any DataFrame: services, pods, EndpointSlices, requests. `measured` columns vary from run to run.

    folded  a line of text: the table is folded away under it
    """
    return Table(data, measured, folded)


def cell(value: object) -> str:
    """One value as text: empty for None and NaN, fractions to four digits or one decimal, lists joined by commas."""
    if isinstance(value, float):
        if math.isnan(value):
            return ""
        if value.is_integer():
            return str(int(value))
        return f"{value:.4g}" if abs(value) < 1000 else f"{value:.1f}"
    if isinstance(value, list | tuple | set | frozenset):
        items = sorted(value, key=str) if isinstance(value, set | frozenset) else value
        return ",".join(map(cell, items))
    if value is None or (not isinstance(value, str) and str(value) in ("<NA>", "NaT")):
        return ""
    return str(value)
