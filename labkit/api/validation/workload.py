"""Deployments, ReplicaSets, DaemonSets, StatefulSets, Jobs (pkg/apis/apps/validation, pkg/apis/batch/validation)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from labkit.api.problem import Problem, forbidden, invalid, required, unsupported
from labkit.api.selectors import matches
from labkit.api.validation import meta, numbers, syntax
from labkit.api.validation.pod import pod_spec

OPERATORS = ("DoesNotExist", "Exists", "In", "NotIn")

Fields = dict[str, Any]


def deployment(obj: Fields) -> Iterator[Problem]:
    spec = obj.get("spec") or {}
    yield from _replicated(spec, "deployment")
    yield from numbers.not_negative(spec, "spec", "revisionHistoryLimit", "progressDeadlineSeconds")
    deadline, ready = spec["progressDeadlineSeconds"], spec.get("minReadySeconds") or 0
    if 0 <= deadline <= ready:
        detail = "must be greater than minReadySeconds"
        yield invalid("spec.progressDeadlineSeconds", deadline, detail, f"Write more than {ready}.")
    strategy = spec["strategy"]
    if strategy["type"] not in ("Recreate", "RollingUpdate"):
        yield unsupported("spec.strategy.type", strategy["type"], ("Recreate", "RollingUpdate"))
    elif strategy["type"] == "Recreate" and strategy.get("rollingUpdate") is not None:
        detail = "may not be specified when strategy `type` is 'Recreate'"
        yield forbidden("spec.strategy.rollingUpdate", detail)
    elif strategy["type"] == "RollingUpdate":
        yield from _rolling_update(strategy["rollingUpdate"], "spec.strategy.rollingUpdate")


def replica_set(obj: Fields) -> Iterator[Problem]:
    yield from _replicated(obj.get("spec") or {}, "deployment")  # the server's own word here


def daemon_set(obj: Fields) -> Iterator[Problem]:
    yield from _replicated(obj.get("spec") or {}, "daemonset")


def stateful_set(obj: Fields) -> Iterator[Problem]:
    spec = obj.get("spec") or {}
    yield from _replicated(spec, "statefulset")
    if spec.get("serviceName"):
        yield from syntax.checked("spec.serviceName", spec["serviceName"], syntax.dns_subdomain)
    if spec["podManagementPolicy"] not in ("OrderedReady", "Parallel"):
        yield unsupported("spec.podManagementPolicy", spec["podManagementPolicy"], ("OrderedReady", "Parallel"))


def job(obj: Fields) -> Iterator[Problem]:
    spec = obj.get("spec") or {}
    yield from numbers.not_negative(
        spec, "spec", "parallelism", "completions", "backoffLimit", "ttlSecondsAfterFinished"
    )
    template = spec.get("template")
    if template is None:
        return
    yield from _template(template)
    policy = (template.get("spec") or {}).get("restartPolicy")
    if policy == "Always":
        remedy = "Write restartPolicy: Never (or OnFailure) in the template: a Job runs to its end."
        yield unsupported("spec.template.spec.restartPolicy", policy, ("Never", "OnFailure"), remedy)


def _replicated(spec: Fields, name: str) -> Iterator[Problem]:
    """What all that keep pods running share: counts, the selector, the template."""
    yield from numbers.not_negative(spec, "spec", "replicas", "minReadySeconds")
    selector, template = spec.get("selector"), spec.get("template")
    faults = list(label_selector(selector or {}, "spec.selector"))
    yield from faults
    if selector is not None and not selector.get("matchLabels") and not selector.get("matchExpressions"):
        remedy = "Add matchLabels with the labels of the template."
        yield invalid("spec.selector", selector, f"empty selector is invalid for {name}", remedy)
    if template is None:
        return
    labels = (template.get("metadata") or {}).get("labels") or {}
    if selector and not faults and not matches(selector, labels):
        detail = "`selector` does not match template `labels`"
        remedy = "Give the template the labels that the selector asks for."
        yield invalid("spec.template.metadata.labels", labels, detail, remedy)
    yield from _template(template)
    pod = template.get("spec") or {}
    if pod.get("restartPolicy", "Always") != "Always":
        remedy = "Leave restartPolicy out: these pods are always restarted."
        yield unsupported("spec.template.spec.restartPolicy", pod["restartPolicy"], ("Always",), remedy)
    if pod.get("activeDeadlineSeconds") is not None:
        yield forbidden(
            "spec.template.spec.activeDeadlineSeconds", "activeDeadlineSeconds in ReplicaSet is not Supported"
        )


def _template(template: Fields) -> Iterator[Problem]:
    yield from meta.labels_and_annotations(template.get("metadata") or {}, "spec.template.metadata")
    if template.get("spec") is None:
        yield required("spec.template.spec.containers", remedy="Add a container: a pod runs at least one.")
    else:
        yield from pod_spec(template["spec"], "spec.template.spec")


def label_selector(selector: Fields, path: str) -> Iterator[Problem]:
    """A LabelSelector's syntax (apimachinery/pkg/apis/meta/v1/validation)."""
    yield from meta.labels(selector.get("matchLabels") or {}, f"{path}.matchLabels")
    for index, item in enumerate(selector.get("matchExpressions") or []):
        where, operator, values = f"{path}.matchExpressions[{index}]", item.get("operator"), item.get("values")
        if operator in ("In", "NotIn") and not values:
            detail = "must be specified when `operator` is 'In' or 'NotIn'"
            yield required(f"{where}.values", detail, "List the values.")
        elif operator in ("Exists", "DoesNotExist") and values:
            detail = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
            yield forbidden(f"{where}.values", detail)
        elif operator is not None and operator not in OPERATORS:
            remedy = f"Write one of {', '.join(OPERATORS)}."
            yield invalid(f"{where}.operator", operator, "not a valid selector operator", remedy)
        if item.get("key") is not None:
            yield from syntax.checked(f"{where}.key", item["key"], syntax.qualified_name)
        for number, value in enumerate(values or []):
            yield from syntax.checked(f"{where}.values[{number}]", value, syntax.label_value)


def _rolling_update(update: Fields, path: str) -> Iterator[Problem]:
    for name in ("maxUnavailable", "maxSurge"):
        value = update[name]
        if isinstance(value, int):
            yield from numbers.not_negative(update, path, name)
        elif numbers.percent(value) is None:
            detail = "must be an integer or percentage (e.g '5%%')"
            yield invalid(f"{path}.{name}", value, detail, "Write a number, or a percentage such as 25%.")
    unavailable = numbers.percent(update["maxUnavailable"])
    if unavailable is not None and unavailable > 100:
        yield invalid(
            f"{path}.maxUnavailable", update["maxUnavailable"], "must not be greater than 100%", "Write less."
        )
    if update["maxUnavailable"] in (0, "0%") and update["maxSurge"] in (0, "0%"):
        remedy = "Let one of the two be more than 0, or the update cannot move."
        yield invalid(f"{path}.maxUnavailable", update["maxUnavailable"], "may not be 0 when `maxSurge` is 0", remedy)
