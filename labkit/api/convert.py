"""Other versions of stored kinds: `to_stored` on the way in, `from_stored` on the way out.

    events.k8s.io/v1 Event <-> v1 Event       autoscaling/v1 <-> autoscaling/v2 HorizontalPodAutoscaler

Whatever has no conversion of its own changes its `apiVersion` only, as custom resources do (strategy None).
Source: pkg/apis/core/v1/conversion.go and pkg/apis/events/v1/conversion.go; pkg/apis/autoscaling/v1/conversion.go.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from labkit.api import schema
from labkit.api.kinds import BY_KIND, store_kind

Raw = dict[str, Any]

EVENTS, CORE = "events.k8s.io/v1", "v1"
AUTOSCALING1, AUTOSCALING2 = "autoscaling/v1", "autoscaling/v2"
EVENT_NAMES = {
    "regarding": "involvedObject",
    "note": "message",
    "reportingController": "reportingComponent",
    "deprecatedSource": "source",
    "deprecatedFirstTimestamp": "firstTimestamp",
    "deprecatedLastTimestamp": "lastTimestamp",
    "deprecatedCount": "count",
}
KEPT_METRICS = "autoscaling.alpha.kubernetes.io/metrics"
KEPT_CURRENT = "autoscaling.alpha.kubernetes.io/current-metrics"
KEPT_CONDITIONS = "autoscaling.alpha.kubernetes.io/conditions"
KEPT_BEHAVIOR = "autoscaling.alpha.kubernetes.io/behavior"
KEPT = (KEPT_METRICS, KEPT_CURRENT, KEPT_CONDITIONS, KEPT_BEHAVIOR)


def to_stored(raw: Raw) -> Raw:
    """The object in the version that the store keeps; itself where it is in that version."""
    known = BY_KIND.get(store_kind(raw["apiVersion"], raw["kind"]))
    return raw if known is None else _converted(raw, known.api_version)


def from_stored(raw: Raw, api_version: str) -> Raw:
    """A stored object in another version of its kind; itself where it is in that version. Shares parts with it."""
    return _converted(raw, api_version)


def _converted(raw: Raw, api_version: str) -> Raw:
    if raw["apiVersion"] == api_version:
        return raw
    change = CHANGES.get((raw["apiVersion"], api_version))
    made = raw if change is None else change(raw)
    return {**made, "apiVersion": api_version}


def _renamed(raw: Raw, names: dict[str, str]) -> Raw:
    return {names.get(name, name): value for name, value in raw.items()}


def _autoscaler_in(raw: Raw) -> Raw:
    """The CPU target of v1 as v2's list of metrics, and what v2 has more out of annotations, where it has sense."""
    metadata, kept = _without_kept(raw)
    made = _with_kept(raw, metadata, kept)
    return _with_kept(raw, metadata, {}) if kept and schema.problems(made) else made


def _with_kept(raw: Raw, metadata: Raw, kept: Raw) -> Raw:
    spec, status = dict(raw.get("spec") or {}), dict(raw.get("status") or {})
    metrics, current = (_listed(kept.get(key)) for key in (KEPT_METRICS, KEPT_CURRENT))
    target, used = spec.pop("targetCPUUtilizationPercentage", None), status.pop("currentCPUUtilizationPercentage", None)
    if target is not None:
        metrics.insert(0, _cpu({"target": {"type": "Utilization", "averageUtilization": target}}))
    if used is not None:
        current.insert(0, _cpu({"current": {"averageUtilization": used}}))
    for fields, name, value in (
        (spec, "metrics", metrics),
        (spec, "behavior", kept.get(KEPT_BEHAVIOR)),
        (status, "currentMetrics", current),
        (status, "conditions", kept.get(KEPT_CONDITIONS)),
    ):
        if value:
            fields[name] = value
    version = {**raw, "apiVersion": AUTOSCALING2}
    return _assembled(version, metadata, spec, status)


def _autoscaler_out(raw: Raw) -> Raw:
    metadata, _ = _without_kept(raw)
    spec, status = dict(raw.get("spec") or {}), dict(raw.get("status") or {})
    kept: dict[str, Any] = {}
    metrics, target = _cpu_apart(spec.pop("metrics", None), "target")
    current, used = _cpu_apart(status.pop("currentMetrics", None), "current")
    if target is not None:
        spec["targetCPUUtilizationPercentage"] = target
    if used is not None:
        status["currentCPUUtilizationPercentage"] = used
    kept[KEPT_METRICS], kept[KEPT_CURRENT] = metrics, current
    kept[KEPT_BEHAVIOR], kept[KEPT_CONDITIONS] = spec.pop("behavior", None), status.pop("conditions", None)
    texts = {key: msgspec.json.encode(value).decode() for key, value in kept.items() if value}
    if texts:
        metadata = {**metadata, "annotations": {**metadata.get("annotations", {}), **texts}}
    return _assembled(raw, metadata, spec, status)


def _without_kept(raw: Raw) -> tuple[Raw, Raw]:
    """The metadata without the annotations that carry v2's fields, and what those say."""
    metadata = dict(raw.get("metadata") or {})
    annotations = metadata.pop("annotations", None) or {}
    rest = {key: value for key, value in annotations.items() if key not in KEPT}
    kept = {key: _decoded(annotations[key]) for key in KEPT if key in annotations}
    return ({**metadata, "annotations": rest} if rest else metadata), kept


def _assembled(raw: Raw, metadata: Raw, spec: Raw, status: Raw) -> Raw:
    made = {name: value for name, value in raw.items() if name not in ("metadata", "spec", "status")}
    return {**made, "metadata": metadata, "spec": spec, **({"status": status} if "status" in raw else {})}


def _cpu(more: Raw) -> Raw:
    return {"type": "Resource", "resource": {"name": "cpu", **more}}


def _cpu_apart(metrics: list[Raw] | None, field: str) -> tuple[list[Raw], int | None]:
    """Metrics without the first one that says the CPU's utilisation, and what that says."""
    rest, found = [], None
    for metric in metrics or []:
        resource = metric.get("resource") or {}
        used = (resource.get(field) or {}).get("averageUtilization")
        if found is None and resource.get("name") == "cpu" and used is not None:
            found = used
        else:
            rest.append(metric)
    return rest, found


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list) else []


def _decoded(text: str) -> Any:
    """What an annotation says in JSON; nothing where it is none: it is the clients' to write."""
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError, UnicodeEncodeError):
        return None


CHANGES: dict[tuple[str, str], Callable[[Raw], Raw]] = {
    (EVENTS, CORE): lambda raw: _renamed(raw, EVENT_NAMES),
    (CORE, EVENTS): lambda raw: _renamed(raw, {old: new for new, old in EVENT_NAMES.items()}),
    (AUTOSCALING1, AUTOSCALING2): _autoscaler_in,
    (AUTOSCALING2, AUTOSCALING1): _autoscaler_out,
}
