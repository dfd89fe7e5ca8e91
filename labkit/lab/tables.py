"""API objects as data frames: the columns and words of `kubectl get -o wide`, as the API server computes them.

Three differences, so that a notebook reads well and a second run gives the same: no ages, numbers are numbers, and
lists of addresses are written out in order. Pure: an object in, a row out.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from html import escape
from typing import Any

from labkit.api.resources import Resource
from labkit.apiserver.tables import table
from labkit.apiserver.tables.columns import Column, View

Raw = dict[str, Any]

TIMES = {"Age", "Created At", "Duration", "First Seen", "Last Seen", "Last Schedule"}
SELDOM = {"Nominated Node", "Readiness Gates"}
VIEW = View(now=0, whole=True)
MOST = 100  # rows that are shown: a page with thousands would not keep up
_TABLE = "border-collapse:collapse;line-height:1.5;font-family:var(--jp-code-font-family,monospace)"
_CELL = "text-align:left;white-space:nowrap;padding:1px 14px 1px 4px"


class Layout:
    """How objects of a resource are listed: NAMESPACE first where there are several, `labels` last, as with `-L`.

    columns  a custom resource's additionalPrinterColumns
    """

    def __init__(
        self, resource: Resource, with_namespace: bool, labels: Sequence[str] = (), columns: Sequence[Raw] = ()
    ) -> None:
        self.resource = resource
        self._with_namespace = with_namespace
        self._labels = tuple(labels)
        self._printer = table.printer(resource, columns)

    @cached_property
    def header(self) -> list[str]:
        """The names of the columns."""
        names = [column.name.upper() for column in self._printer.columns if _steady(column)]
        return ["NAMESPACE"] * self._with_namespace + names + [key.rpartition("/")[2].upper() for key in self._labels]

    def row(self, o: Raw) -> list[object]:
        """The cells of an object."""
        meta = o["metadata"]
        given = meta.get("labels") or {}
        cells = zip(self._printer.columns, self._printer.cells(o, VIEW), strict=True)
        return [
            *[meta.get("namespace", "")] * self._with_namespace,
            *[_plain(column, value) for column, value in cells if _steady(column)],
            *[given.get(key, "") for key in self._labels],
        ]


def text(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A table as kubectl prints it: columns to the left, three spaces between them."""
    lines = [list(map(str, line)) for line in (header, *rows[:MOST])]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    shown = ["   ".join(c.ljust(width) for c, width in zip(line, widths, strict=True)).rstrip() for line in lines]
    return "\n".join([*shown, *_more(len(rows))])


def html(header: Sequence[str], rows: Sequence[Sequence[object]], styles: Sequence[str] = ()) -> str:
    """The same as HTML. `styles`: CSS for each row."""
    lines = [_line("th", header, "")]
    lines += [_line("td", row, style) for row, style in zip(rows[:MOST], styles or [""] * len(rows), strict=False)]
    lines += [_line("td", [rest], "") for rest in _more(len(rows))]
    body = "\n".join(lines)
    return f'<div style="overflow-x:auto"><table style="{_TABLE}">\n{body}\n</table></div>'


def _line(tag: str, cells: Sequence[object], style: str) -> str:
    inner = "".join(f'<{tag} style="{_CELL}">{escape(str(cell))}</{tag}>' for cell in cells)
    return f'<tr style="{style}">{inner}</tr>'


def _more(count: int) -> list[str]:
    return [f"… and {count - MOST} more"] if count > MOST else []


def _steady(column: Column) -> bool:
    """Whether it says the same in a second run, and something in most of them."""
    return column.type != "date" and column.name not in TIMES | SELDOM


def _plain(column: Column, value: Any) -> object:
    """The value without the time in "2 (5m ago)"; nothing for what a custom column does not find."""
    if column.name == "Restarts" and isinstance(value, str):
        return int(value.partition(" ")[0])
    return "" if value is None else value
