"""How a cost grows: one curve for each way of doing it, a point for each size that was measured."""

from __future__ import annotations

from typing import TYPE_CHECKING

from labkit.errors import LabError
from labkit.show import theme
from labkit.show.distributions import listed
from labkit.show.picture import Picture

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from pandas import DataFrame, Series

_HEIGHT = 3.2
_COLOURS = ("service", "pod", "node", "router", "outside")
LEVEL = 1.1  # a curve whose last step is smaller than this factor has levelled off
CHANCE = 1.25  # a measured curve all within this factor stays as it is


class CurvesPicture(Picture):
    """Curves of `y` over `x`, one for each value of `by`; `facts` has a column for each, a row for each x."""

    def __init__(self, data: DataFrame, x: str, y: str, by: str, varies: bool) -> None:
        for name in (x, y, by):
            if name not in data.columns:
                raise LabError(f"the data have no column {name!r}; they have {', '.join(map(str, data.columns))}")
        if data.empty or data.duplicated([x, by]).any():
            raise LabError(f"one value of {y!r} is needed for each {x} and {by}, and at least one")
        self.x, self.y = x, y
        wide = data.pivot(index=x, columns=by, values=y).sort_index()
        self.curves = {str(name): wide[name].dropna() for name in sorted(wide.columns, key=str)}
        facts = wide.reset_index()
        facts.columns = [str(name) for name in facts.columns]
        if varies:
            self.measured = tuple(self.curves)
        super().__init__(self._claim(varies), facts)

    def _claim(self, varies: bool) -> str:
        """What becomes of each curve; the numbers only where they are the same in every run."""
        if varies:
            return self._courses()
        told = []
        for name, curve in self.curves.items():
            level = _levels(curve)
            course = "stays" if curve.nunique() == 1 else "levels off" if level else "grows"
            told.append(f"{name} {course} {'at' if level else 'to'} {curve.iloc[-1]:,.4g} {self.y.split()[0]}")
        return ", ".join(told)

    def _courses(self) -> str:
        """Which of them grow, level off, or stay level but for what chance does."""
        names: dict[tuple[str, str], list[str]] = {("grows", "grow"): [], ("levels off", "level off"): []}
        level = names["stays level", "stay level"] = []
        for name, curve in self.curves.items():
            off = names["levels off", "level off"] if _levels(curve) else names["grows", "grow"]
            (level if curve.max() <= CHANCE * curve.min() else off).append(name)
        return "; ".join(f"{listed(some)} {many if some[1:] else one}" for (one, many), some in names.items() if some)

    def draw(self) -> Figure:
        titles = theme.title_lines(self.title)
        height = _HEIGHT + 0.24 * len(titles)
        figure, cover = theme.canvas(height)
        top = theme.draw_title(cover, titles, height)
        theme.write(cover, theme.MARGIN, top - 0.06, self.y, colour=theme.FAINT)
        label = max(theme.measure(name, theme.BODY) for name in self.curves) + 0.3
        left, bottom = 0.75, 0.5
        box = (left, bottom, theme.WIDTH - left - label, top - 0.25 - bottom)
        axes = figure.add_axes((box[0] / theme.WIDTH, box[1] / height, box[2] / theme.WIDTH, box[3] / height))
        self._axes(axes)
        ends = self._ends(box[3])
        for i, (name, curve) in enumerate(self.curves.items()):
            colour = theme.LAYER[_COLOURS[i % len(_COLOURS)]]
            axes.plot(list(curve.index), list(curve), "o-", color=colour, linewidth=1.8, markersize=4.5, clip_on=False)
            theme.write(
                cover, box[0] + box[2] + 0.12, bottom + ends[name], name, size=theme.BODY, colour=colour, bold=True
            )
        return figure

    def _axes(self, axes: Axes) -> None:
        most = max(float(curve.max()) for curve in self.curves.values())
        widest = max(float(curve.index.max()) for curve in self.curves.values())
        axes.set_xlim(0, widest or 1)
        axes.set_ylim(0, 1.05 * most or 1)
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(lambda value, _: f"{value:,g}")
        axes.tick_params(labelsize=theme.SMALL, colors=theme.FAINT)
        axes.grid(axis="y", color=theme.LINE, linewidth=0.4)
        axes.set_xlabel(self.x, size=theme.SMALL, color=theme.FAINT, labelpad=2)

    def _ends(self, height: float) -> dict[str, float]:
        """Where each name stands, in inches above the axis: at its curve's end, pushed apart from the one below."""
        most = 1.05 * max(float(curve.max()) for curve in self.curves.values()) or 1
        at = {name: float(curve.iloc[-1]) / most * height for name, curve in self.curves.items()}
        below = -1.0
        for name in sorted(at, key=lambda n: (at[n], n)):
            below = at[name] = max(at[name], below + 0.17)
        return at


def _levels(curve: Series[float]) -> bool:
    """Whether its last step is a small one."""
    return len(curve) > 1 and bool(curve.iloc[-1] < LEVEL * curve.iloc[-2])


def curves(data: DataFrame, x: str, y: str, by: str, varies: bool = False) -> CurvesPicture:
    """Draw `y` over `x`, a curve for each value of `by`; one row of `data` for each point.

    y       its name begins with its unit: "kB sent for one change", "ms to connect"
    varies  chance or the machine moves the values: nbval does not compare them, the title tells only their course
    Raises `LabError` for a column that is not there, for two values of one point, and for none at all.
    """
    return CurvesPicture(data, x, y, by, varies)
