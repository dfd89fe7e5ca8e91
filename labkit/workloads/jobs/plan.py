"""The next step of a Job, as plain values: its new status, pods to make and to delete, what to say.

    pods ──> tally ──> finished? ──> delete what runs, then the last condition
                          └─ no ──> suspended? ──> delete what runs
                                       └─ no ──> as many pods as are wanted now

Source: kubernetes/pkg/controller/job/job_controller.go (syncJob, manageJob, enactJobFinished) of v1.34.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec

from labkit.control import conditions
from labkit.control.deletion import timestamp
from labkit.workloads.jobs import indexes
from labkit.workloads.jobs import pods as job_pods
from labkit.workloads.jobs.policy import success
from labkit.workloads.jobs.tally import Tally, is_indexed, tally
from labkit.workloads.pods import condition, is_ready

Raw = dict[str, Any]
Said = tuple[str, str, str]
"""(type, reason, message) of an Event."""
PROBED = "lastProbeTime"
FINAL = {"SuccessCriteriaMet": "Complete", "FailureTarget": "Failed"}


class Outcome(msgspec.Struct, frozen=True):
    """status: the new one; counted: pods to track no longer; `create`: indexes of new pods (None for one without).

    drop, kill: pods to delete, those of `drop` without being counted as failed; again: in how many seconds to look.
    """

    status: Raw
    counted: tuple[Raw, ...] = ()
    create: tuple[int | None, ...] = ()
    drop: tuple[Raw, ...] = ()
    kill: tuple[Raw, ...] = ()
    said: tuple[Said, ...] = ()
    again: float | None = None


def is_finished(job: Raw) -> bool:
    return any(condition(job, kind).get("status") == "True" for kind in FINAL.values())


def plan(job: Raw, found: Sequence[Raw], now: datetime) -> Outcome:
    """What to do for a Job that is not finished and has these pods."""
    target = next((c for kind in FINAL if (c := condition(job, kind))), None)
    counts = tally(job, found, all_failed=bool(target and target["type"] == "FailureTarget"))
    status = {**job.get("status", {})}
    suspended = bool(job["spec"].get("suspend"))
    if not suspended:
        status.setdefault("startTime", timestamp(now))
    target = target or _target(job, status, counts, now)
    if target is not None:
        return _finish(job, status, counts, target, now)
    status, said = _suspension(job, status, suspended, now)
    if suspended:
        status.pop("startTime", None)
        return Outcome(_counted(job, status, counts), counts.counted, drop=counts.active, said=said)
    create, drop, wait = _manage(job, counts, found, now)
    waits = [each for each in (wait, _until_deadline(job, status, now)) if each is not None]
    shown = _counted(job, status, counts)
    return Outcome(shown, counts.counted, create, drop, said=said, again=min(waits, default=None))


def _target(job: Raw, status: Raw, counts: Tally, now: datetime) -> Raw | None:
    """The condition of a Job that has just succeeded or failed, while its pods may still run."""
    spec = job["spec"]

    def failed(reason: str, message: str) -> Raw:
        return conditions.make("FailureTarget", "True", reason, message)

    if counts.fail_job:
        return failed("PodFailurePolicy", counts.fail_job)
    restarts = job_pods.restarts(counts.active) if spec["template"]["spec"].get("restartPolicy") == "OnFailure" else 0
    limit = spec.get("backoffLimit", 6)
    if counts.failed > limit or (restarts and restarts >= max(limit, 1)):
        return failed("BackoffLimitExceeded", "Job has reached the specified backoff limit")
    if _until_deadline(job, status, now) == 0:
        return failed("DeadlineExceeded", "Job was active longer than specified deadline")
    if len(counts.lost) > spec.get("maxFailedIndexes", len(counts.lost)):
        message = "Job has exceeded the specified maximal number of failed indexes"
        return failed("MaxFailedIndexesExceeded", message)
    if counts.lost and len(counts.lost) + len(counts.completed) >= spec["completions"]:
        return failed("FailedIndexes", "Job has failed indexes")
    if matched := success(job, set(counts.completed)):
        return conditions.make("SuccessCriteriaMet", "True", "SuccessPolicy", matched)
    if _completed(job, counts):
        message = "Reached expected number of succeeded pods"
        return conditions.make("SuccessCriteriaMet", "True", "CompletionsReached", message)
    return None


def _completed(job: Raw, counts: Tally) -> bool:
    completions = job["spec"].get("completions")
    if completions is None:
        return counts.succeeded > 0 and not counts.active
    return counts.succeeded >= int(completions)


def _finish(job: Raw, status: Raw, counts: Tally, target: Raw, now: datetime) -> Outcome:
    """Delete what still runs; say the last word when it is gone."""
    time = timestamp(now)
    texts = target.get("reason", ""), target.get("message", "")
    wanted = [conditions.make(target["type"], "True", *texts)]
    said: tuple[Said, ...] = ()
    if not counts.active and not counts.terminating:
        wanted.append(conditions.make(FINAL[target["type"]], "True", *texts))
        if target["type"] == "SuccessCriteriaMet":
            status["completionTime"] = time
            said = (("Normal", "Completed", "Job completed"),)
        else:
            said = (("Warning", *texts),)
    status["conditions"] = conditions.merged(status.get("conditions", ()), wanted, time, PROBED)
    return Outcome(_counted(job, status, counts), counts.counted, kill=counts.active, said=said)


def _suspension(job: Raw, status: Raw, suspended: bool, now: datetime) -> tuple[Raw, tuple[Said, ...]]:
    before = condition(job, "Suspended").get("status", "False")
    if (before == "True") is suspended:
        return status, ()
    word = "Suspended" if suspended else "Resumed"
    wanted = conditions.make("Suspended", str(suspended), f"Job{word}", f"Job {word.lower()}")
    merged = conditions.merged(status.get("conditions", ()), [wanted], timestamp(now), PROBED)
    new = {**status, "conditions": merged}
    if not suspended:
        new["startTime"] = timestamp(now)
    return new, (("Normal", word, f"Job {word.lower()}"),)


def _manage(
    job: Raw, counts: Tally, found: Sequence[Raw], now: datetime
) -> tuple[tuple[int | None, ...], tuple[Raw, ...], float | None]:
    """(indexes of pods to make, pods that are too many, seconds until more may be made)."""
    spec = job["spec"]
    completions, parallelism = spec.get("completions"), spec.get("parallelism", 1)
    if completions is None:
        wanted = len(counts.active) if counts.succeeded else parallelism
    else:
        wanted = min(parallelism, completions - counts.succeeded - len(counts.lost))
    surplus = len(counts.active) - max(0, wanted)
    if surplus > 0:
        return (), tuple(job_pods.removal_order(counts.active)[:surplus]), None
    waiting = counts.terminating if spec.get("podReplacementPolicy") == "Failed" else 0
    missing = wanted - len(counts.active) - waiting
    if missing <= 0:
        return (), (), None
    if is_indexed(job):
        return _missing_indexes(job, counts, found, missing, now)
    wait = job_pods.pause(*job_pods.failures_in_a_row(found, now), now)
    return ((), (), wait) if wait else ((None,) * missing, (), None)


def _missing_indexes(
    job: Raw, counts: Tally, found: Sequence[Raw], missing: int, now: datetime
) -> tuple[tuple[int | None, ...], tuple[Raw, ...], float | None]:
    """The lowest indexes without a pod; each waits for its own failures where those are limited by index."""
    taken = {indexes.of(pod) for pod in counts.active} | counts.completed | counts.lost
    free = [index for index in range(job["spec"]["completions"]) if index not in taken][:missing]
    by_index = "backoffLimitPerIndex" in job["spec"]
    waits = {
        index: job_pods.pause(*job_pods.failures_in_a_row(among, now), now)
        for index in free
        for among in [[pod for pod in found if indexes.of(pod) == index] if by_index else found]
    }
    later = [wait for wait in waits.values() if wait]
    return tuple(index for index in free if not waits[index]), (), min(later, default=None)


def _until_deadline(job: Raw, status: Raw, now: datetime) -> float | None:
    seconds = job["spec"].get("activeDeadlineSeconds")
    if seconds is None or "startTime" not in status or job["spec"].get("suspend"):
        return None
    due = datetime.fromisoformat(status["startTime"]) + timedelta(seconds=seconds)
    return max(0.0, (due - now).total_seconds())


def _counted(job: Raw, status: Raw, counts: Tally) -> Raw:
    numbers = {"active": len(counts.active), "succeeded": counts.succeeded, "failed": counts.failed}
    texts = {}
    if is_indexed(job):
        texts = {"completedIndexes": indexes.written(counts.completed), "failedIndexes": indexes.written(counts.lost)}
    kept = {name: value for name, value in status.items() if name not in numbers and name not in texts}
    return {
        **kept,
        **{name: value for name, value in {**numbers, **texts}.items() if value},
        "ready": sum(is_ready(pod) for pod in counts.active),
        "terminating": counts.terminating,
        "uncountedTerminatedPods": {},
    }
