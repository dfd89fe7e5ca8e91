"""What a live view shows: the rows of a kind, and which of them have just come, changed or gone. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any, Literal

import msgspec

from labkit.lab import tables
from labkit.lab.tables import Layout

Raw = dict[str, Any]
Place = tuple[str, str]
Change = Literal["new", "changed", "gone"]

FADE = 2.0  # seconds that a change is marked

_SIGN: dict[Change, str] = {"new": "+", "changed": "~", "gone": "−"}
_STYLE: dict[Change, str] = {  # see-through, for light and dark pages; told apart by the sign, too
    "new": "background:rgba(0,158,115,0.25)",
    "changed": "background:rgba(230,159,0,0.28)",
    "gone": "background:rgba(213,94,0,0.22);text-decoration:line-through",
}


class Mark(msgspec.Struct, frozen=True):
    """What has happened to a row, and the time until which that is shown."""

    change: Change
    until: float


class Watched(msgspec.Struct, frozen=True):
    """The rows by namespace and name; those that have gone stay until their mark fades.

    title    what is listed: "pods in namespace default"
    version  that the next changes follow
    """

    title: str
    header: tuple[str, ...]
    version: int = 0
    rows: Mapping[Place, Sequence[object]] = {}
    marks: Mapping[Place, Mark] = {}

    def after(self, told: Mapping[str, Any], layout: Layout, now: float) -> Watched:
        """The view once the lab's answer to `changes` is known. Only what the table shows is a change of a row."""
        rows, marks = dict(self.rows), dict(self.marks)
        found = {_place(raw): layout.row(raw) for raw in told["objects"]}
        gone = self.rows.keys() - found.keys() if told["whole"] else {(space, name) for space, name in told["gone"]}
        changes: dict[Place, Change] = {place: "gone" for place in gone if place in rows}
        for place, row in found.items():
            here = place in rows and not self._is(place, "gone")
            if not here or rows[place] != row:
                changes[place] = "changed" if here and not self._is(place, "new") else "new"
        rows.update(found)
        if self.version:
            marks.update({place: Mark(change, now + FADE) for place, change in changes.items()})
        return msgspec.structs.replace(self, version=told["version"], rows=rows, marks=marks)

    def faded(self, now: float) -> Watched:
        """The view without the marks whose time is over, and without the rows that had gone."""
        over = {place for place, mark in self.marks.items() if mark.until <= now}
        if not over:
            return self
        gone = {place for place in over if self._is(place, "gone")}
        rows = {place: row for place, row in self.rows.items() if place not in gone}
        marks = {place: mark for place, mark in self.marks.items() if place not in over}
        return msgspec.structs.replace(self, rows=rows, marks=marks)

    def fades(self) -> float | None:
        """When the next mark is over; None where there is none."""
        return min((mark.until for mark in self.marks.values()), default=None)

    def text(self, ended: str) -> str:
        """As kubectl prints it, without what has gone. `ended`: why it is no longer followed; empty while it is."""
        there = [row for place, row in self._sorted() if not self._is(place, "gone")]
        shown = tables.text(self.header, there) if there else f"no {self.title}"
        return f"{shown}\n({ended})" if ended else shown

    def html(self, ended: str) -> str:
        """The same as a table, with the marks."""
        there = self._sorted()
        count = sum(not self._is(place, "gone") for place, _ in there)
        state = f"○ {escape(ended)}" if ended else "● live"
        marks = [self.marks.get(place) for place, _ in there]
        rows = [(_SIGN[mark.change] if mark else "\u00a0", *row) for (_, row), mark in zip(there, marks, strict=True)]
        styles = [_STYLE[mark.change] if mark else "" for mark in marks]
        table = tables.html(("", *self.header), rows, styles)
        return f"<b>{escape(self.title)}</b>: {count} &nbsp;<i>{state}</i>\n{table}"

    def _sorted(self) -> list[tuple[Place, Sequence[object]]]:
        return sorted(self.rows.items(), key=lambda item: item[0])

    def _is(self, place: Place, change: Change) -> bool:
        """Whether this is what a row is marked with."""
        return place in self.marks and self.marks[place].change == change


def titled(layout: Layout, namespace: str | None) -> str:
    """What is listed, in words."""
    resource = layout.resource
    if not resource.namespaced:
        return resource.plural
    return f"{resource.plural} in namespace {namespace}" if namespace else f"{resource.plural} in all namespaces"


def _place(raw: Raw) -> Place:
    return raw["metadata"].get("namespace", ""), raw["metadata"]["name"]
