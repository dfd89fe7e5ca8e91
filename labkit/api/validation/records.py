"""Small kinds: Events, Leases, APIServices (pkg/apis/core/validation/events.go, coordination, kube-aggregator)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from labkit.api.problem import Problem, forbidden, invalid, required
from labkit.api.validation import numbers, syntax

LIMITS = {"reportingInstance": 128, "action": 128, "reason": 128}
LONGEST_NOTE = 1024

Fields = dict[str, Any]


def event(obj: Fields) -> Iterator[Problem]:
    """Those with an eventTime follow the newer rules."""
    own = (obj.get("metadata") or {}).get("namespace") or ""
    theirs = (obj.get("involvedObject") or {}).get("namespace") or ""
    newer = obj.get("eventTime") is not None
    if newer and not theirs:
        matches = own in ("default", "kube-system")
    else:
        matches = own == theirs or (not theirs and own == "default")
    if not matches:
        remedy = "Keep an Event in the namespace of what it is about; in default for cluster-wide objects."
        yield invalid("involvedObject.namespace", theirs, "does not match event.namespace", remedy)
    if not newer:
        return
    reporter = obj.get("reportingComponent")
    if not reporter:
        yield required("reportingController")
    yield from syntax.checked("reportingController", reporter or "", syntax.qualified_name)
    for field, limit in LIMITS.items():
        if not obj.get(field):
            yield required(field)
        elif len(obj[field]) > limit:
            yield invalid(field, "", f"can have at most {limit} characters", "Shorten it.")
    if len(obj.get("message") or "") > LONGEST_NOTE:
        yield invalid("message", "", f"can have at most {LONGEST_NOTE} characters", "Shorten it.")


def lease(obj: Fields) -> Iterator[Problem]:
    spec = obj.get("spec") or {}
    seconds = spec.get("leaseDurationSeconds")
    if seconds is not None and seconds <= 0:
        yield invalid("spec.leaseDurationSeconds", seconds, "must be greater than 0", "Write 1 or more.")
    yield from numbers.not_negative(spec, "spec", "leaseTransitions")
    if spec.get("preferredHolder") and not spec.get("strategy"):
        yield forbidden("spec.preferredHolder", "may only be specified if `strategy` is defined")


def api_service(obj: Fields) -> Iterator[Problem]:
    spec, name = obj.get("spec") or {}, (obj.get("metadata") or {}).get("name") or ""
    group, version = spec.get("group") or "", spec.get("version") or ""
    if name != f"{version}.{group}":
        why = f'must be `spec.version+"."+spec.group`: "{version}.{group}"'
        yield invalid("metadata.name", name, why, f"Write {version}.{group}.")
    if group:
        yield from syntax.checked("spec.group", group, syntax.dns_subdomain)
    if not version:
        yield required("spec.version")
    else:
        yield from syntax.checked("spec.version", version, syntax.dns1035_label)
    for field, low, high in (("groupPriorityMinimum", 1, 20000), ("versionPriority", 1, 1000)):
        value = spec.get(field) or 0
        if not low <= value <= high:
            why = f"must be positive and less than {high}"
            yield invalid(f"spec.{field}", value, why, f"Choose from {low} to {high}.")
    if spec.get("service") is None and spec.get("insecureSkipTLSVerify"):
        why = "local APIServices may not have insecureSkipTLSVerify"
        yield invalid("spec.insecureSkipTLSVerify", True, why, "Remove it.")
