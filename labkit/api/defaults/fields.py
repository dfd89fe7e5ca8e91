"""Filling in fields, as Go's zero values are defaulted."""

from __future__ import annotations

from typing import Any

from labkit.api.canonical import amount

Fields = dict[str, Any]


def fill(fields: Fields, **values: Any) -> None:
    """Set what is absent or empty text."""
    for name, value in values.items():
        if fields.get(name) in (None, ""):
            fields[name] = value


def amounts(fields: Fields, *names: str) -> None:
    """Write the quantities of these resource lists as the server does."""
    for name in names:
        if isinstance(fields.get(name), dict):
            fields[name] = {resource: amount(value) for resource, value in fields[name].items()}
