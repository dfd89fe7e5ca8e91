"""Ranges of numbers, and ports that are a number or a name."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from labkit.api.problem import Problem, invalid, unsupported
from labkit.api.validation import syntax

PROTOCOLS = ("SCTP", "TCP", "UDP")


def within(field: str, value: int, low: int, high: int) -> Iterator[Problem]:
    if not low <= value <= high:
        detail = f"must be between {low} and {high}, inclusive"
        yield invalid(field, value, detail, f"Choose a number from {low} to {high}.")


def port(field: str, value: int) -> Iterator[Problem]:
    yield from within(field, value, 1, 65535)


def port_or_name(field: str, value: int | str) -> Iterator[Problem]:
    """A target port: a number, or the name of a container's port."""
    if isinstance(value, int):
        yield from port(field, value)
    elif value.isdecimal():
        # Kubernetes takes it for a name, and complains about a missing letter.
        yield from syntax.checked(field, value, syntax.port_name, f"Remove the quotes: {value[:5]}.")
    else:
        yield from syntax.checked(
            field, value, syntax.port_name, "Write a port number, or the name of a container port."
        )


def protocol(field: str, value: str) -> Iterator[Problem]:
    if value not in PROTOCOLS:
        yield unsupported(field, value, PROTOCOLS)


def not_negative(spec: dict[str, Any], path: str, *names: str) -> Iterator[Problem]:
    """Fields of `spec` that may be absent but not below zero."""
    for name in names:
        value = spec.get(name)
        if value is not None and value < 0:
            where = f"{path}.{name}" if path else name
            yield invalid(where, value, "must be greater than or equal to 0", "Write 0 or more.")


def count_or_percent(field: str, value: int | str) -> Iterator[Problem]:
    """A number of pods, or a share of them of at most 100%."""
    if isinstance(value, int):
        if value < 0:
            yield invalid(field, value, "must be greater than or equal to 0", "Write 0 or more.")
        return
    share = percent(value)
    if share is None:
        detail = "must be an integer or percentage (e.g '5%%')"
        yield invalid(field, value, detail, "Write a number, or a percentage such as 25%.")
    elif share > 100:
        yield invalid(field, value, "must not be greater than 100%", "Write less.")


def percent(value: int | str) -> int | None:
    """The number before the % sign, or None where it is no percentage."""
    match = re.fullmatch(r"(\d{1,9})%", str(value), re.ASCII)
    return int(match[1]) if match else None
