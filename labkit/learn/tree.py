"""A small picture of where we are in the curriculum: the branches in one strip, the way to the current group opened."""

from __future__ import annotations

import io
import textwrap
from typing import TYPE_CHECKING, Any

from labkit.errors import NotFound
from labkit.learn.curriculum import Curriculum, Group, Point, curriculum, nearest

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_WIDTH, _DPI, _SHOWN_PIXELS = 9.0, 144, 900
_MARGIN, _GAP = 0.08, 0.06
_LEAST = 4  # a strip of fewer parts is as one of so many, so that they are not wider than those above
_CELL, _LINE, _POINT_ROW = 0.46, 0.13, 0.17
_SIZE, _LETTERS_PER_INCH = 7, 16  # ordinary text of this size
_HERE, _FRAME, _INK, _FAINT = "#0072B2", "#B8B8B8", "#1A1A1A", "#6E6E6E"


class Tree:
    """The picture: one strip per level on the way to `here`, then the points of `here` itself."""

    def __init__(self, here: str) -> None:
        tree = curriculum()
        group = _group(tree, here)
        parts = group.split("/")
        groups = {g.id for g in tree.groups}
        self.way = tuple("/".join(parts[: i + 1]) for i in range(len(parts))) if group in groups else ()
        self.strips = [tree.below(name) for name in ("", *self.way) if tree.below(name)]
        self.points = tree.points(group) if group else ()

    def __repr__(self) -> str:
        """The way in words, for pages without pictures and for nbval."""
        names = {group.id: group.name for group in curriculum().groups}
        way = " > ".join(["Kubernetes networking", *(names[group] for group in self.way)])
        return "\n".join([way, *(f"  - {point.title}" for point in self.points)])

    def _repr_mimebundle_(self, **_: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        return {"image/png": self.png(), "text/plain": repr(self)}, {"image/png": {"width": _SHOWN_PIXELS}}

    def png(self) -> bytes:
        """The picture, without a date or a version in it."""
        import matplotlib.style

        buffer = io.BytesIO()
        with matplotlib.style.context("default"):
            self.figure().savefig(buffer, format="png", metadata={"Software": None})
        return buffer.getvalue()

    def figure(self) -> Figure:
        """The matplotlib figure; one unit is one inch."""
        from matplotlib.figure import Figure

        lines = [_lines(point) for point in self.points]
        height = 2 * _MARGIN + len(self.strips) * (_CELL + _GAP) + sum(len(line) for line in lines) * _POINT_ROW
        figure = Figure(figsize=(_WIDTH, height), dpi=_DPI, facecolor="white")
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set_axis_off()
        axes.set_xlim(0, _WIDTH)
        axes.set_ylim(0, height)
        top = height - _MARGIN
        for strip in self.strips:
            self._strip(axes, strip, top)
            top -= _CELL + _GAP
        for line in lines:
            for i, text in enumerate(line):
                axes.text(_MARGIN + 0.05, top - 0.1, ("   " if i else "· ") + text, size=_SIZE, va="center", color=_INK)
                top -= _POINT_ROW
        return figure

    def _strip(self, axes: Axes, strip: tuple[Group, ...], top: float) -> None:
        from matplotlib.patches import FancyBboxPatch

        wide = (_WIDTH - 2 * _MARGIN + _GAP) / max(len(strip), _LEAST) - _GAP
        for i, group in enumerate(strip):
            left, here = _MARGIN + i * (wide + _GAP), group.id in self.way
            face, ink = (_HERE, "white") if here else ("white", _FAINT)
            shape = "round,pad=0,rounding_size=0.05"
            axes.add_patch(
                FancyBboxPatch(
                    (left, top - _CELL), wide, _CELL, shape, facecolor=face, edgecolor=_HERE if here else _FRAME
                )
            )
            rows = textwrap.wrap(group.name, int((wide - 0.04) * _LETTERS_PER_INCH), break_long_words=True)
            for row, text in enumerate(rows):
                y = top - _CELL / 2 + _LINE * ((len(rows) - 1) / 2 - row)
                axes.text(left + wide / 2, y, text, size=_SIZE, color=ink, ha="center", va="center")


def tree(here: str = "") -> Tree:
    """Where we are: `here` is a branch, a group or a point by its id; "" shows the branches alone.

    Raises `NotFound`, with the nearest id, for what the curriculum does not have.
    """
    return Tree(here)


def _group(tree: Curriculum, here: str) -> str:
    """The group or branch that `here` names, or that the point `here` is in."""
    groups = {group.id for group in tree.groups} | {point.branch for point in tree.items} | {""}
    if here in groups:
        return here
    point = next((point for point in tree.items if point.id == here), None)
    if point is None:
        raise NotFound(f"the curriculum has no {here!r}{nearest(here, groups | {p.id for p in tree.items})}", here=here)
    above = here.rpartition("/")[0]
    return above if above in groups else point.branch


def _lines(point: Point) -> list[str]:
    return textwrap.wrap(point.title, int((_WIDTH - 0.4) * _LETTERS_PER_INCH)) or [""]
