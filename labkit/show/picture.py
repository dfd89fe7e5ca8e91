"""What every picture of the lab is: a claim, the facts behind it, and the drawing of those facts."""

from __future__ import annotations

import io
from abc import ABC, abstractmethod
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from labkit.show import tables, theme

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame


class Picture(ABC):
    """A picture that a notebook shows as one PNG with the table of the same facts below it.

    title     the claim that the picture makes, in one sentence
    facts     the facts that are drawn, one row each
    measured  columns of `facts` that chance moves from run to run (`tables`)
    folded    the line under which a long table is folded away; empty: it is open

    nbval compares text/plain and text/html, never image/png: so the claim and the table are compared, and a picture may
    come from another build of matplotlib.
    """

    measured: tuple[str, ...] = ()
    folded: str = ""

    def __init__(self, title: str, facts: DataFrame) -> None:
        self.title = title
        self.facts = facts

    @abstractmethod
    def draw(self) -> Figure:
        """A new figure of the facts."""

    @cached_property
    def figure(self) -> Figure:
        """The matplotlib figure, drawn when it is first asked for."""
        with theme.style():
            return self.draw()

    @property
    def table(self) -> tables.Table:
        """The facts as the notebook shows them."""
        return tables.table(self.facts, measured=self.measured, folded=self.folded)

    def png(self) -> bytes:
        """The picture as PNG, without a date or a version in it."""
        return render(self.figure)

    def save(self, path: str | Path) -> None:
        """Write the picture to a file; its ending says the format (png, svg, pdf)."""
        with theme.style():
            self.figure.savefig(Path(path), facecolor="white")

    def __repr__(self) -> str:
        return f"{self.title}\n\n{self.table!r}"

    def _ipython_display_(self) -> None:
        from IPython.display import display

        display(
            {"image/png": self.png(), "text/plain": self.title},
            metadata={"image/png": {"width": theme.SHOWN_PIXELS}},
            raw=True,
        )  # type: ignore[no-untyped-call]
        display(self.table)  # type: ignore[no-untyped-call]


def render(figure: Figure) -> bytes:
    """A figure as PNG bytes: the same bytes for the same figure and the same matplotlib."""
    buffer = io.BytesIO()
    with theme.style():
        figure.savefig(buffer, format="png", facecolor="white", metadata={"Software": None})
    return buffer.getvalue()
