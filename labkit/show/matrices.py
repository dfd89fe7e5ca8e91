"""Who reached whom: one row for each asker, one column for each answerer, the share of the requests in each cell."""

from __future__ import annotations

from typing import TYPE_CHECKING

from labkit.errors import LabError
from labkit.show import theme
from labkit.show.distributions import listed
from labkit.show.order import natural
from labkit.show.picture import Picture

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from pandas import DataFrame

NOBODY = "no answer"
_ROW, _HEAD = 0.42, 0.36


class MatrixPicture(Picture):
    """Requests by two columns; `facts` has one row per value of `rows`, and a count for each value of `columns`.

    A request without a value in `columns` got no answer: it is counted in a last column, NOBODY.
    """

    def __init__(self, hits: DataFrame, rows: str, columns: str) -> None:
        for name in (rows, columns):
            if name not in hits.columns:
                raise LabError(f"the requests have no column {name!r}; they have {', '.join(map(str, hits.columns))}")
        answer = hits[columns].where(hits[columns].notna() & (hits[columns] != ""), NOBODY)
        counts = hits.groupby([hits[rows], answer]).size().unstack(fill_value=0)
        self.rows, self.columns = rows, columns
        self.names = sorted(str(name) for name in counts.columns if name != NOBODY)
        if NOBODY in counts.columns:
            self.names.append(NOBODY)
        counts = counts.sort_index(key=lambda index: index.map(lambda row: natural(str(row))))
        self.counts = {str(row): {n: int(counts[n][row]) for n in self.names} for row in counts.index}
        self.measured = tuple(self.names)
        facts = counts[self.names].reset_index()
        facts.columns.name = None
        super().__init__(self._claim(), facts)

    def reached(self, row: str) -> list[str]:
        """Whose answers came."""
        return [name for name in self.names if name != NOBODY and self.counts[row][name]]

    def _claim(self) -> str:
        if not self.counts:
            return "No requests to show"
        some = [name for name in self.names if name != NOBODY]
        reached = {row: self.reached(row) for row in self.counts}
        if all(found == some for found in reached.values()) and len(some) > 1:
            return f"Each {self.rows} reaches every {self.columns}"
        if all(len(found) == 1 for found in reached.values()):
            return f"Each {self.rows} reaches one {self.columns}" + (" only" if len(some) > 1 else f": {some[0]}")
        groups: dict[int, list[str]] = {}
        for row, found in reached.items():
            groups.setdefault(len(found), []).append(row)
        told = [
            f"{listed(group)} {_reach(n, len(group), len(some), self.columns)}" for n, group in sorted(groups.items())
        ]
        return "; ".join(told)

    def draw(self) -> Figure:
        titles = theme.title_lines(self.title)
        label = min(2.4, max([theme.measure(r, theme.BODY) for r in [*self.counts, self.rows]], default=0.5) + 0.2)
        wide = min(2.2, (theme.WIDTH - 2 * theme.MARGIN - label) / max(len(self.names), 1))
        height = 0.24 * len(titles) + 0.22 + 0.3 + _HEAD + _ROW * len(self.counts) + 0.14
        figure, axes = theme.canvas(height)
        top = theme.draw_title(axes, titles, height) - 0.06
        left = theme.MARGIN + label
        theme.write(axes, left - 0.1, top - 0.32, self.rows, colour=theme.FAINT, ha="right")
        theme.write(axes, left, top - 0.06, f"{self.columns} that answered, share of the requests", colour=theme.FAINT)
        for i, name in enumerate(self.names):
            text = theme.shorten(name, wide - 0.08, theme.BODY)
            theme.write(axes, left + wide * (i + 0.5), top - 0.32, text, size=theme.BODY, ha="center")
        for j, (row, counts) in enumerate(self.counts.items()):
            y = top - 0.22 - _HEAD - _ROW * (j + 0.5) + 0.1
            theme.write(axes, left - 0.1, y, theme.shorten(row, label - 0.1, theme.BODY), size=theme.BODY, ha="right")
            total = sum(counts.values())
            for i, name in enumerate(self.names):
                self._cell(axes, left + wide * i, y, wide, counts[name] / total, name)
        return figure

    def _cell(self, axes: Axes, left: float, y: float, wide: float, share: float, name: str) -> None:
        from matplotlib.patches import Rectangle

        layer = "outside" if name == NOBODY else "node" if self.columns in ("node", "zone") else "pod"
        face = theme.tint(theme.LAYER[layer], 0.12 + 0.78 * share) if share else "#F6F6F6"
        axes.add_patch(Rectangle((left + 0.02, y - _ROW / 2 + 0.02), wide - 0.04, _ROW - 0.04, color=face, linewidth=0))
        ink = "white" if share > 0.6 else theme.INK if share else theme.LINE
        text = f"{share:.0%}" if share else "–"
        theme.write(axes, left + wide / 2, y, text, size=theme.BODY, colour=ink, ha="center")


def matrix(hits: DataFrame, rows: str, columns: str = "pod") -> MatrixPicture:
    """Draw which value of `columns` answered the requests of each value of `rows`.

    Put the requests of several askers below each other, with a column that says whose they are, and name it as the
    title should: "client", "node asked". Raises `LabError` for a column that is not there.
    """
    return MatrixPicture(hits, rows, columns)


def _reach(number: int, many: int, of: int, what: str) -> str:
    verb = "reach" if many > 1 else "reaches"
    if number == 0:
        return f"{verb} nobody"
    if number == of and of > 1:
        return f"{verb} every {what}"
    each = " each" if many > 1 else ""
    return f"{verb} {number} {what}{'s' if number > 1 else ''}{each}"
