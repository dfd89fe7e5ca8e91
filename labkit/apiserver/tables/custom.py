"""The columns that a CustomResourceDefinition asks for (additionalPrinterColumns), with the JSONPath that it may use.

    .spec.replicas    .status.conditions[?(@.type=="Ready")].status    .spec['ports'][0].name    .spec.hosts[*]

Source: apiextensions-apiserver/pkg/registry/customresource/tableconvertor; client-go/util/jsonpath.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

import msgspec

from labkit.apiserver.tables.columns import NAME, Column, Printer, View
from labkit.apiserver.tables.human import UNKNOWN, duration, moment

Raw = dict[str, Any]

_STEP = re.compile(
    r"""\.?\[\?\(\s*@\.?(?P<field>[^\s=!<>()]*)\s*(?P<sign>==|!=)\s*(?P<operand>"[^"]*"|'[^']*'|[^\s)]+)\s*\)\]
      | \.?\['(?P<single>(?:[^'\\]|\\.)*)'\] | \.?\["(?P<double>(?:[^"\\]|\\.)*)"\]
      | \.?\[(?P<index>-?\d+)\] | \.?\[\*\](?P<star>) | \.\*(?P<every>)
      | \.(?P<name>(?:[^.\[\]\\]|\\.)+)""",
    re.VERBOSE,
)
_ESCAPED = re.compile(r"\\(.)")

Step = tuple[str, str, str]
"""("name", field, ""), ("index", number, ""), ("each", "", ""), or ("==" or "!=", field, operand)."""


@lru_cache(maxsize=512)
def steps(path: str) -> tuple[Step, ...] | None:
    """The steps of a JSONPath; None for one that custom columns may not have."""
    found: list[Step] = []
    at = 0
    path = path.strip()
    while at < len(path):
        match = _STEP.match(path, at)
        if match is None:
            return None if path != "." else ()
        part = match.groupdict()
        name = next((part[k] for k in ("name", "single", "double") if part[k] is not None), None)
        if name is not None:
            found.append(("name", _ESCAPED.sub(r"\1", name), ""))
        elif part["index"] is not None:
            found.append(("index", part["index"], ""))
        elif part["sign"] is not None:
            found.append((part["sign"], part["field"], part["operand"].strip("\"'")))
        else:
            found.append(("each", "", ""))
        at = match.end()
    return tuple(found)


def find(obj: Any, path: str) -> Any:
    """The first value at a path, or None."""
    walked = steps(path)
    values = [obj] if walked is not None else []
    for step in walked or ():
        values = [found for value in values for found in _next(value, step)]
    return values[0] if values else None


def _next(value: Any, step: Step) -> list[Any]:
    way, name, operand = step
    if way == "name":
        return [value[name]] if isinstance(value, dict) and value.get(name) is not None else []
    if way == "index":
        number = int(name)
        fits = isinstance(value, list) and -len(value) <= number < len(value)
        return [value[number]] if fits else []
    items = list(value.values()) if isinstance(value, dict) else value
    if not isinstance(items, list):
        return []
    if way == "each":
        return items
    inner = "." + name if name else ""
    return [item for item in items if (_plain(find(item, inner)) == operand) is (way == "==")]


def _plain(value: Any) -> str:
    """A value as JSONPath prints it: text as it is, everything else as JSON."""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def printer(columns: list[Raw]) -> Printer:
    """The printer for a CustomResourceDefinition's columns, as they are written there."""
    definitions = [
        Column(
            c["name"],
            text=c.get("description") or f"Custom resource definition column (in JSONPath format): {c['jsonPath']}",
            type=c["type"],
            format=c.get("format", ""),
            wide=bool(c.get("priority")),
        )
        for c in columns
    ]

    def cells(o: Raw, view: View) -> list[Any]:
        return [o["metadata"]["name"], *(_cell(c["type"], find(o, c["jsonPath"]), view.now) for c in columns)]

    return Printer((NAME, *definitions), cells)


def _cell(kind: str, value: Any, now: float) -> Any:
    """A value as a column of a type shows it; None where it does not fit the type."""
    if value is None:
        return None
    number = isinstance(value, int | float) and not isinstance(value, bool)
    match kind:
        case "string":
            return _plain(value)
        case "integer":
            return int(value) if number else None
        case "number":
            return float(value) if number else None
        case "boolean":
            return value if isinstance(value, bool) else None
        case "date":
            return _date(value, now) if isinstance(value, str) else None
    return None


def _date(value: str, now: float) -> str:
    if not value:
        return UNKNOWN
    then = moment(value)
    return "<invalid>" if then is None else duration(now - then)
