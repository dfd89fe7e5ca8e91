"""Jobs and CronJobs (pkg/apis/batch/validation)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from labkit.api.problem import Problem, invalid, required, shown, too_many, unsupported
from labkit.api.validation import cron, numbers, selector, syntax
from labkit.api.validation.workload import template_spec

COUNTS = ("parallelism", "completions", "activeDeadlineSeconds", "backoffLimit", "ttlSecondsAfterFinished",
          "backoffLimitPerIndex", "maxFailedIndexes")  # fmt: skip
MODES = ("Indexed", "NonIndexed")
MOST_INDEXED = 100_000
MOST_RULES = 20
LONGEST_CRON_NAME = 52
ACTIONS = ("Count", "FailIndex", "FailJob", "Ignore")
WRONG_POLICY = 'valid values: "OnFailure", "Never"'

Fields = dict[str, Any]


def job(obj: Fields) -> Iterator[Problem]:
    spec = obj.get("spec") or {}
    yield from selector.label_selector(spec.get("selector"), "spec.selector")
    yield from _job_spec(spec, "spec")
    name, completions = (obj.get("metadata") or {}).get("name") or "", spec.get("completions") or 0
    if spec.get("completionMode") == "Indexed" and completions > 0:
        hostname = f"{name}-{completions - 1}"
        if list(syntax.dns_label(hostname)):
            why = f"will not able to create pod with invalid DNS label: {hostname}"
            yield invalid("metadata.name", name, why, "Choose a shorter name without dots.")


def cron_job(obj: Fields) -> Iterator[Problem]:
    spec = obj.get("spec") or {}
    name = (obj.get("metadata") or {}).get("name") or ""
    if len(name) > LONGEST_CRON_NAME:
        yield invalid("metadata.name", name, "must be no more than 52 characters", "Shorten it: Jobs get a suffix.")
    yield from _schedule(spec)
    yield from numbers.not_negative(
        spec, "spec", "startingDeadlineSeconds", "successfulJobsHistoryLimit", "failedJobsHistoryLimit"
    )
    policies = ("Allow", "Forbid", "Replace")
    if spec.get("concurrencyPolicy") not in policies:
        yield unsupported("spec.concurrencyPolicy", spec.get("concurrencyPolicy"), policies)
    template = spec.get("jobTemplate") or {}
    if template.get("spec") is not None:
        yield from _job_spec(template["spec"], "spec.jobTemplate.spec")


def _schedule(spec: Fields) -> Iterator[Problem]:
    schedule, zone = spec.get("schedule"), spec.get("timeZone")
    if schedule == "":
        yield required("spec.schedule")
    elif schedule is not None:
        if why := cron.fault(schedule):
            remedy = 'Write five fields: minute, hour, day of month, month, day of week, such as "*/5 * * * *".'
            yield invalid("spec.schedule", schedule, why, remedy)
        if "TZ" in schedule:
            why = "cannot use TZ or CRON_TZ in schedule, use timeZone field instead"
            yield invalid("spec.schedule", schedule, why, "Write timeZone.")
    if zone is not None and (why := cron.zone_fault(zone)):
        yield invalid("spec.timeZone", zone, why, "Write a name such as Europe/Berlin or Etc/UTC.")


def _job_spec(spec: Fields, path: str) -> Iterator[Problem]:
    yield from numbers.not_negative(spec, path, *COUNTS)
    yield from _indexed(spec, path)
    policy, rules = spec.get("podFailurePolicy"), (spec.get("podFailurePolicy") or {}).get("rules") or []
    if len(rules) > MOST_RULES:
        yield too_many(f"{path}.podFailurePolicy.rules", len(rules), MOST_RULES)
    for index, rule in enumerate(rules):
        yield from _failure_rule(rule, f"{path}.podFailurePolicy.rules[{index}]")
    allowed = ("Failed",) if policy is not None else ("Failed", "TerminatingOrFailed")
    replacement = spec.get("podReplacementPolicy")
    if replacement is not None and replacement not in allowed:
        yield unsupported(f"{path}.podReplacementPolicy", replacement, allowed)
    template = spec.get("template")
    if template is not None:
        yield from template_spec(template, f"{path}.template")
        yield from _restarts(template, f"{path}.template.spec.restartPolicy", policy is not None)


def _restarts(template: Fields, path: str, has_policy: bool) -> Iterator[Problem]:
    policy = (template.get("spec") or {}).get("restartPolicy")
    remedy = "Write restartPolicy: Never (or OnFailure) in the template: a Job runs to its end."
    if policy in ("Always", "", None):
        yield required(path, WRONG_POLICY, remedy)
    elif has_policy and policy == "OnFailure":
        why = 'only "Never" is supported when podFailurePolicy is specified'
        yield invalid(path, policy, why, "Write Never.")


def _indexed(spec: Fields, path: str) -> Iterator[Problem]:
    mode = spec.get("completionMode")
    if mode is not None and mode not in MODES:
        yield unsupported(f"{path}.completionMode", mode, MODES)
    if mode == "Indexed":
        if spec.get("completions") is None:
            yield required(f"{path}.completions", "when completion mode is Indexed")
        if (spec.get("parallelism") or 0) > MOST_INDEXED:
            why = f"must be less than or equal to {MOST_INDEXED} when completion mode is Indexed"
            yield invalid(f"{path}.parallelism", spec["parallelism"], why, "Choose a smaller number.")
        if spec.get("maxFailedIndexes") is not None and spec.get("backoffLimitPerIndex") is None:
            yield required(f"{path}.backoffLimitPerIndex", "when maxFailedIndexes is specified")
        for index, rule in enumerate((spec.get("successPolicy") or {}).get("rules") or []):
            yield from _success_rule(rule, spec.get("completions") or 0, f"{path}.successPolicy.rules[{index}]")
        return
    for name in ("backoffLimitPerIndex", "maxFailedIndexes", "successPolicy"):
        if spec.get(name) is not None:
            remedy = "Write completionMode: Indexed, or remove it."
            yield invalid(f"{path}.{name}", spec[name], "requires indexed completion mode", remedy)


def _success_rule(rule: Fields, completions: int, path: str) -> Iterator[Problem]:
    text, count = rule.get("succeededIndexes"), rule.get("succeededCount")
    if text is None and count is None:
        yield required(path, "at least one of succeededCount or succeededIndexes must be specified")
    if text is not None and (why := _no_indexes(text, completions)):
        yield invalid(f"{path}.succeededIndexes", text, f"error parsing succeededIndexes: {why}")
    yield from numbers.not_negative(rule, path, "succeededCount")
    if count is not None and count > completions:
        why = f"must be less than or equal to {completions} (the number of specified completions)"
        yield invalid(f"{path}.succeededCount", count, why, "Choose a smaller number.")


def _no_indexes(text: str, completions: int) -> str:
    """What is wrong with numbers and runs of them in rising order, such as "0-3,5"; empty where nothing is."""
    before = -1
    for part in text.split(",") if text else ():
        ends = part.split("-")
        if len(ends) > 2:
            return (
                f"the fragment {shown(part)} violates the requirement that an index interval can have at most two parts"
            )
        for end in ends:
            if not re.fullmatch(r"\d{1,10}", end, re.ASCII):
                return f"cannot convert string to integer for index: {shown(end)}"
            if int(end) >= completions:
                return f"too large index: {shown(end)}"
            if int(end) <= before:
                return f"non-increasing order, previous: {before}, current: {end}"
            before = int(end)
    return ""


def _failure_rule(rule: Fields, path: str) -> Iterator[Problem]:
    action = rule.get("action")
    if action is not None and action not in ACTIONS:
        yield unsupported(f"{path}.action", action, ACTIONS)
    codes, conditions = rule.get("onExitCodes"), rule.get("onPodConditions")
    if codes is not None and conditions:
        yield invalid(path, "", "specifying both OnExitCodes and OnPodConditions is not supported", "Keep one.")
    elif codes is None and not conditions:
        yield invalid(path, "", "specifying one of OnExitCodes and OnPodConditions is required", "Add one.")
    if codes is not None and codes.get("operator") not in (None, "In", "NotIn"):
        yield unsupported(f"{path}.onExitCodes.operator", codes["operator"], ("In", "NotIn"))
    if codes is not None and codes.get("operator") == "In" and 0 in (codes.get("values") or []):
        why = "must not be 0 for the In operator"
        yield invalid(f"{path}.onExitCodes.values[{codes['values'].index(0)}]", 0, why, "Remove it.")
