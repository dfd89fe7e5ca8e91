"""Where things stand in the picture of a path: one column per interface crossed, a box per place, all in inches.

Every distance that must be kept ("this label needs so much room between these two marks") is one constraint; the marks
are ordered from left to right, so the narrowest layout that keeps all constraints is a longest path, found in one pass.

| box of a pod | box of a node              | box of a switch | ...
  col            col   gap (NAT)    col       col       col
"""

from __future__ import annotations

from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import pairwise

from labkit.show import theme
from labkit.show.story import Step, Story, Way

Mark = tuple[str, int]  # ("col", n), ("gap", n) just left of column n, ("left", n) and ("right", n) of box n

START = 0.86  # the boxes begin here; the names of the two ways stand left of it
_STEP, _HALF_GAP, _BETWEEN = 0.36, 0.2, 0.18
_WIDEST = 2.4  # how far a short path may be pulled apart


@dataclass(frozen=True)
class Column:
    place: str
    kind: str
    interface: str
    request: int | None
    reply: int | None


@dataclass(frozen=True)
class Box:
    """A place: its columns from `first` to `last`, and its name in lines."""

    name: tuple[str, ...]
    kind: str
    first: int
    last: int


@dataclass(frozen=True)
class Stretch:
    """A run of hops with the same addresses, between two marks; `changed` says which of the two lines is new."""

    start: Mark
    end: Mark
    lines: tuple[str, str]
    changed: tuple[bool, bool]


@dataclass(frozen=True)
class Layout:
    columns: tuple[Column, ...]
    boxes: tuple[Box, ...]
    stretches: dict[Way, tuple[Stretch, ...]]
    gaps: dict[Way, tuple[int, ...]]  # for each change of the story, the column that it stands left of
    x: dict[Mark, float]
    width: float
    staggered: bool


def lay_out(story: Story) -> Layout:
    """The layout of a story that has at least one hop."""
    columns = _columns(story.request, story.reply)
    gaps = {way: _gaps(story, columns, way) for way in _ways(story)}
    changes = {(c, change.place) for way in gaps for c, change in zip(gaps[way], story.changes[way], strict=True)}
    for staggered, name_width in ((False, 1.5), (True, 1.5), (True, 1.1)):
        boxes = _boxes(columns, name_width)
        order = _order(columns, boxes, changes)
        stretches = {way: _stretches(story, way, gaps[way], columns, boxes) for way in gaps}
        room = _room(boxes, [s for way in stretches for s in stretches[way]])
        x = _place(order, room + _names(columns, boxes, staggered))
        if x[order[-1]] + theme.MARGIN <= theme.WIDTH:
            break
    width = max(theme.WIDTH, x[order[-1]] + theme.MARGIN)
    pull = min(_WIDEST, (width - theme.MARGIN - START) / (x[order[-1]] - START))
    x = {mark: START + (at - START) * pull for mark, at in x.items()}
    return Layout(columns, boxes, stretches, gaps, x, width, staggered)


def _ways(story: Story) -> list[Way]:
    return [way for way, steps in (("request", story.request), ("reply", story.reply)) if steps]  # type: ignore[misc]


def _columns(request: tuple[Step, ...], reply: tuple[Step, ...]) -> tuple[Column, ...]:
    """Both ways over one row of columns: what the reply crosses too is shared, what only one crosses stands beside."""
    there = [(s.hop.place, s.hop.interface) for s in request]
    back = [(s.hop.place, s.hop.interface) for s in reversed(reply)]
    columns = []
    for tag, a, a_end, b, b_end in SequenceMatcher(None, there, back, autojunk=False).get_opcodes():
        if tag == "equal":
            columns += [_column(request[a + i], a + i, len(reply) - 1 - b - i) for i in range(a_end - a)]
        else:
            columns += [_column(request[i], i, None) for i in range(a, a_end)]
            columns += [_column(reply[len(reply) - 1 - i], None, len(reply) - 1 - i) for i in range(b, b_end)]
    return tuple(columns)


def _column(step: Step, request: int | None, reply: int | None) -> Column:
    return Column(step.hop.place, step.hop.kind, step.hop.interface, request, reply)


def _boxes(columns: tuple[Column, ...], name_width: float) -> tuple[Box, ...]:
    boxes: list[Box] = []
    for i, column in enumerate(columns):
        if boxes and columns[boxes[-1].last].place == column.place:
            boxes[-1] = Box(boxes[-1].name, column.kind, boxes[-1].first, i)
        else:
            name = theme.wrap(column.place, name_width, theme.BODY, bold=True, breaks="/-")
            boxes.append(Box(tuple(name), column.kind, i, i))
    return tuple(boxes)


def _gaps(story: Story, columns: tuple[Column, ...], way: Way) -> tuple[int, ...]:
    """For each change the column that it stands left of. The reply travels leftwards: right of its hop."""
    at = {hop: c for c, column in enumerate(columns) if (hop := getattr(column, way)) is not None}
    last = len(at) - 1
    if way == "request":
        return tuple(at[change.gap] if change.gap <= last else at[last] + 1 for change in story.changes[way])
    return tuple(at[change.gap] + 1 if change.gap <= last else at[last] for change in story.changes[way])


def _order(columns: tuple[Column, ...], boxes: tuple[Box, ...], changes: set[tuple[int, str]]) -> list[Mark]:
    """All marks from left to right. A change between two boxes stands in the box of the place that made it."""
    at_end = {
        c for c, place in changes if c == len(columns) or (c and columns[c].place != place == columns[c - 1].place)
    }
    before = {c for c, _ in changes} - at_end
    order: list[Mark] = []
    for b, box in enumerate(boxes):
        order.append(("left", b))
        for c in range(box.first, box.last + 1):
            order += [("gap", c), ("col", c)] if c in before else [("col", c)]
        if box.last + 1 in at_end:
            order.append(("gap", box.last + 1))
        order.append(("right", b))
    return order


def _stretches(
    story: Story, way: Way, gaps: tuple[int, ...], columns: tuple[Column, ...], boxes: tuple[Box, ...]
) -> tuple[Stretch, ...]:
    """Runs of equal addresses, listed in the order of travel, their marks always left before right."""
    steps = story.request if way == "request" else story.reply
    runs: list[list[Step]] = [[steps[0]]]
    for before, step in pairwise(steps):
        if (before.src, before.dst) == (step.src, step.dst):
            runs[-1].append(step)
        else:
            runs.append([step])
    at = {getattr(column, way): c for c, column in enumerate(columns)}
    box_of = {c: b for b, box in enumerate(boxes) for c in range(box.first, box.last + 1)}
    gap_at = {change.gap: gap for change, gap in zip(story.changes[way], gaps, strict=True)}
    left, right = ("left", "right") if way == "request" else ("right", "left")
    found: list[Stretch] = []
    done = 0
    for run in runs:
        after = done + len(run)
        begin: Mark = ("gap", gap_at[done]) if done in gap_at else (left, box_of[at[done]])
        finish: Mark = ("gap", gap_at[after]) if after in gap_at else (right, box_of[at[after - 1]])
        start, end = (begin, finish) if way == "request" else (finish, begin)
        here = [change.ends for change in story.changes[way] if change.gap == done]
        changed = (any(src for src, _ in here), any(dst for _, dst in here))
        found.append(Stretch(start, end, (f"from {run[0].src}", f"to {run[0].dst}"), changed))
        done = after
    return tuple(found)


Need = tuple[Mark, Mark, float]


def _room(boxes: tuple[Box, ...], stretches: list[Stretch]) -> list[Need]:
    """What boxes and address labels need."""
    needs: list[Need] = []
    for b, box in enumerate(boxes):
        title = max(theme.measure(line, theme.BODY, bold=True) for line in box.name)
        needs.append((("left", b), ("right", b), title + 0.16))
    for stretch in stretches:
        wide = max(theme.measure(line, theme.SMALL, bold=True) for line in stretch.lines)
        needs.append((stretch.start, stretch.end, wide + 0.14))
    return needs


def _names(columns: tuple[Column, ...], boxes: tuple[Box, ...], staggered: bool) -> list[Need]:
    """What the interfaces' names need: side by side, or on two levels where that would be too wide."""
    wide = [theme.measure(column.interface, theme.SMALL) for column in columns]
    apart = 2 if staggered else 1
    needs: list[Need] = [
        (("col", c), ("col", c + apart), (wide[c] + wide[c + apart]) / 2 + 0.1) for c in range(len(columns) - apart)
    ]
    for b, box in enumerate(boxes):
        needs.append((("left", b), ("col", box.first), wide[box.first] / 2 + 0.05))
        needs.append((("col", box.last), ("right", b), wide[box.last] / 2 + 0.05))
    return needs


_NEXT = {
    ("left", "col"): 0.2, ("left", "gap"): 0.2, ("col", "right"): 0.2, ("gap", "right"): 0.2,
    ("col", "col"): _STEP, ("col", "gap"): _HALF_GAP, ("gap", "col"): _HALF_GAP, ("right", "left"): _BETWEEN,
}  # fmt: skip


def _place(order: list[Mark], needs: list[Need]) -> dict[Mark, float]:
    """The leftmost position of every mark that keeps the order's own distances and every need."""
    rank = {mark: i for i, mark in enumerate(order)}
    wanted: dict[Mark, list[tuple[Mark, float]]] = {mark: [] for mark in order}
    for before, after in pairwise(order):
        wanted[after].append((before, _NEXT[before[0], after[0]]))
    for start, end, need in needs:
        if start in rank and end in rank:
            wanted[end].append((start, need))
    x: dict[Mark, float] = {}
    for mark in order:
        x[mark] = max((x[start] + need for start, need in wanted[mark]), default=START)
    return x
