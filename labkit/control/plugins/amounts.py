"""What a pod asks for in all: its containers and sidecars together, or its largest init container, and overhead.

Source: k8s.io/component-helpers/resource/helpers.go (PodRequests, PodLimits) of v1.34.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from labkit.api import quantity

Amounts = dict[str, Fraction]


def parsed(resources: Mapping[str, Any] | None) -> Amounts:
    return {name: quantity.value(value) for name, value in (resources or {}).items()}


def of_pod(spec: Mapping[str, Any], field: str) -> Amounts:
    """`field` is requests or limits."""
    total: Amounts = {}
    for container in spec.get("containers", ()):
        total = _sum(total, _of(container, field))
    sidecars: Amounts = {}
    largest: Amounts = {}
    for container in spec.get("initContainers", ()):
        mine = _of(container, field)
        if container.get("restartPolicy") == "Always":
            sidecars = _sum(sidecars, mine)
            largest = _most(largest, sidecars)
        else:
            largest = _most(largest, _sum(sidecars, mine))
    total = _most(_sum(total, sidecars), largest)
    return _sum(total, parsed(spec.get("overhead"))) if total else total


def _of(container: Mapping[str, Any], field: str) -> Amounts:
    return parsed((container.get("resources") or {}).get(field))


def _sum(one: Amounts, other: Amounts) -> Amounts:
    return {name: one.get(name, Fraction()) + other.get(name, Fraction()) for name in one | other}


def _most(one: Amounts, other: Amounts) -> Amounts:
    return {name: max(one.get(name, Fraction()), other.get(name, Fraction())) for name in one | other}
