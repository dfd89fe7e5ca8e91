"""The table of HorizontalPodAutoscalers: their TARGETS, "cpu: 12%/80%". Reads both versions, v1 and v2.

Source: pkg/printers/internalversion/printers.go (formatHPAMetrics).
"""

from __future__ import annotations

from typing import Any

from labkit.apiserver.tables.columns import AGE, NAME, Column, Printer, View
from labkit.apiserver.tables.human import since
from labkit.apiserver.tables.words import NONE, UNSET

Raw = dict[str, Any]
FIELDS = {
    "External": "external",
    "Pods": "pods",
    "Object": "object",
    "Resource": "resource",
    "ContainerResource": "containerResource",
}
UNKNOWN = "<unknown>"
SHOWN = 2


def cells(o: Raw, view: View) -> list[Any]:
    meta, spec, status = o["metadata"], o.get("spec") or {}, o.get("status") or {}
    target = spec.get("scaleTargetRef") or {}
    return [
        meta["name"],
        f"{target.get('kind', '')}/{target.get('name', '')}",
        _targets(*_metrics(spec, status)),
        str(spec.get("minReplicas", UNSET)),
        spec.get("maxReplicas", 0),
        status.get("currentReplicas", 0),
        since(meta.get("creationTimestamp"), view.now),
    ]


def _metrics(spec: Raw, status: Raw) -> tuple[list[Raw], list[Raw]]:
    """Wanted and current metrics as v2 writes them. autoscaling/v1 has one number instead: percent of CPU."""
    wanted = spec.get("targetCPUUtilizationPercentage")
    if wanted is None:
        return spec.get("metrics") or [], status.get("currentMetrics") or []
    current = status.get("currentCPUUtilizationPercentage")
    cpu = {"name": "cpu", "target": {"averageUtilization": wanted}, "current": {"averageUtilization": current}}
    metric = {"type": "Resource", "resource": cpu}
    return [metric], [metric]


def _targets(wanted: list[Raw], current: list[Raw]) -> str:
    texts = [_target(metric, current[i] if i < len(current) else {}) for i, metric in enumerate(wanted)]
    text = ", ".join(texts[:SHOWN])
    return f"{text} + {len(texts) - SHOWN} more..." if len(texts) > SHOWN else text or NONE


def _target(metric: Raw, now: Raw) -> str:
    field = FIELDS.get(metric.get("type", ""), "")
    source = metric.get(field)
    if source is None:
        return "<unknown type>"
    target, seen = source.get("target") or {}, (now.get(field) or {}).get("current") or {}
    if "esource" in field:  # of a pod, or of one of its containers
        return f"{source.get('name', '')}: {_utilization(target, seen)}"
    if field == "pods":
        return f"{seen.get('averageValue') or UNKNOWN}/{target.get('averageValue', '')}"
    if target.get("averageValue") is not None:
        return f"{seen.get('averageValue') or UNKNOWN}/{target['averageValue']} (avg)"
    return f"{seen.get('value') or UNKNOWN}/{target.get('value', '')}"


def _utilization(target: Raw, seen: Raw) -> str:
    if target.get("averageValue") is not None:
        return f"{seen.get('averageValue') or UNKNOWN}/{target['averageValue']}"
    used, wanted = seen.get("averageUtilization"), target.get("averageUtilization")
    return f"{UNKNOWN if used is None else f'{used}%'}/{'<auto>' if wanted is None else f'{wanted}%'}"


_SPEC, _STATUS = "autoscaling.v2.HorizontalPodAutoscalerSpec", "autoscaling.v2.HorizontalPodAutoscalerStatus"
COLUMNS = (
    NAME,
    Column("Reference", f"{_SPEC}.scaleTargetRef"),
    Column("Targets", f"{_SPEC}.metrics"),
    Column("MinPods", f"{_SPEC}.minReplicas"),
    Column("MaxPods", f"{_SPEC}.maxReplicas"),
    Column("Replicas", f"{_STATUS}.currentReplicas"),
    AGE,
)

PRINTERS = {"HorizontalPodAutoscaler": Printer(COLUMNS, cells)}
