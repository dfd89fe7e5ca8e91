"""YAML as Kubernetes reads it, and text that means harm."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labkit.api import yamltext


def value(text: str) -> Any:
    (document,), problems = yamltext.parse(text)
    assert problems == []
    return document.value


def fault(text: str) -> tuple[int | None, str, str]:
    _, problems = yamltext.parse(text)
    assert len(problems) == 1, problems
    return problems[0].line, problems[0].message, problems[0].remedy


# What sigs.k8s.io/yaml makes of the same words.
@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("on", True), ("off", False), ("yes", True), ("No", False), ("y", True), ("n", False), ("true", True),
        ("~", None), ("null", None), ("", None), ("010", 8), ("0o10", 8), ("08", 8), ("0x1F", 31), ("0b11", 3),
        ("1_000", 1000), ("_1", "_1"), ("-5", -5), ("+5", 5), ("1e3", 1000), ("1.50", 1.5), (".5", 0.5), ("3.0", 3),
        ("1.2.3", "1.2.3"), ("22:22", "22:22"), ("190:20:30", "190:20:30"), ("2024-01-31", "2024-01-31"),
        ("2024-01-31T10:00:00Z", "2024-01-31T10:00:00Z"), ("64Mi", "64Mi"), ("10.0.0.1", "10.0.0.1"),
        ("18446744073709551615", 2**64 - 1), ("99999999999999999999", 1e20), ("1e400", "1e400"), ("=", "="),
        ("'5'", "5"), ('"on"', "on"), ("!!str 5", "5"), ("!!int '5'", 5), ("! 5", "5"), ("!!float 5", 5),
        ("!!timestamp 2024-01-31", "2024-01-31"), ("|\n  5\n", "5\n"), ("9" * 1000, "9" * 1000),
    ],
)  # fmt: skip
def test_scalars(word: str, expected: Any) -> None:
    found = value(f"a: {word}")["a"]
    assert found == expected
    assert type(found) is type(expected)


def test_lines() -> None:
    (first, second), _ = yamltext.parse("a: 1\nb:\n- x\n- z: 2\n---\n# comment\nc: 3\n")
    assert isinstance(first.children, dict)
    assert first.children["b"].line == 2
    assert first.children["b"].children[1].children["z"].line == 4
    assert second.line == 7


def test_anchors_and_merges() -> None:
    text = "base: &b {x: 1, w: 2}\nother: *b\nmade: {<<: *b, w: 3}\nboth: {<<: [*b, {x: 9, z: 4}]}\n"
    found = value(text)
    assert found["other"] == {"x": 1, "w": 2}
    assert found["made"] == {"x": 1, "w": 3}
    assert found["both"] == {"x": 1, "w": 2, "z": 4}
    assert value('"<<": 1') == {"<<": 1}


@pytest.mark.parametrize(
    ("text", "line", "message", "remedy"),
    [
        ("a:\n\tb: 1", 2, "cannot start any token", "Indent with spaces: YAML does not allow tabs."),
        ("name:web\nport: 80", 2, "mapping values are not allowed", "Put a space after the colon of “name:”."),
        ("a: b: c", 1, "mapping values are not allowed", "Check the indentation"),
        ("a:\n  b: 1\n c: 2", 3, "parsing a block mapping", "indented alike"),
        ("a: 1\nb", 2, "could not find expected ':'", "put a colon and a space"),
        ("a: [1, 2", 1, "expected ',' or ']'", "Close the bracket"),
        ("a: 'x", 1, "unexpected end of stream", "Close the quote"),
        ("a: @x", 1, "cannot start any token", "Put the value in quotes."),
        ('a: "\\q"', 1, "unknown escape character", "Use single quotes"),
        ("- a\nb: 1", 2, "parsing a block collection", "indented alike"),
        ("{{ if .x }}\na: 1", 2, "document start", "template"),
        ("a: 1\nb: 2\na: 3", 3, 'key "a" already set in map', "It stands on line 1 already"),
        ("80: x", 1, "key 80 is not a string", 'Put it in quotes: "80".'),
        ("on: x", 1, "key on is not a string", 'Put it in quotes: "on".'),
        ("? [1]\n: 2", 1, "key [1] is not a string", "A key is plain text"),
        ("a: .inf", 1, "unsupported value: .inf", "in quotes"),
        ("a: !foo 3", 1, "cannot read \"3\" as !foo", "Remove the tag."),
        ("a: !foo {}", 1, "unknown tag !foo", "Remove the tag."),
        ("a: !!int x", 1, 'cannot read "x" as int', "Remove the tag."),
        ("a: *x", 1, "unknown anchor 'x' referenced", "Define it before: &x."),
        ("a: &x [*x]", 1, "anchor 'x' value contains itself", "Write the value out."),
        ("a: {<<: 3}", 1, "map merge requires map", "Merge an alias."),
        ("a: \x00", None, "control characters|special characters", "UTF-8"),
        ("a: \ud800", None, "surrogates|special characters", "UTF-8"),
        ('a: "\\ud800"', 1, "invalid Unicode|surrogates", ""),
    ],
)  # fmt: skip
def test_faults(text: str, line: int | None, message: str, remedy: str) -> None:
    problems = yamltext.parse(text)[1]
    found = problems[-1]
    assert found.line == line
    assert any(part in found.message for part in message.split("|")), found.message
    assert remedy in found.remedy


def test_documents_before_a_fault_are_kept() -> None:
    documents, problems = yamltext.parse("a: 1\n---\nb: 2\n---\nc: [")
    assert [d.value for d in documents] == [{"a": 1}, {"b": 2}]
    assert [p.document for p in problems] == [3]


def test_empty_documents_count() -> None:
    documents, _ = yamltext.parse("---\n---\na: 1\n---\n")
    assert [d.value for d in documents] == [None, {"a": 1}, None]


BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{c}: &{c} [{','.join(['*' + p] * 9)}]\n" for p, c in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    "text",
    [BOMB, "[" * 200_000, "a: {" * 100_000, "- " * 200_000, "? " * 200_000, "a: " + "1" * 5_000_000,
     "a: " + "1_" * 1_000_000, "- x\n" * 1_000_000, "a: '" + "x" * 5_000_000, "&a " * 100_000, "!" * 1_000_000],
)  # fmt: skip
def test_hostile_text_is_refused_or_read_in_a_moment(text: str) -> None:
    start = time.monotonic()
    yamltext.parse(text)
    assert time.monotonic() - start < 5


def test_billion_laughs() -> None:
    assert fault(BOMB)[1] == "more than 200000 values, aliases expanded"


def test_deep_nesting() -> None:
    assert fault("[" * 200_000)[1] == "nested more than 100 levels deep"


@given(st.text(alphabet=st.sampled_from("ab:-?[]{}&*!|>'\"%@#,. \n\t0~<\\"), max_size=60))
@settings(max_examples=500)
def test_any_text_gets_an_answer(text: str) -> None:
    yamltext.parse(text)


@given(st.text(max_size=60))
def test_any_characters_get_an_answer(text: str) -> None:
    yamltext.parse(text)
