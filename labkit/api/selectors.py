"""Label selectors: the query text of `kubectl get -l`, the API's LabelSelector, and a Service's plain map.

    parse("app=web,tier in (a,b),!old") ─┐
    LabelSelector (struct or dict)  ─────┼─► Requirements ─► matches(…, labels)
    {"app": "web"}                  ─────┘

Source: apimachinery/pkg/labels/selector.go and pkg/apis/meta/v1/helpers.go (LabelSelectorAsSelector).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from labkit.api.objects import LabelSelector
from labkit.errors import ManifestError

OPERATORS = {"In": "in", "NotIn": "notin", "Exists": "exists", "DoesNotExist": "!"}
_TOKEN = re.compile(r"\s*(==|=|!=|!|<|>|,|\(|\)|[^\s=!<>,()]+)")


class Requirement(msgspec.Struct, frozen=True):
    """One condition on a label; `operator` is one of in, notin, exists, !, >, <."""

    key: str
    operator: str
    values: tuple[str, ...] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        value = labels.get(self.key)
        match self.operator:
            case "in":
                return value in self.values
            case "notin":
                return value not in self.values  # holds where the label is absent, as in Kubernetes
            case "exists":
                return value is not None
            case "!":
                return value is None
            case _:
                return value is not None and self._compare(value)

    def _compare(self, value: str) -> bool:
        try:
            number, bound = int(value), int(self.values[0])
        except ValueError:
            return False
        return number > bound if self.operator == ">" else number < bound


Requirements = tuple[Requirement, ...]
Selector = Requirements | LabelSelector | Mapping[str, Any] | None


def matches(selector: Selector, labels: Mapping[str, str]) -> bool:
    """Does a set of labels satisfy a selector? None selects nothing, an empty selector everything.

    A mapping is read as a LabelSelector if it holds `matchLabels` or `matchExpressions`, else as plain labels.
    (A Service with an empty selector selects no pods: that is the endpoints controller's rule, not the selector's.)
    """
    if selector is None:
        return False
    return all(requirement.matches(labels) for requirement in requirements(selector))


def requirements(selector: Requirements | LabelSelector | Mapping[str, Any]) -> Requirements:
    """Any selector as the conditions that must all hold."""
    if isinstance(selector, tuple):
        return selector
    if isinstance(selector, LabelSelector):
        expressions: list[tuple[str, str, tuple[str, ...]]] = [
            (e.key, e.operator, e.values) for e in selector.match_expressions
        ]
        plain: Mapping[str, str] = selector.match_labels
    elif selector.keys() & {"matchLabels", "matchExpressions"}:
        plain = selector.get("matchLabels") or {}
        expressions = [
            (e.get("key") or "", e.get("operator") or "", tuple(e.get("values") or ()))
            for e in selector.get("matchExpressions") or ()
        ]
    else:
        plain, expressions = selector, []
    exact = (Requirement(key, "in", (value,)) for key, value in plain.items())
    # An unknown operator is validation's to refuse; here it selects nothing.
    chosen = (Requirement(key, OPERATORS.get(operator, "in"), values) for key, operator, values in expressions)
    return (*exact, *chosen)


def parse(text: str) -> Requirements:
    """The selector language of `kubectl get -l`: `a=b`, `a==b`, `a!=b`, `a in (x,y)`, `a notin (x)`, `a`, `!a`, `a>1`.

    Raises `ManifestError` that says what was expected and where.
    """
    tokens = _tokens(text)
    found = []
    while tokens[0] != "":
        found.append(_requirement(tokens, text))
        if tokens[0] == "":
            break
        _take(tokens, {","}, text)
        if tokens[0] == "":
            raise _unexpected("", "a label", text)
    return tuple(found)


def _tokens(text: str) -> list[str]:
    """The words and signs of the text, and an empty string for its end."""
    return [*_TOKEN.findall(text), ""]


def _requirement(tokens: list[str], text: str) -> Requirement:
    if tokens[0] == "!":
        tokens.pop(0)
        return Requirement(_word(tokens, text), "!")
    key = _word(tokens, text)
    match tokens[0]:
        case "" | ",":
            return Requirement(key, "exists")
        case "=" | "==" | "!=" as sign:
            tokens.pop(0)
            value = "" if tokens[0] in ("", ",") else _word(tokens, text)
            return Requirement(key, "notin" if sign == "!=" else "in", (value,))
        case ">" | "<" as sign:
            tokens.pop(0)
            return Requirement(key, sign, (_word(tokens, text),))
        case "in" | "notin" as operator:
            tokens.pop(0)
            return Requirement(key, operator, _values(tokens, text))
    raise _unexpected(tokens[0], "one of =, ==, !=, in, notin, <, >", text)


def _values(tokens: list[str], text: str) -> tuple[str, ...]:
    _take(tokens, {"("}, text)
    values = []
    while True:
        values.append("" if tokens[0] in (",", ")") else _word(tokens, text))
        if _take(tokens, {",", ")"}, text) == ")":
            return tuple(values)


def _word(tokens: list[str], text: str) -> str:
    if not tokens[0] or tokens[0] in "==!=<>,()":
        raise _unexpected(tokens[0], "a label", text)
    return tokens.pop(0)


def _take(tokens: list[str], wanted: set[str], text: str) -> str:
    if tokens[0] not in wanted:
        raise _unexpected(tokens[0], " or ".join(f'"{w}"' for w in sorted(wanted)), text)
    return tokens.pop(0)


def _unexpected(token: str, wanted: str, text: str) -> ManifestError:
    found = f'"{token}"' if token else "the end"
    return ManifestError(f'unable to parse the selector "{text}": found {found}, expected {wanted}', selector=text)
