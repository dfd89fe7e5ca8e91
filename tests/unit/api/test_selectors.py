from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labkit.api.objects import LabelSelector, LabelSelectorRequirement
from labkit.api.selectors import Requirement, matches, parse
from labkit.errors import LabError, ManifestError

LABELS = {"app": "web", "tier": "a", "weight": "10", "empty": ""}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", True),
        ("app=web", True),
        ("app==web", True),
        ("app = web , tier in ( a , b )", True),
        ("app=db", False),
        ("app!=db", True),
        ("missing!=db", True),  # an absent label is not equal to anything
        ("app in (web,db)", True),
        ("app notin (web)", False),
        ("missing notin (web)", True),
        ("app", True),
        ("missing", False),
        ("!missing", True),
        ("!app", False),
        ("empty=", True),
        ("empty=,app=web", True),
        ("app=", False),
        ("weight>9", True),
        ("weight<9", False),
        ("app>1", False),
        ("app=web,tier in (a,b),!x", True),
        ("example.com/a", False),
    ],
)
def test_query(text: str, expected: bool) -> None:
    assert matches(parse(text), LABELS) is expected


@pytest.mark.parametrize(
    ("text", "found"),
    [("app in web", 'found "web"'), ("app in (web", "found the end"), (",", 'found ","'), ("a=b c", 'found "c"'),
     ("a,", "found the end"), ("=b", 'found "="'), ("a ! b", 'found "!"'), ("!", "found the end")],
)  # fmt: skip
def test_faulty_query(text: str, found: str) -> None:
    with pytest.raises(ManifestError, match="unable to parse the selector") as error:
        parse(text)
    assert found in error.value.message


@given(st.text(alphabet="ab=!<>(), in", max_size=30))
def test_any_query_parses_or_says_why(text: str) -> None:
    try:
        matches(parse(text), LABELS)
    except LabError as error:
        assert "expected" in error.message


def test_none_selects_nothing_and_empty_everything() -> None:
    assert not matches(None, LABELS)
    assert matches({}, LABELS)
    assert matches(LabelSelector(), {})
    assert matches({"matchLabels": {}}, LABELS)


def test_plain_map() -> None:
    assert matches({"app": "web"}, LABELS)
    assert not matches({"app": "web", "x": "y"}, LABELS)


@pytest.mark.parametrize(
    ("operator", "values", "expected"),
    [("In", ("web",), True), ("In", ("db",), False), ("NotIn", ("db",), True), ("Exists", (), True),
     ("DoesNotExist", (), False)],
)  # fmt: skip
def test_expressions(operator: str, values: tuple[str, ...], expected: bool) -> None:
    struct = LabelSelector(match_expressions=(LabelSelectorRequirement(key="app", operator=operator, values=values),))
    plain = {"matchExpressions": [{"key": "app", "operator": operator, "values": list(values)}]}
    assert matches(struct, LABELS) is matches(plain, LABELS) is expected


def test_labels_and_expressions_must_all_hold() -> None:
    selector = {"matchLabels": {"app": "web"}, "matchExpressions": [{"key": "tier", "operator": "Exists"}]}
    assert matches(selector, {"app": "web", "tier": "b"})
    assert not matches(selector, {"app": "web"})


def test_parsed_requirements_are_values() -> None:
    assert parse("tier in (a,b)") == (Requirement("tier", "in", ("a", "b")),)
