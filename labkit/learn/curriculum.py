"""Everything that the course demonstrates: 287 points, most of them in a tree of 9 branches and their groups.

Beside the tree stand points that look across it: flows, comparisons, layers of security, guidelines. Their ids begin
with their kind (`flow/…`, `compare/…`), and their branch may be one of the tree's or one of their own.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import msgspec

from labkit.errors import NotFound


class Point(msgspec.Struct, frozen=True):
    """One point to be demonstrated. `kind` is leaf for a point of the tree: then `id` is its way there."""

    id: str
    branch: str
    kind: str
    title: str


class Group(msgspec.Struct, frozen=True):
    """A branch or a group below one."""

    id: str
    title: str

    @property
    def name(self) -> str:
        """The title without what stands in brackets behind it."""
        return self.title.split(" (")[0]


class Curriculum(msgspec.Struct, frozen=True):
    title: str
    groups: tuple[Group, ...]
    items: tuple[Point, ...]

    def below(self, group: str) -> tuple[Group, ...]:
        """The groups directly below one; below "" the branches."""
        return tuple(g for g in self.groups if g.id.rpartition("/")[0] == group)

    def points(self, group: str) -> tuple[Point, ...]:
        """The points directly in a group of the tree, or in a branch that stands beside it."""
        beside = group not in {g.id for g in self.groups}
        return tuple(p for p in self.items if (p.branch if beside else p.id.rpartition("/")[0]) == group)


@cache
def curriculum() -> Curriculum:
    """The whole tree, read once."""
    return msgspec.json.decode(Path(__file__).with_name("curriculum.json").read_bytes(), type=Curriculum)


def point(point_id: str) -> Point:
    """The point with this id. Raises `NotFound`, with the nearest id, where there is none."""
    known = {p.id: p for p in curriculum().items}
    if point_id not in known:
        raise NotFound(f"the curriculum has no point {point_id!r}{nearest(point_id, known)}", point=point_id)
    return known[point_id]


def nearest(name: str, known: Iterable[str]) -> str:
    """`; did you mean "x"?`, or nothing where no known name is near."""
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.4)
    return f"; did you mean {near[0]!r}?" if near else ""
