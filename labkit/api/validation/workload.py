"""Deployments, ReplicaSets, DaemonSets, StatefulSets, ControllerRevisions (pkg/apis/apps/validation)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from labkit.api.problem import Problem, forbidden, invalid, required, unsupported
from labkit.api.selectors import matches
from labkit.api.validation import meta, numbers, syntax
from labkit.api.validation.pod import pod_spec
from labkit.api.validation.selector import label_selector

Fields = dict[str, Any]
UPDATES = ("OnDelete", "RollingUpdate")
NONE = (0, "0%")


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
    spec = obj.get("spec") or {}
    yield from _replicated(spec, "deployment")  # the server's own word here
    if spec.get("template") is None:
        yield required("spec.template.spec.containers", remedy="Add a template for the pods.")


def daemon_set(obj: Fields) -> Iterator[Problem]:
    spec = obj.get("spec") or {}
    yield from _replicated(spec, "daemonset")
    yield from numbers.not_negative(spec, "spec", "revisionHistoryLimit")
    strategy, path = spec["updateStrategy"], "spec.updateStrategy"
    if strategy["type"] not in UPDATES:
        yield unsupported(path, strategy["type"], UPDATES)
    elif strategy["type"] == "RollingUpdate":
        yield from _rolling_daemons(strategy.get("rollingUpdate") or {}, f"{path}.rollingUpdate")


def _rolling_daemons(update: Fields, path: str) -> Iterator[Problem]:
    names = ("maxUnavailable", "maxSurge")
    for name in names:
        yield from numbers.count_or_percent(f"{path}.{name}", update.get(name, 0))
    unavailable, surge = (update.get(name, 0) not in NONE for name in names)
    if unavailable and surge:
        why = "may not be set when maxUnavailable is non-zero"
        yield invalid(f"{path}.maxSurge", update["maxSurge"], why, "Leave one of the two out.")
    elif not unavailable and not surge:
        yield required(f"{path}.maxUnavailable", "cannot be 0 when maxSurge is 0")


def stateful_set(obj: Fields) -> Iterator[Problem]:
    spec = obj.get("spec") or {}
    yield from _replicated(spec, "statefulset")
    if spec.get("serviceName"):
        yield from syntax.checked("spec.serviceName", spec["serviceName"], syntax.dns_subdomain)
    if spec["podManagementPolicy"] not in ("OrderedReady", "Parallel"):
        yield unsupported("spec.podManagementPolicy", spec["podManagementPolicy"], ("OrderedReady", "Parallel"))
    yield from numbers.not_negative(spec, "spec", "revisionHistoryLimit")
    yield from numbers.not_negative(spec.get("ordinals") or {}, "spec.ordinals", "start")
    for index, claim in enumerate(spec.get("volumeClaimTemplates") or []):
        if not (claim.get("metadata") or {}).get("name"):
            yield required(
                f"spec.volumeClaimTemplates[{index}].metadata.name", remedy="Name it as the volume it is for."
            )
    yield from _stateful_update(spec["updateStrategy"], "spec.updateStrategy")
    for name, policy in (spec.get("persistentVolumeClaimRetentionPolicy") or {}).items():
        if policy not in ("Retain", "Delete"):
            path = f"spec.persistentVolumeClaimRetentionPolicy.{name}"
            yield unsupported(path, policy, ("Retain", "Delete"))


def _stateful_update(strategy: Fields, path: str) -> Iterator[Problem]:
    rolling = strategy.get("rollingUpdate")
    if strategy["type"] not in UPDATES:
        yield invalid(path, strategy, "must be 'RollingUpdate' or 'OnDelete'")
    elif strategy["type"] == "OnDelete" and rolling is not None:
        yield invalid(f"{path}.rollingUpdate", rolling, "only allowed for updateStrategy 'RollingUpdate'")
    elif rolling is not None:
        yield from numbers.not_negative(rolling, f"{path}.rollingUpdate", "partition")
        if (most := rolling.get("maxUnavailable")) is not None:
            yield from numbers.count_or_percent(f"{path}.rollingUpdate.maxUnavailable", most)
            if most in NONE:
                yield invalid(f"{path}.rollingUpdate.maxUnavailable", most, "cannot be 0", "Write 1 or more.")


def _replicated(spec: Fields, name: str) -> Iterator[Problem]:
    """What all that keep pods running share: counts, the selector, the template."""
    yield from numbers.not_negative(spec, "spec", "replicas", "minReadySeconds")
    selector, template = spec.get("selector"), spec.get("template")
    faults = list(label_selector(selector, "spec.selector"))
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
    yield from template_spec(template, "spec.template")
    pod = template.get("spec") or {}
    if pod.get("restartPolicy", "Always") != "Always":
        remedy = "Leave restartPolicy out: these pods are always restarted."
        yield unsupported("spec.template.spec.restartPolicy", pod["restartPolicy"], ("Always",), remedy)
    if pod.get("activeDeadlineSeconds") is not None:
        yield forbidden(
            "spec.template.spec.activeDeadlineSeconds", "activeDeadlineSeconds in ReplicaSet is not Supported"
        )


def template_spec(template: Fields, path: str) -> Iterator[Problem]:
    """A pod template, of whatever owner."""
    yield from meta.labels_and_annotations(template.get("metadata") or {}, f"{path}.metadata")
    if template.get("spec") is None:
        yield required(f"{path}.spec.containers", remedy="Add a container: a pod runs at least one.")
    else:
        yield from pod_spec(template["spec"], f"{path}.spec")


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


def controller_revision(obj: Fields) -> Iterator[Problem]:
    if obj.get("data") is None:
        yield required("data", "data is mandatory")
    elif not isinstance(obj["data"], dict):
        yield required("data", "data must be a valid JSON object")
    yield from numbers.not_negative(obj, "", "revision")
