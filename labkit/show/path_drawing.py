"""Draw a laid-out path, from the top down:

- the rule behind each change of the request
- its addresses, one bracket for each run of hops that have the same
- a box per place: the way there, the interfaces, the place's name, the way back
- the reply's addresses, the rules behind its changes, and the outcome in words
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from labkit.show import theme
from labkit.show.path_layout import Layout, Stretch, lay_out
from labkit.show.story import Change, Story, Way

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_ROW = 0.2  # one line of small text
_ADDRESSES = 0.44  # a bracket and two lines of addresses
_INSIDE = 0.2  # from a way to the edge of the boxes


@dataclass(frozen=True)
class Levels:
    """Heights of the picture's rows, in inches from its lower edge."""

    height: float
    box_top: float
    request: float
    names: float
    places: float
    reply: float
    box_bottom: float


def draw(story: Story) -> Figure:
    """The figure of a story; one without any hop is words alone."""
    if not story.request and not story.reply:
        return _words(story)
    layout = lay_out(story)
    titles = theme.title_lines(story.title, layout.width)
    levels = _levels(story, layout, len(titles))
    figure, axes = theme.canvas(levels.height, layout.width)
    theme.draw_title(axes, titles, levels.height)
    _boxes(axes, layout, levels)
    _interfaces(axes, layout, levels)
    for way in layout.stretches:
        _way(axes, layout, levels, way)
        for stretch in layout.stretches[way]:
            _addresses(axes, layout, levels, way, stretch)
        _changes(axes, story, layout, levels, way)
    if story.request and not story.reply:
        _lost(axes, story, layout, levels)
    _notes(axes, story, layout.width)
    return figure


def _words(story: Story) -> Figure:
    titles = theme.title_lines(story.title)
    height = 0.5 + 0.24 * len(titles) + _ROW * len(_note_lines(story, theme.WIDTH))
    figure, axes = theme.canvas(height)
    theme.draw_title(axes, titles, height)
    _notes(axes, story, theme.WIDTH)
    return figure


def _note_lines(story: Story, width: float) -> list[str]:
    return theme.wrap("; ".join(story.notes) + ".", width - 2 * theme.MARGIN, theme.BODY)


def _notes(axes: Axes, story: Story, width: float) -> None:
    """The outcome in words, at the foot of the picture."""
    for i, line in enumerate(reversed(_note_lines(story, width))):
        theme.write(axes, theme.MARGIN, 0.18 + _ROW * i, line, size=theme.BODY)


def _levels(story: Story, layout: Layout, titles: int) -> Levels:
    """Rows from the bottom up; a way without hops takes no room."""
    name_rows = max(len(box.name) for box in layout.boxes) + 1
    notes = 0.18 + _ROW * len(_note_lines(story, layout.width))
    box_bottom = notes + (_ADDRESSES + _ROW * len(story.changes["reply"]) if story.reply else 0)
    reply = box_bottom + (_INSIDE if story.reply else -0.05)
    places = reply + 0.16 + 0.16 * name_rows
    names = places + 0.1 + (0.32 if layout.staggered else 0.17)
    request = names + 0.08
    box_top = request + _INSIDE
    above = _ADDRESSES + _ROW * len(story.changes["request"]) if story.request else 0
    height = box_top + above + 0.34 + 0.24 * titles
    return Levels(height, box_top, request, names, places, reply, box_bottom)


def _boxes(axes: Axes, layout: Layout, levels: Levels) -> None:
    for b, box in enumerate(layout.boxes):
        left, right = layout.x["left", b], layout.x["right", b]
        colour = theme.LAYER[box.kind]
        theme.box(axes, left, levels.box_bottom, right - left, levels.box_top - levels.box_bottom, colour)
        middle, y = (left + right) / 2, levels.places
        for line in box.name:
            theme.write(axes, middle, y, line, size=theme.BODY, colour=colour, bold=True, ha="center", va="top")
            y -= 0.16
        theme.write(axes, middle, y, box.kind, colour=colour, ha="center", va="top")


def _interfaces(axes: Axes, layout: Layout, levels: Levels) -> None:
    for c, column in enumerate(layout.columns):
        y = levels.names - (0.15 if layout.staggered and c % 2 else 0)
        theme.write(axes, layout.x["col", c], y, column.interface, ha="center", va="top")


def _way(axes: Axes, layout: Layout, levels: Levels, way: Way) -> None:
    """The line with its dots; an arrow wherever the packet goes over to another place."""
    hops = sorted((hop, c) for c, column in enumerate(layout.columns) if (hop := getattr(column, way)) is not None)
    y = levels.request if way == "request" else levels.reply
    for (_, a), (_, b) in pairwise(hops):
        crossing = layout.columns[a].place != layout.columns[b].place
        axes.annotate(
            "", (layout.x["col", b], y), (layout.x["col", a], y),
            arrowprops={
                "arrowstyle": "-|>" if crossing else "-", "color": theme.INK, "linewidth": 1.2,
                "shrinkA": 0, "shrinkB": 3.5 if crossing else 0, "mutation_scale": 9,
            }, zorder=4,
        )  # fmt: skip
    for _, c in hops:
        colour = theme.LAYER[layout.columns[c].kind]
        axes.plot(layout.x["col", c], y, "o", color=colour, markersize=6, markeredgecolor="white", zorder=5)
    arrow = "→" if way == "request" else "←"
    theme.write(axes, theme.MARGIN, y, f"{way} {arrow}", size=theme.BODY, bold=True)


def _addresses(axes: Axes, layout: Layout, levels: Levels, way: Way, stretch: Stretch) -> None:
    start, end = layout.x[stretch.start] + 0.06, layout.x[stretch.end] - 0.06
    y, up = (levels.box_top, 1) if way == "request" else (levels.box_bottom, -1)
    axes.plot([start, end], [y + up * 0.08] * 2, color=theme.FAINT, linewidth=1.5, solid_capstyle="butt")
    rows = (0.34, 0.18) if way == "request" else (-0.18, -0.34)
    for row, line, changed in zip(rows, stretch.lines, stretch.changed, strict=True):
        colour = theme.LAYER["service"] if changed else theme.INK
        theme.write(axes, (start + end) / 2, y + row, line, colour=colour, bold=changed, ha="center")


def _changes(axes: Axes, story: Story, layout: Layout, levels: Levels, way: Way) -> None:
    """A diamond where an address changes, and a line from it to the rule's name outside the boxes."""
    y = levels.request if way == "request" else levels.reply
    total = len(story.changes[way])
    for i, (change, gap) in enumerate(zip(story.changes[way], layout.gaps[way], strict=True)):
        x = layout.x["gap", gap]
        rank = total - i if way == "request" else i + 1
        away = _ADDRESSES + _ROW * rank - 0.06
        row = levels.box_top + away if way == "request" else levels.box_bottom - away
        axes.plot([x, x], [y, row], color=theme.LAYER["service"], linewidth=0.8, zorder=4)
        axes.plot(x, y, "D", color=theme.LAYER["service"], markersize=7, markeredgecolor="white", zorder=5)
        left, right = x - 0.05 - theme.MARGIN, layout.width - x - 0.05 - theme.MARGIN
        label = theme.shorten(_callout(change), max(left, right), theme.SMALL, bold=True)
        if theme.measure(label, theme.SMALL, bold=True) <= right:
            theme.write(axes, x + 0.05, row, label, colour=theme.LAYER["service"], bold=True)
        else:
            theme.write(axes, x - 0.05, row, label, colour=theme.LAYER["service"], bold=True, ha="right")


def _callout(change: Change) -> str:
    ends = [name for name, changed in zip(("source", "destination"), change.ends, strict=True) if changed]
    return f"{' and '.join(ends) or 'port'}: {change.label} on {change.place}"


def _lost(axes: Axes, story: Story, layout: Layout, levels: Levels) -> None:
    """A cross over the last interface at which the unanswered packet was seen."""
    last = next(c for c, column in enumerate(layout.columns) if column.request == len(story.request) - 1)
    axes.plot(layout.x["col", last], levels.request, "X", color=theme.LAYER["service"], markersize=9, zorder=6)
