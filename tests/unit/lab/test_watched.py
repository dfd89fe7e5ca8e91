"""A live view's state: whatever is told in whatever pieces, its rows are those of the objects; marks come and fade."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from labkit.api import kinds
from labkit.lab.tables import MOST, Layout
from labkit.lab.watched import FADE, Watched, titled

Raw = dict[str, Any]
LAYOUT = Layout(kinds.Catalogue().find("cm"), False)
EMPTY = Watched(titled(LAYOUT, "default"), tuple(LAYOUT.header))


def config(name: str, size: int = 0) -> Raw:
    return {"metadata": {"namespace": "default", "name": name}, "data": {str(n): "" for n in range(size)}}


def whole(version: int, *objects: Raw) -> Raw:
    return {"version": version, "objects": list(objects), "gone": [], "whole": True}


def told(version: int, *objects: Raw, gone: tuple[str, ...] = ()) -> Raw:
    return {"version": version, "objects": list(objects), "gone": [["default", n] for n in gone], "whole": False}


def marks(seen: Watched) -> dict[str, str]:
    return {name: mark.change for (_, name), mark in seen.marks.items()}


def names(seen: Watched) -> list[str]:
    return [line.split()[0] for line in seen.text("").splitlines()[1:]]


def test_what_is_there_at_first_is_not_news() -> None:
    seen = EMPTY.after(whole(7, config("b"), config("a", 2)), LAYOUT, 0)
    assert (seen.version, marks(seen)) == (7, {})
    assert seen.text("") == "NAME   DATA\na      2\nb      0"


def test_a_change_is_marked_for_a_while() -> None:
    seen = EMPTY.after(whole(1, config("a"), config("b"), config("c")), LAYOUT, 0)
    seen = seen.after(told(2, config("a", 1), config("b"), config("d"), gone=("c", "never-seen")), LAYOUT, 10)
    assert marks(seen) == {"a": "changed", "c": "gone", "d": "new"}
    assert names(seen) == ["a", "b", "d"]
    assert seen.fades() == 10 + FADE
    assert seen.faded(9 + FADE) is seen
    rested = seen.faded(10 + FADE)
    assert (marks(rested), rested.fades(), names(rested)) == ({}, None, ["a", "b", "d"])
    assert ("default", "c") not in rested.rows


def test_what_comes_and_changes_at_once_is_new_and_what_comes_back_too() -> None:
    seen = EMPTY.after(whole(1, config("a")), LAYOUT, 0)
    seen = seen.after(told(2, config("b")), LAYOUT, 1).after(told(3, config("b", 1), gone=("a",)), LAYOUT, 1.5)
    assert marks(seen) == {"a": "gone", "b": "new"}
    assert marks(seen.after(told(4, config("a")), LAYOUT, 2)) == {"a": "new", "b": "new"}


def test_after_a_gap_everything_is_compared() -> None:
    seen = EMPTY.after(whole(1, config("a"), config("b")), LAYOUT, 0)
    seen = seen.after(whole(9999, config("b", 1), config("c")), LAYOUT, 1)
    assert marks(seen) == {"a": "gone", "b": "changed", "c": "new"}


def test_an_empty_view_and_an_ended_one_say_so() -> None:
    assert EMPTY.text("") == "no configmaps in namespace default"
    assert EMPTY.text("the lab is closed").splitlines()[-1] == "(the lab is closed)"
    assert "● live" in EMPTY.html("") and "○ it &lt;ended&gt;" in EMPTY.html("it <ended>")
    assert titled(Layout(kinds.Catalogue().find("no"), False), None) == "nodes"
    assert titled(LAYOUT, None) == "configmaps in all namespaces"


def test_html_is_bounded_and_takes_every_text_literally() -> None:
    many = EMPTY.after(whole(1, *(config(f"c{n:04}") for n in range(MOST + 5))), LAYOUT, 0)
    assert many.html("").count("<tr") == MOST + 2
    for text in (many.html(""), many.text("")):
        assert "… and 5 more" in text
    secret = Layout(kinds.Catalogue().find("secret"), False)
    o = {"metadata": {"name": "x"}, "type": "<script>"}
    html = Watched("secrets", tuple(secret.header)).after(whole(1, o), secret, 0).html("")
    assert "&lt;script&gt;" in html and "<script>" not in html


changes = st.lists(st.tuples(st.sampled_from("abc"), st.one_of(st.none(), st.integers(0, 2))), max_size=12)


@given(changes, st.lists(st.integers(1, 4), min_size=12, max_size=12), st.booleans())
def test_the_rows_are_those_of_the_objects_however_changes_are_told(
    done: list[tuple[str, int | None]], sizes: list[int], gap: bool
) -> None:
    there: dict[str, Raw] = {"a": config("a")}
    seen, now = EMPTY.after(whole(1, *there.values()), LAYOUT, 0), 0.0
    while done:
        piece, done = done[: sizes[0]], done[sizes[0] :]
        sizes = sizes[1:]
        last = dict(piece)
        for name, size in last.items():
            there.pop(name, None)
            there |= {} if size is None else {name: config(name, size)}
        objects = [there[name] for name, size in last.items() if size is not None]
        gone = tuple(name for name, size in last.items() if size is None)
        now += 1
        answer = whole(seen.version + 1, *there.values()) if gap else told(seen.version + 1, *objects, gone=gone)
        seen = seen.after(answer, LAYOUT, now).faded(now)
    seen = seen.faded(now + FADE)
    expected = {("default", name): LAYOUT.row(raw) for name, raw in there.items()}
    assert dict(seen.rows) == expected and not seen.marks
