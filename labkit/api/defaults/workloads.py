"""Workloads (pkg/apis/{apps,batch,autoscaling,policy}/*/defaults.go of v1.34)."""

from __future__ import annotations

import copy

from labkit.api.defaults.fields import Fields, amounts, fill
from labkit.api.defaults.pods import pod_spec

PROGRESS_SECONDS = 600
NO_LIMIT = 2**31 - 1
PODS_UP = {"type": "Pods", "value": 4, "periodSeconds": 15}
ALL = {"type": "Percent", "value": 100, "periodSeconds": 15}
UP: Fields = {"stabilizationWindowSeconds": 0, "selectPolicy": "Max", "policies": [PODS_UP, ALL]}
DOWN: Fields = {"selectPolicy": "Max", "policies": [ALL]}
CPU_USED = {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}}


def template(spec: Fields) -> None:
    held = spec.get("template")
    if held is not None and "spec" in held:
        pod_spec(held["spec"])


def replicated(obj: Fields) -> None:
    spec = obj.setdefault("spec", {})
    fill(spec, replicas=1)
    template(spec)


def deployment(obj: Fields) -> None:
    replicated(obj)
    spec = obj["spec"]
    fill(spec, revisionHistoryLimit=10, progressDeadlineSeconds=PROGRESS_SECONDS)
    strategy = spec.setdefault("strategy", {})
    fill(strategy, type="RollingUpdate")
    if strategy["type"] == "RollingUpdate":
        fill(strategy.setdefault("rollingUpdate", {}), maxUnavailable="25%", maxSurge="25%")


def daemon_set(obj: Fields) -> None:
    spec = obj.setdefault("spec", {})
    template(spec)
    fill(spec, revisionHistoryLimit=10)
    strategy = spec.setdefault("updateStrategy", {})
    fill(strategy, type="RollingUpdate")
    if strategy["type"] == "RollingUpdate":
        fill(strategy.setdefault("rollingUpdate", {}), maxUnavailable=1, maxSurge=0)


def stateful_set(obj: Fields) -> None:
    replicated(obj)
    spec = obj["spec"]
    fill(spec, podManagementPolicy="OrderedReady", revisionHistoryLimit=10)
    strategy = spec.setdefault("updateStrategy", {})
    fill(strategy, type="RollingUpdate")
    if strategy["type"] == "RollingUpdate":
        fill(strategy.setdefault("rollingUpdate", {}), partition=0)
    fill(spec.setdefault("persistentVolumeClaimRetentionPolicy", {}), whenDeleted="Retain", whenScaled="Retain")
    for claim in spec.get("volumeClaimTemplates", ()):
        fill(claim, apiVersion="v1", kind="PersistentVolumeClaim")
        claim_spec(claim.setdefault("spec", {}))
        fill(claim.setdefault("status", {}), phase="Pending")


def job(obj: Fields) -> None:
    """A Job without labels takes those of its template."""
    spec = obj.setdefault("spec", {})
    template(spec)
    labels = (spec.get("template") or {}).get("metadata", {}).get("labels")
    if labels and not obj["metadata"].get("labels"):
        obj["metadata"]["labels"] = dict(labels)
    if "completions" not in spec and "parallelism" not in spec:
        spec["completions"] = 1
    fill(spec, parallelism=1, completionMode="NonIndexed", suspend=False, manualSelector=False)
    fill(spec, backoffLimit=NO_LIMIT if "backoffLimitPerIndex" in spec else 6)
    fill(spec, podReplacementPolicy="Failed" if "podFailurePolicy" in spec else "TerminatingOrFailed")
    for rule in (spec.get("podFailurePolicy") or {}).get("rules", ()):
        for pattern in rule.get("onPodConditions", ()):
            fill(pattern, status="True")


def cron_job(obj: Fields) -> None:
    spec = obj.setdefault("spec", {})
    fill(spec, concurrencyPolicy="Allow", suspend=False, successfulJobsHistoryLimit=3, failedJobsHistoryLimit=1)
    template((spec.get("jobTemplate") or {}).get("spec") or {})


def autoscaler(obj: Fields) -> None:
    spec = obj.setdefault("spec", {})
    fill(spec, minReplicas=1)
    if not spec.get("metrics"):
        spec["metrics"] = [{"type": "Resource", "resource": copy.deepcopy(CPU_USED)}]
    behavior = spec.get("behavior")
    if behavior is not None:
        for name, rules in (("scaleUp", UP), ("scaleDown", DOWN)):
            behavior[name] = {**copy.deepcopy(rules), **behavior.get(name, {})}


def claim_spec(spec: Fields) -> None:
    """The spec of a PersistentVolumeClaim."""
    fill(spec, volumeMode="Filesystem")
    amounts(spec.setdefault("resources", {}), "requests", "limits")
