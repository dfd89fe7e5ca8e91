"""What a pod asks for in all: its containers and sidecars together, or its largest init container, and overhead.

What the pod asks for as a whole, where it does, counts instead. Amounts are exact: who wants whole units rounds them.
Source: k8s.io/component-helpers/resource/helpers.go (PodRequests, PodLimits) of v1.34.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any, Literal

from labkit.api import quantity

Amounts = dict[str, Fraction]
Field = Literal["requests", "limits"]


def parsed(resources: Mapping[str, Any] | None) -> Amounts:
    """A resource list. Raises `ValueError` for what is no quantity."""
    return {name: quantity.value(value) for name, value in (resources or {}).items()}


def of_pod(spec: Mapping[str, Any], field: Field) -> Amounts:
    """The amounts of a pod; overhead is added to all requests, and to those limits that there are."""
    total = {**_of_containers(spec, field), **_of_whole(spec, field)}
    overhead = parsed(spec.get("overhead"))
    if field == "limits":
        overhead = {name: amount for name, amount in overhead.items() if total.get(name)}
    return _sum(total, overhead)


def _of_containers(spec: Mapping[str, Any], field: Field) -> Amounts:
    total: Amounts = {}
    for container in spec.get("containers") or ():
        total = _sum(total, _of(container, field))
    sidecars: Amounts = {}
    largest: Amounts = {}
    for container in spec.get("initContainers") or ():
        mine = _of(container, field)
        if container.get("restartPolicy") == "Always":
            sidecars = _sum(sidecars, mine)
            largest = _most(largest, sidecars)
        else:
            largest = _most(largest, _sum(sidecars, mine))
    return _most(_sum(total, sidecars), largest)


def _of_whole(spec: Mapping[str, Any], field: Field) -> Amounts:
    """What stands at the pod itself, of the resources that may (IsSupportedPodLevelResource)."""
    return {n: a for n, a in _of(spec, field).items() if n in ("cpu", "memory") or n.startswith("hugepages-")}


def _of(container: Mapping[str, Any], field: Field) -> Amounts:
    return parsed((container.get("resources") or {}).get(field))


def _sum(one: Amounts, other: Amounts) -> Amounts:
    return {name: one.get(name, Fraction()) + other.get(name, Fraction()) for name in {**one, **other}}


def _most(one: Amounts, other: Amounts) -> Amounts:
    return {name: max(one.get(name, Fraction()), other.get(name, Fraction())) for name in {**one, **other}}
