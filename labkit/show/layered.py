"""Draw what stands for what: boxes in columns from left to right, arrows between them.

heads       Service      EndpointSlice       pod
boxes      ┌───────┐     ┌──────────┐ ───> web-1
           │  web  │ ──> │ web-f7xff│ ───> web-2
           └───────┘     └──────────┘
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from labkit.show import theme

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_ROW, _BOX = 0.52, 0.4
_MOST = 2.6  # inches of one box
_SIDE = 0.12  # room at each side of a box's text


@dataclass(frozen=True)
class Box:
    """A box. `row` counts rows of one box from the top; `layer` is a colour of the theme; `faint`: out of service."""

    key: str
    column: int
    row: float
    name: str
    under: str = ""
    layer: str = "service"
    faint: bool = False

    @property
    def wide(self) -> float:
        texts = theme.measure(self.name, theme.BODY, bold=True), theme.measure(self.under, theme.SMALL)
        return min(_MOST, max(texts) + 2 * _SIDE)


@dataclass(frozen=True)
class Edge:
    """An arrow from one box's key to another's; a faint one is not used."""

    start: str
    end: str
    faint: bool = False


def draw(title: str, heads: Sequence[str], boxes: Sequence[Box], edges: Sequence[Edge], caption: str = "") -> Figure:
    """The figure: one column for each head; a column's boxes are as wide as its widest."""
    wide = [max((b.wide for b in boxes if b.column == i), default=0.6) for i in range(len(heads))]
    wide = [max(w, theme.measure(head, theme.SMALL)) for w, head in zip(wide, heads, strict=True)]
    gap = (theme.WIDTH - 2 * theme.MARGIN - 0.2 - sum(wide)) / max(len(heads) - 1, 1)
    if gap < 0.3:  # narrower boxes: their texts are shortened
        wide = [w * (theme.WIDTH - 2 * theme.MARGIN - 0.2 - 0.3 * (len(heads) - 1)) / sum(wide) for w in wide]
        gap = 0.3
    gap = min(gap, 1.6)
    left = [theme.MARGIN + 0.1 + sum(wide[:i]) + gap * i for i in range(len(heads))]

    titles = theme.title_lines(title)
    foot = theme.wrap(caption, theme.WIDTH - 0.3, theme.SMALL) if caption else []
    rows = max((box.row for box in boxes), default=0) + 1
    below = 0.14 + 0.18 * len(foot)
    height = below + rows * _ROW + 0.34 + 0.24 * len(titles) + 0.16
    figure, axes = theme.canvas(height)
    top = theme.draw_title(axes, titles, height) - 0.1
    for i, head in enumerate(heads):
        theme.write(axes, left[i] + wide[i] / 2, top, head, colour=theme.FAINT, ha="center")
    place = {box.key: (left[box.column], top - 0.18 - _ROW * (box.row + 0.5), wide[box.column]) for box in boxes}
    for edge in edges:
        _arrow(axes, edge, place)
    for box in boxes:
        _box(axes, box, *place[box.key])
    for i, line in enumerate(reversed(foot)):
        theme.write(axes, theme.MARGIN, 0.14 + 0.18 * i, line, colour=theme.FAINT)
    return figure


def _box(axes: Axes, box: Box, left: float, middle: float, wide: float) -> None:
    colour = theme.LINE if box.faint else theme.LAYER[box.layer]
    theme.box(axes, left, middle - _BOX / 2, wide, _BOX, colour)
    name = theme.shorten(box.name, wide - 0.1, theme.BODY, bold=True)
    shift = 0.085 if box.under else 0.0
    ink = theme.FAINT if box.faint else colour
    theme.write(axes, left + wide / 2, middle + shift, name, size=theme.BODY, colour=ink, bold=True, ha="center")
    under = theme.shorten(box.under, wide - 0.08, theme.SMALL)
    theme.write(
        axes, left + wide / 2, middle - 0.095, under, ha="center", colour=theme.FAINT if box.faint else theme.INK
    )


def _arrow(axes: Axes, edge: Edge, place: Mapping[str, tuple[float, float, float]]) -> None:
    left, start, wide = place[edge.start]
    right, end, _ = place[edge.end]
    style = {"arrowstyle": "-|>", "color": theme.LINE if edge.faint else theme.INK, "linewidth": 1.1}
    style |= {"linestyle": "dashed" if edge.faint else "solid", "shrinkA": 0, "shrinkB": 0, "mutation_scale": 9}
    axes.annotate("", (right - 0.02, end), (left + wide + 0.02, start), arrowprops=style, zorder=2)
