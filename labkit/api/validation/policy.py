"""What limits and ranks pods: disruption budgets, quotas, limit ranges, priority classes.

Source: pkg/apis/{policy,scheduling}/validation, pkg/apis/core/validation (ValidateLimitRange, ValidateResourceQuota).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from labkit.api import quantity
from labkit.api.problem import Problem, duplicate, forbidden, invalid, required, unsupported
from labkit.api.validation import numbers, quantities, selector, syntax

EVICTION_POLICIES = ("AlwaysAllow", "IfHealthyBudget")
LIMIT_TYPES = ("Container", "PersistentVolumeClaim", "Pod")
PREEMPTION = ("Never", "PreemptLowerPriority")
SYSTEM_CLASSES = {"system-cluster-critical": 2_000_000_000, "system-node-critical": 2_000_001_000}
HIGHEST_PRIORITY = 1_000_000_000
SCOPES = ("BestEffort", "CrossNamespacePodAffinity", "NotBestEffort", "NotTerminating", "PriorityClass", "Terminating")
OPPOSITES = ({"BestEffort", "NotBestEffort"}, {"NotTerminating", "Terminating"})

Fields = dict[str, Any]


def disruption_budget(obj: Fields) -> Iterator[Problem]:
    spec = obj.get("spec") or {}
    least, most = spec.get("minAvailable"), spec.get("maxUnavailable")
    if least is not None and most is not None:
        yield invalid("spec", spec, "minAvailable and maxUnavailable cannot be both set", "Keep one of the two.")
    for name in ("minAvailable", "maxUnavailable"):
        if spec.get(name) is not None:
            yield from numbers.count_or_percent(f"spec.{name}", spec[name])
    yield from selector.label_selector(spec.get("selector"), "spec.selector")
    policy = spec.get("unhealthyPodEvictionPolicy")
    if policy is not None and policy not in EVICTION_POLICIES:
        yield unsupported("spec.unhealthyPodEvictionPolicy", policy, EVICTION_POLICIES)


def priority_class(obj: Fields) -> Iterator[Problem]:
    name, value = (obj.get("metadata") or {}).get("name") or "", obj.get("value") or 0
    if name.startswith("system-"):
        if SYSTEM_CLASSES.get(name) != value:
            why = f"error: {_wrong_system_class(name, value)}"
            why = f"priority class names with 'system-' prefix are reserved for system use only. {why}"
            yield forbidden("metadata.name", why, "Choose another name.")
    elif value > HIGHEST_PRIORITY:
        why = f"maximum allowed value of a user defined priority is {HIGHEST_PRIORITY}"
        yield forbidden("value", why, "Choose a smaller number.")
    policy = obj.get("preemptionPolicy")
    if policy is not None and policy not in PREEMPTION:
        yield unsupported("preemptionPolicy", policy, PREEMPTION)


def _wrong_system_class(name: str, value: int) -> str:
    if name in SYSTEM_CLASSES:
        return f"value of {name} PriorityClass must be {SYSTEM_CLASSES[name]}"
    return f"{name} is not a known system priority class"


def resource_quota(obj: Fields) -> Iterator[Problem]:
    spec = obj.get("spec") or {}
    for name, amount in (spec.get("hard") or {}).items():
        path = f"spec.hard[{name}]"
        yield from quantities.name(path, name, quantities.QUOTA, "must be a standard resource for quota")
        yield from quantities.amount(path, name, amount)
    scopes = spec.get("scopes") or []
    if any(scope not in SCOPES for scope in scopes):
        yield invalid("spec.scopes", scopes, "unsupported scope", f"Choose from {', '.join(SCOPES)}.")
    if any(pair <= set(scopes) for pair in OPPOSITES):
        yield invalid("spec.scopes", scopes, "conflicting scopes", "Keep one of the two.")


def limit_range(obj: Fields) -> Iterator[Problem]:
    seen: set[str] = set()
    for index, item in enumerate((obj.get("spec") or {}).get("limits") or []):
        path, kind = f"spec.limits[{index}]", item.get("type") or ""
        yield from syntax.checked(f"{path}.type", kind, syntax.qualified_name)
        if kind and "/" not in kind and kind not in LIMIT_TYPES:
            why = "must be a standard limit type or fully qualified"
            yield invalid(f"{path}.type", kind, why, f"Choose from {', '.join(LIMIT_TYPES)}.")
        if kind in seen:
            yield duplicate(f"{path}.type", kind)
        seen.add(kind)
        yield from _limits(item, kind, path)


def _limits(item: Fields, kind: str, path: str) -> Iterator[Problem]:
    for field in ("default", "defaultRequest"):
        if kind == "Pod" and item.get(field):
            yield forbidden(f"{path}.{field}", "may not be specified when `type` is 'Pod'")
    if kind == "PersistentVolumeClaim" and not any("storage" in (item.get(f) or {}) for f in ("min", "max")):
        why = "either minimum or maximum storage value is required, but neither was provided"
        yield required(f"{path}.limits", why, "Add min or max with storage.")
    lists = {field: item.get(field) or {} for field in ("max", "min", "default", "defaultRequest")}
    for field, amounts in lists.items():
        for name in amounts:
            yield from quantities.name(f"{path}.{field}[{name}]", name, quantities.STANDARD)
    for low, high, field, words in (
        ("min", "max", "min", "min value {} is greater than max value {}"),
        ("min", "defaultRequest", "defaultRequest", "min value {} is greater than default request value {}"),
        ("defaultRequest", "max", "defaultRequest", "default request value {} is greater than max value {}"),
        (
            "defaultRequest",
            "default",
            "defaultRequest",
            "default request value {} is greater than default limit value {}",
        ),
        ("min", "default", "default", "min value {} is greater than default value {}"),
        ("default", "max", "default", "default value {} is greater than max value {}"),
    ):  # fmt: skip
        for name in sorted(lists[low].keys() & lists[high].keys()):
            small, large = lists[low][name], lists[high][name]
            if quantity.value(small) > quantity.value(large):
                where = f"{path}.{field}[{name}]"
                yield invalid(where, str(lists[field][name]), words.format(small, large), "Put them in order.")
    for name, ratio in (item.get("maxLimitRequestRatio") or {}).items():
        if quantity.value(ratio) < 1:
            where = f"{path}.maxLimitRequestRatio[{name}]"
            yield invalid(where, str(ratio), f"ratio {ratio} is less than 1", "Write 1 or more.")
