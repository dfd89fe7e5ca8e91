"""HorizontalPodAutoscalers (pkg/apis/autoscaling/validation)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from labkit.api import quantity
from labkit.api.problem import Problem, forbidden, invalid, required, unsupported
from labkit.api.validation import syntax

SOURCES = {"ContainerResource": "containerResource", "External": "external", "Object": "object", "Pods": "pods",
           "Resource": "resource"}  # fmt: skip
SELECTIONS = ("Disabled", "Max", "Min")
LONGEST_PERIOD = 1800
LONGEST_WINDOW = 3600

Fields = dict[str, Any]


def autoscaler(obj: Fields) -> Iterator[Problem]:
    spec = obj.get("spec") or {}
    least, most = spec.get("minReplicas", 1), spec.get("maxReplicas")
    if least < 1:
        yield invalid("spec.minReplicas", least, "must be greater than or equal to 1", "Write 1 or more.")
    if most is not None and most < 1:
        yield invalid("spec.maxReplicas", most, "must be greater than 0", "Write 1 or more.")
    if most is not None and most < least:
        why = "must be greater than or equal to `minReplicas`"
        yield invalid("spec.maxReplicas", most, why, f"Write {least} or more.")
    yield from _reference(spec.get("scaleTargetRef") or {}, "spec.scaleTargetRef")
    for index, metric in enumerate(spec.get("metrics") or []):
        yield from _metric(metric, f"spec.metrics[{index}]")
    for direction in ("scaleUp", "scaleDown"):
        rules = (spec.get("behavior") or {}).get(direction)
        if rules is not None:
            yield from _rules(rules, f"spec.behavior.{direction}")


def _reference(reference: Fields, path: str) -> Iterator[Problem]:
    for name in ("kind", "name"):
        if reference.get(name) == "":
            yield required(f"{path}.{name}")
        elif reference.get(name) is not None:
            yield from syntax.checked(f"{path}.{name}", reference[name], syntax.path_segment)
    version = reference.get("apiVersion")
    if version and version.count("/") > 1:
        yield invalid(f"{path}.apiVersion", version, f"unexpected GroupVersion string: {version}", "Write apps/v1.")


def _rules(rules: Fields, path: str) -> Iterator[Problem]:
    window, choice, policies = rules.get("stabilizationWindowSeconds"), rules.get("selectPolicy"), rules.get("policies")
    if window is not None and window < 0:
        where = f"{path}.stabilizationWindowSeconds"
        yield invalid(where, window, "must be greater than or equal to zero", "Write 0 or more.")
    if window is not None and window > LONGEST_WINDOW:
        where = f"{path}.stabilizationWindowSeconds"
        yield invalid(where, window, f"must be less than or equal to {LONGEST_WINDOW}", "Write less.")
    if choice is not None and choice not in SELECTIONS:
        yield unsupported(f"{path}.selectPolicy", choice, SELECTIONS)
    if not policies:
        yield required(f"{path}.policies", "must specify at least one Policy")
    for index, policy in enumerate(policies or []):
        where = f"{path}.policies[{index}]"
        if policy.get("type") is not None and policy["type"] not in ("Percent", "Pods"):
            yield unsupported(f"{where}.type", policy["type"], ("Percent", "Pods"))
        for name in ("value", "periodSeconds"):
            if policy.get(name) is not None and policy[name] <= 0:
                yield invalid(f"{where}.{name}", policy[name], "must be greater than zero", "Write 1 or more.")
        if (policy.get("periodSeconds") or 0) > LONGEST_PERIOD:
            why = f"must be less than or equal to {LONGEST_PERIOD}"
            yield invalid(f"{where}.periodSeconds", policy["periodSeconds"], why, "Write less.")


def _metric(metric: Fields, path: str) -> Iterator[Problem]:
    kind = metric.get("type")
    if kind is None:
        return
    if kind not in SOURCES:
        yield unsupported(f"{path}.type", kind, SOURCES)
        return
    wanted = SOURCES[kind]
    if metric.get(wanted) is None:
        yield required(f"{path}.{wanted}", "must populate information for the given metric source")
    else:
        yield from _target(metric[wanted].get("target") or {}, wanted, f"{path}.{wanted}.target")
    for other in SOURCES.values():
        if other != wanted and metric.get(other) is not None:
            yield forbidden(f"{path}.{other}", "must populate the given metric source only")


def _target(target: Fields, source: str, path: str) -> Iterator[Problem]:
    types = ("AverageValue", "Utilization", "Value")
    if target.get("type") is not None and target["type"] not in types:
        yield unsupported(f"{path}.type", target["type"], types)
    for name in ("value", "averageValue"):
        if target.get(name) is not None and quantity.value(target[name]) <= 0:
            yield invalid(f"{path}.{name}", str(target[name]), "must be positive", "Write more than 0.")
    used, average, value = (target.get(name) for name in ("averageUtilization", "averageValue", "value"))
    if used is not None and used < 1:
        yield invalid(f"{path}.averageUtilization", used, "must be greater than 0", "Write 1 or more.")
    if source in ("resource", "containerResource"):
        if used is None and average is None:
            why = "must set either a target raw value or a target utilization"
            yield required(f"{path}.averageUtilization", why)
        elif used is not None and average is not None:
            why = "may not set both a target raw value and a target utilization"
            yield forbidden(f"{path}.averageValue", why)
    elif source == "pods" and average is None:
        yield required(f"{path}.averageValue", "must specify a positive target averageValue")
    elif source in ("external", "object") and value is None and average is None:
        per_pod = "must set either a target value for metric or a per-pod target"
        why = per_pod if source == "external" else "must set either a target value or averageValue"
        yield required(f"{path}.averageValue", why)
