"""Resource names and amounts: of containers, quotas, limit ranges (pkg/apis/core/{helper,validation})."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

from labkit.api import quantity
from labkit.api.problem import Problem, forbidden, invalid, required
from labkit.api.validation import syntax

CONTAINER = frozenset({"cpu", "ephemeral-storage", "memory"})
COUNTED = frozenset(
    {"configmaps", "persistentvolumeclaims", "pods", "replicationcontrollers", "resourcequotas", "secrets", "services",
     "services.loadbalancers", "services.nodeports"}
)  # fmt: skip
COMPUTE = frozenset(f"{part}.{name}" for part in ("requests", "limits") for name in CONTAINER)
QUOTA = CONTAINER | COUNTED | COMPUTE | {"requests.storage"}
STANDARD = QUOTA | {"storage"}
HUGE = "hugepages-"

Fields = dict[str, Any]


def name(path: str, value: str, known: Collection[str], complaint: str = "") -> Iterator[Problem]:
    """A resource's name: one of `known`, or one with a domain."""
    faults = list(syntax.checked(path, value, syntax.qualified_name))
    yield from faults
    plain = value.removeprefix("requests.").removeprefix("limits.")
    if faults or "/" in value or plain.startswith(HUGE) or value in known:
        return
    if value not in STANDARD:
        remedy = f"Choose from {', '.join(sorted(known))}."
        yield invalid(path, value, "must be a standard resource type or fully qualified", remedy)
    if complaint:
        yield invalid(path, value, complaint, f"Choose from {', '.join(sorted(known))}.")


def amount(path: str, resource: str, value: Any) -> Iterator[Problem]:
    """Not negative; whole where the resource comes in pieces."""
    number = quantity.value(value)
    if number < 0:
        yield invalid(path, str(value), "must be greater than or equal to 0", "Write 0 or more.")
    in_pieces = resource in COUNTED or ("/" in resource and not resource.startswith("count/"))
    if in_pieces and number.denominator != 1:
        yield invalid(path, str(value), "must be an integer", "Write a whole number.")


def requirements(resources: Fields, path: str) -> Iterator[Problem]:
    """A container's requests and limits."""
    limits, requests = resources.get("limits") or {}, resources.get("requests") or {}
    for field, amounts in (("limits", limits), ("requests", requests)):
        for resource, value in amounts.items():
            where = f"{path}.{field}"
            complaint = "must be a standard resource for containers"
            yield from name(where, resource, CONTAINER, complaint)
            yield from amount(f"{where}[{resource}]", resource, value)
    for resource, value in requests.items():
        where = f"{path}.requests"
        limit = limits.get(resource)
        if limit is None:
            if "/" in resource:
                yield required(f"{path}.limits", "Limit must be set for non overcommitable resources")
        elif "/" in resource and quantity.value(value) != quantity.value(limit):
            why = f"must be equal to {resource} limit of {limit}"
            yield invalid(where, str(value), why, "Write the same amount twice.")
        elif quantity.value(value) > quantity.value(limit):
            why = f"must be less than or equal to {resource} limit of {limit}"
            yield invalid(where, str(value), why, "Ask for less, or raise the limit.")
    if resources.get("claims"):
        yield forbidden(f"{path}.claims", "this cluster has no devices to claim", "Remove it.")
