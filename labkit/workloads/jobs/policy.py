"""A Job's own rules for failed pods and for early success.

Source: kubernetes/pkg/controller/job/pod_failure_policy.go, success_policy.go of v1.34.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from labkit.workloads.jobs import indexes
from labkit.workloads.ownership import key

Raw = dict[str, Any]


class Verdict(msgspec.Struct, frozen=True):
    """What a failed pod means: "Count", "Ignore", "FailIndex" or "FailJob" with its reason in words."""

    action: str = "Count"
    message: str = ""


def verdict(job: Raw, pod: Raw) -> Verdict:
    """By the first rule of `podFailurePolicy` that matches; else the failure counts."""
    for number, rule in enumerate(job["spec"].get("podFailurePolicy", {}).get("rules", ())):
        what = _exit_code(rule, pod) if "onExitCodes" in rule else _condition(rule, pod)
        if what:
            message = f"{what} matching {rule['action']} rule at index {number}"
            return Verdict(rule["action"], message)
    return Verdict()


def success(job: Raw, completed: set[int]) -> str:
    """Which rule of `successPolicy` the completed indexes satisfy, in words; empty where none does."""
    for number, rule in enumerate(job["spec"].get("successPolicy", {}).get("rules", ())):
        named = indexes.parse(rule.get("succeededIndexes", ""), job["spec"]["completions"])
        counted = completed & named if "succeededIndexes" in rule else completed
        if len(counted) >= rule.get("succeededCount", len(named)):
            return f"Matched rules at index {number}"
    return ""


def _exit_code(rule: Raw, pod: Raw) -> str:
    wanted = rule["onExitCodes"]
    for name, code in _exit_codes(pod):
        if wanted.get("containerName", name) != name or code == 0:
            continue
        if (code in wanted["values"]) is (wanted["operator"] == "In"):
            return f"Container {name} for pod {key(pod)} failed with exit code {code}"
    return ""


def _condition(rule: Raw, pod: Raw) -> str:
    conditions = pod.get("status", {}).get("conditions", ())
    for pattern in rule.get("onPodConditions", ()):
        wanted = pattern["type"], pattern.get("status", "True")
        if any((c["type"], c["status"]) == wanted for c in conditions):
            return f"Pod {key(pod)} has condition {pattern['type']}"
    return ""


def _exit_codes(pod: Raw) -> Iterator[tuple[str, int]]:
    status = pod.get("status", {})
    each: Iterable[Raw] = [*status.get("initContainerStatuses", ()), *status.get("containerStatuses", ())]
    for container in each:
        if ended := container.get("state", {}).get("terminated"):
            yield container["name"], ended.get("exitCode", 0)
