"""What a Job's pods amount to: who has succeeded, who has failed, by number and by index.

Source: kubernetes/pkg/controller/job/job_controller.go (trackJobStatusAndRemoveFinalizers), backoff_utils.go of v1.34.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from labkit.workloads import pods
from labkit.workloads.jobs import indexes
from labkit.workloads.jobs.pods import is_failed, is_tracked
from labkit.workloads.jobs.policy import verdict

Raw = dict[str, Any]

INDEX_FAILURES = "batch.kubernetes.io/job-index-failure-count"
"""Annotation of a pod: how often its index has failed before."""


class Tally(msgspec.Struct, frozen=True):
    """Sums over pods, those of earlier times included.

    counted     pods that have ended and are counted now: they need not be tracked any longer
    completed, lost  indexes that have succeeded, and those that have failed for good
    fail_job    why a rule says that the whole Job has failed; empty where none does
    """

    active: tuple[Raw, ...]
    terminating: int
    counted: tuple[Raw, ...]
    succeeded: int
    failed: int
    completed: frozenset[int]
    lost: frozenset[int]
    fail_job: str


def tally(job: Raw, found: Sequence[Raw], *, all_failed: bool) -> Tally:
    """Count a Job's pods; with `all_failed`, those that are still to end count as failed, for the Job has."""
    status, indexed = job.get("status", {}), is_indexed(job)
    counted, succeeded, failed, why = [], int(status.get("succeeded", 0)), int(status.get("failed", 0)), ""
    most = job["spec"].get("completions", 0) if indexed else 0
    completed, lost = (indexes.parse(status.get(name, ""), most) for name in ("completedIndexes", "failedIndexes"))
    for pod in found:
        if not is_tracked(pod):
            continue
        if pods.phase(pod) == "Succeeded":
            index = indexes.of(pod)
            if indexed and index is not None and index < job["spec"]["completions"]:
                completed.add(index)
            succeeded += 1
        elif is_failed(job, pod) or all_failed:
            rule = verdict(job, pod)
            why = why or (rule.message if rule.action == "FailJob" else "")
            failed += rule.action != "Ignore"
            lost |= _lost(job, pod, rule.action)
        else:
            continue
        counted.append(pod)
    alive = [pod for pod in found if not pods.has_ended(pod)]
    return Tally(
        active=tuple(pod for pod in alive if not pods.is_terminating(pod)),
        terminating=sum(pods.is_terminating(pod) for pod in alive),
        counted=tuple(counted),
        succeeded=len(completed) if indexed else succeeded,
        failed=failed,
        completed=frozenset(completed),
        lost=frozenset(lost - completed),
        fail_job=why,
    )


def is_indexed(job: Raw) -> bool:
    return bool(job["spec"].get("completionMode") == "Indexed")


def index_failures(found: Sequence[Raw], index: int) -> int:
    """How often an index has failed, by what its failed pods say."""
    said = [
        int(pod["metadata"].get("annotations", {}).get(INDEX_FAILURES, "0")) + 1
        for pod in found
        if indexes.of(pod) == index and pods.phase(pod) == "Failed"
    ]
    return max(said, default=0)


def _lost(job: Raw, pod: Raw, action: str) -> set[int]:
    index, limit = indexes.of(pod), job["spec"].get("backoffLimitPerIndex")
    if limit is None or index is None or action == "Ignore":
        return set()
    return {index} if action == "FailIndex" or index_failures([pod], index) > limit else set()
