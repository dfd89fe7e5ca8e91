"""One look for every picture: a colour per layer, sizes, and the ruler that keeps text inside its place.

Colours are Okabe and Ito's set, told apart by colour-blind readers. Pictures are 9 inches wide, shown at 900 CSS
pixels and stored at 144 dots per inch, on a white ground of their own: the same on light and dark pages.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LAYER = {
    "pod": "#0072B2",
    "node": "#009E73",
    "switch": "#B07800",
    "router": "#B07800",
    "service": "#D55E00",  # Services and the NAT that stands for them: the place to look at
    "outside": "#5F5F5F",
}
INK = "#1A1A1A"
FAINT = "#6E6E6E"
LINE = "#B8B8B8"

WIDTH = 9.0
DPI = 144
SHOWN_PIXELS = 900

TITLE, BODY, SMALL = 12.5, 8.5, 7.5
MARGIN = 0.12

_STYLE = {"font.family": "DejaVu Sans", "text.color": INK, "axes.edgecolor": LINE, "axes.unicode_minus": False}


def tint(colour: str, strength: float = 0.1) -> tuple[float, float, float]:
    """The colour thinned with white; `strength` 0 is white, 1 the colour itself."""
    red, green, blue = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    return (1 - strength * (1 - red), 1 - strength * (1 - green), 1 - strength * (1 - blue))


@contextmanager
def style() -> Iterator[None]:
    """The lab's settings for the block, whatever the notebook has set; the notebook's come back afterwards."""
    import matplotlib.style

    with matplotlib.style.context(["default", _STYLE]):
        yield


def canvas(height: float, width: float = WIDTH) -> tuple[Figure, Axes]:
    """An empty white figure and axes that cover it; one unit is one inch, y grows upwards."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=DPI, facecolor="white")
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.set_xlim(0, width)
    axes.set_ylim(0, height)
    return figure, axes


def write(
    axes: Axes,
    x: float,
    y: float,
    text: str,
    *,
    size: float = SMALL,
    colour: str = INK,
    bold: bool = False,
    ha: Literal["left", "center", "right"] = "left",
    va: Literal["top", "center"] = "center",
) -> None:
    """One line of text in front of everything else, taken literally: a `$` in it is a dollar sign."""
    weight = "bold" if bold else "normal"
    axes.text(x, y, text, size=size, color=colour, weight=weight, ha=ha, va=va, zorder=6, parse_math=False)


def box(axes: Axes, left: float, bottom: float, width: float, height: float, colour: str) -> None:
    """A place: rounded, its layer's colour thinned inside."""
    from matplotlib.patches import FancyBboxPatch

    shape = "round,pad=0,rounding_size=0.06"
    patch = FancyBboxPatch((left, bottom), width, height, shape, facecolor=tint(colour), edgecolor=colour, zorder=3)
    axes.add_patch(patch)


def measure(text: str, size: float, bold: bool = False) -> float:
    """Width of one line of text in inches, 2 % of slack for hinting included."""
    return 1.02 * size / 72 * sum(_advance(letter, bold) for letter in text)


@lru_cache(maxsize=1024)
def _advance(letter: str, bold: bool) -> float:
    """Width of a glyph for a font size of 1."""
    from matplotlib.font_manager import FontProperties, findfont, get_font
    from matplotlib.ft2font import LoadFlags

    font = get_font(findfont(FontProperties(family="DejaVu Sans", weight="bold" if bold else "normal")))
    font.set_size(64, 72)
    return font.load_char(ord(letter), LoadFlags.NO_HINTING).linearHoriAdvance / 65536 / 64


def wrap(text: str, width: float, size: float, bold: bool = False, breaks: str = " ") -> list[str]:
    """Lines that fit into `width` inches, broken after one of `breaks`, or anywhere in a piece that is too long."""
    pieces = [""]
    for letter in text:
        if measure((pieces[-1] + letter).rstrip(), size, bold) > width:
            pieces.append("")
        pieces[-1] += letter
        if letter in breaks:
            pieces.append("")
    lines = [""]
    for piece in pieces:
        if lines[-1] and measure((lines[-1] + piece).rstrip(), size, bold) > width:
            lines.append("")
        lines[-1] += piece
    return [line.strip() for line in lines]


def shorten(text: str, width: float, size: float, bold: bool = False) -> str:
    """The text, or its two ends around an ellipsis where it is wider than `width` inches."""
    if measure(text, size, bold) <= width:
        return text
    for kept in range(len(text) - 1, 1, -1):
        short = text[: kept // 2] + "…" + text[len(text) - (kept - kept // 2) :]
        if measure(short, size, bold) <= width:
            return short
    return "…"


def title_lines(title: str, width: float = WIDTH) -> list[str]:
    """The title in as many lines as it needs."""
    return wrap(title, width - 2 * MARGIN - 0.1, TITLE, bold=True)


def draw_title(axes: Axes, lines: list[str], height: float) -> float:
    """Write the title into the top left corner; returns the y below it."""
    for i, line in enumerate(lines):
        write(axes, MARGIN, height - 0.14 - 0.24 * i, line, size=TITLE, bold=True, va="top")
    return height - 0.22 - 0.24 * len(lines)
