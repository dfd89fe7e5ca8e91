"""How requests were shared out: the observed share of each pod beside the expected one, and what chance would allow.

The number of requests that one of them gets, of n requests each going there with probability p, is binomial: the band
holds 99 % of what chance does to one of them. Whether all of them together fit is Pearson's chi-square test.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING

from labkit.errors import LabError
from labkit.show import theme
from labkit.show.picture import Picture

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from pandas import DataFrame

UNLIKELY = 0.0001  # below this p the title says "not": one fair run in ten thousand is called unfair
_BAND = 0.99
_ROW = 0.34


class DistributionPicture(Picture):
    """Shares by `by`; `facts` has one row each: `by`, expected, low, high (the band, in requests), observed, share.

    expected  share by name, adding up to 1
    band      lowest and highest number of requests by name that chance gives in 99 % of runs
    p_value   of the chi-square test; None with fewer than two possible names or no request
    failed    rows without an answer
    """

    measured = ("observed", "share")

    def __init__(self, hits: DataFrame, by: str, expected: Mapping[str, float] | None) -> None:
        from pandas import DataFrame

        if by not in hits.columns:
            raise LabError(f"the requests have no column {by!r}; they have {', '.join(map(str, hits.columns))}")
        answered = hits[hits[by].notna() & (hits[by] != "")]
        self.by = by
        self.failed = len(hits) - len(answered)
        self.total = len(answered)
        counts = {str(name): int(n) for name, n in answered[by].value_counts().items()}
        self.expected = _shares(expected, sorted(counts))
        names = sorted({*self.expected, *counts})
        self.observed = {name: counts.get(name, 0) for name in names}
        self.band = {name: _binomial_band(self.total, self.expected.get(name, 0.0)) for name in names}
        rows = [
            (name, self.expected.get(name, 0.0), *self.band[name], self.observed[name], self.share(name))
            for name in names
        ]
        facts = DataFrame(rows, columns=[by, "expected", "low", "high", "observed", "share"])
        self._even = expected is None
        super().__init__(self._claim(names), facts)

    def share(self, name: str) -> float:
        """Observed share of the answered requests."""
        return self.observed[name] / self.total if self.total else 0.0

    @cached_property
    def p_value(self) -> float | None:
        from scipy.special import chdtrc

        possible = [name for name in self.observed if self.expected.get(name, 0.0) > 0]
        if not self.total:
            return None
        if any(n for name, n in self.observed.items() if name not in possible):
            return 0.0
        if len(possible) < 2:
            return None
        wanted = {name: self.total * self.expected[name] for name in possible}
        square = sum((self.observed[name] - wanted[name]) ** 2 / wanted[name] for name in possible)
        return float(chdtrc(len(possible) - 1, square))

    def _claim(self, names: list[str]) -> str:
        if not self.total:
            return "No request was answered" if self.failed else "No requests to show"
        failed = f", {self.failed:,} more failed" if self.failed else ""
        if self.p_value is None:
            return f"{names[0]} answered {'all ' if self.total > 1 else ''}{_requests(self.total)}{failed}"
        how = "evenly" if self._even else "as expected"
        if self.p_value >= UNLIKELY:
            return f"{listed(names)} share {_requests(self.total)} {how}{failed}"
        return f"{_requests(self.total)} are not shared {how}: {self._farthest(names)}{failed}"

    def _farthest(self, names: list[str]) -> str:
        """The name whose observed share is the farthest from its expected one, and how that looks."""
        name = max(names, key=lambda n: abs(self.share(n) - self.expected.get(n, 0.0)))
        return f"{name} got {self.share(name):.0%} instead of {self.expected.get(name, 0.0):.0%}"

    def draw(self) -> Figure:
        titles = theme.title_lines(self.title)
        rows = max(len(self.observed), 1) if self.total else 0
        height = (0.95 if rows else 0.5) + 0.24 * len(titles) + _ROW * rows
        figure, cover = theme.canvas(height)
        top = theme.draw_title(cover, titles, height)
        theme.write(cover, theme.MARGIN, 0.16, self._caption(), colour=theme.FAINT)
        if self.total:
            left = min(3.2, 0.32 + max(theme.measure(name, theme.BODY) for name in self.observed))
            right = theme.WIDTH - 1.35
            box = (left / theme.WIDTH, 0.62 / height, (right - left) / theme.WIDTH, (top - 0.08 - 0.62) / height)
            self._bars(figure.add_axes(box), left)
        return figure

    def _bars(self, axes: Axes, left: float) -> None:
        colour = theme.LAYER["node" if self.by in ("node", "zone") else "pod"]
        largest = max(max(self.share(n), self.band[n][1] / self.total) for n in self.observed)
        axes.set_xlim(0, largest * 1.04)
        axes.set_ylim(len(self.observed) - 0.5, -0.5)
        axes.set_yticks([])
        for side in ("top", "right", "left"):
            axes.spines[side].set_visible(False)
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:.0%}" if largest > 0.1 else f"{value:.1%}")
        axes.tick_params(labelsize=theme.SMALL, colors=theme.FAINT)
        axes.set_xlabel("share of the answered requests", size=theme.SMALL, color=theme.FAINT, labelpad=1)
        for row, name in enumerate(self.observed):
            low, high = (n / self.total for n in self.band[name])
            axes.barh(row, self.share(name), height=0.55, color=theme.tint(colour, 0.75))
            axes.fill_betweenx([row - 0.4, row + 0.4], low, high, color=theme.INK, alpha=0.16, linewidth=0)
            expected = self.expected.get(name, 0.0)
            axes.plot([expected] * 2, [row - 0.4, row + 0.4], color=theme.INK, linewidth=1.4)
            at = axes.get_yaxis_transform()
            label = theme.shorten(name, left - 0.3, theme.BODY)
            axes.text(-0.015, row, label, transform=at, size=theme.BODY, ha="right", va="center", parse_math=False)
            value = f"{self.share(name):.1%}  ({self.observed[name]:,})"
            axes.text(1.01, row, value, transform=at, size=theme.BODY, ha="left", va="center")

    def _caption(self) -> str:
        if not self.total:
            return f"{_requests(self.failed)} failed." if self.failed else "The table of requests is empty."
        parts = ["Line: expected share; grey band: where chance alone leaves one of them in 99 % of runs"]
        if self.p_value is not None:
            p = "p < 0.0001" if self.p_value < UNLIKELY else f"p = {self.p_value:.2g}"
            parts.append(f"chi-square: {p}")
        if self.failed:
            parts.append(f"{self.failed:,} of {self.total + self.failed:,} failed")
        return "; ".join(parts) + "."


def distribution(hits: DataFrame, by: str = "pod", expected: Mapping[str, float] | None = None) -> DistributionPicture:
    """Draw how requests were shared out over the values of the column `by`; rows without a value count as failed.

    expected  weight by name, in any unit; None: the same for each name that answered. Give it wherever one of them may
              have got nothing at all: what never answered is not in the table.
    Raises `LabError` for an unknown column and for weights that are negative or all zero.
    """
    return DistributionPicture(hits, by, expected)


def _shares(weights: Mapping[str, float] | None, names: list[str]) -> dict[str, float]:
    if weights is None:
        return {name: 1 / len(names) for name in names}
    total = sum(weights.values())
    if min(weights.values(), default=0) < 0 or total <= 0:
        raise LabError(f"expected weights must not be negative and not all zero: {dict(weights)}")
    return {str(name): weight / total for name, weight in sorted(weights.items())}


def _binomial_band(n: int, p: float) -> tuple[int, int]:
    """The middle 99 % of a binomial: smallest k with cdf(k) >= 0.5 %, and with cdf(k) >= 99.5 %."""
    from scipy.special import bdtrik

    if n == 0 or p <= 0:
        return (0, 0)
    if p >= 1:
        return (n, n)
    tail = (1 - _BAND) / 2
    # bdtrik solves cdf(k) = q for a real k; below cdf(0) it has no solution and gives 0 or NaN.
    low, high = (float(bdtrik(q, n, p)) for q in (tail, 1 - tail))
    return tuple(0 if math.isnan(k) else min(n, math.ceil(k - 1e-9)) for k in (low, high))  # type: ignore[return-value]


def listed(names: list[str]) -> str:
    """`web-1, web-2 and web-3`; many are told by the first and the last."""
    if len(names) > 4:
        return f"{names[0]} to {names[-1]} ({len(names)} in all)"
    if len(names) == 1:
        return names[0]
    return f"{', '.join(names[:-1])} and {names[-1]}"


def _requests(number: int) -> str:
    return "1 request" if number == 1 else f"{number:,} requests"
