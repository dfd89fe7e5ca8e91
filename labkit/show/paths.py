"""The picture of a packet's way: there from left to right, back below it from right to left."""

from __future__ import annotations

from typing import TYPE_CHECKING

from labkit.net.path import PacketPath
from labkit.show.picture import Picture
from labkit.show.story import Story, tell

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame

FACTS = ("step", "way", "place", "interface", "direction", "src", "dst", "what happened")
LONG = 8  # steps; a longer table is folded away below the picture
RULES = ("place", "table", "chain", "number", "rule")


class PathPicture(Picture):
    """A drawn `PacketPath`; `facts` has one row per hop with the columns FACTS, `rules` what the kernel evaluated."""

    def __init__(self, path: PacketPath) -> None:
        self.path = path
        self.story = tell(path)
        super().__init__(self.story.title, _facts(self.story))
        if len(self.facts) > LONG:
            self.folded = f"the same as a table: {len(self.facts)} steps"

    @property
    def rules(self) -> DataFrame:
        """Every rule that the kernel evaluated for the packet, in order, with the columns RULES."""
        from pandas import DataFrame

        rows = [(hit.place, hit.table, hit.chain, hit.number, hit.text) for hit in self.path.rules]
        return DataFrame(rows, columns=list(RULES))

    def draw(self) -> Figure:
        from labkit.show import path_drawing

        return path_drawing.draw(self.story)


def path(path: PacketPath) -> PathPicture:
    """Draw the way of one request's first packet and of the first reply, with every rewrite and its rule."""
    return PathPicture(path)


def _facts(story: Story) -> DataFrame:
    from pandas import DataFrame

    rows = [
        (number, step.way, step.hop.place, step.hop.interface, step.hop.direction, step.src, step.dst, step.what)
        for number, step in enumerate(story.request + story.reply, start=1)
    ]
    return DataFrame(rows, columns=list(FACTS))
