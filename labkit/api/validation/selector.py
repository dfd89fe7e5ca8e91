"""Label selectors as the API writes them (apimachinery/pkg/apis/meta/v1/validation)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from labkit.api.problem import Problem, forbidden, invalid, required
from labkit.api.validation import meta, syntax

OPERATORS = ("DoesNotExist", "Exists", "In", "NotIn")

Fields = dict[str, Any]


def label_selector(selector: Fields | None, path: str) -> Iterator[Problem]:
    """A LabelSelector's syntax; an absent one has none."""
    if selector is None:
        return
    yield from meta.labels(selector.get("matchLabels") or {}, f"{path}.matchLabels")
    for index, item in enumerate(selector.get("matchExpressions") or []):
        where, operator = f"{path}.matchExpressions[{index}]", item.get("operator")
        if operator is not None and operator not in OPERATORS:
            remedy = f"Write one of {', '.join(OPERATORS)}."
            yield invalid(f"{where}.operator", operator, "not a valid selector operator", remedy)
        yield from requirement(item, where)


def requirement(item: Fields, where: str) -> Iterator[Problem]:
    """One expression but for its operator's name, of labels or of nodes."""
    operator, values = item.get("operator"), item.get("values")
    if operator in ("In", "NotIn") and not values:
        detail = "must be specified when `operator` is 'In' or 'NotIn'"
        yield required(f"{where}.values", detail, "List the values.")
    elif operator in ("Exists", "DoesNotExist") and values:
        detail = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
        yield forbidden(f"{where}.values", detail)
    if item.get("key") is not None:
        yield from syntax.checked(f"{where}.key", item["key"], syntax.qualified_name)
    for number, value in enumerate(values or []):
        yield from syntax.checked(f"{where}.values[{number}]", value, syntax.label_value)
