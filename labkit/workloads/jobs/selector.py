"""How a Job knows its pods: by labels with its uid, which the API server writes into it as it is created.

Source: kubernetes/pkg/registry/batch/job/strategy.go (generateSelector) of v1.34.
"""

from __future__ import annotations

from typing import Any

Raw = dict[str, Any]

UID, NAME = "batch.kubernetes.io/controller-uid", "batch.kubernetes.io/job-name"
LEGACY_UID, LEGACY_NAME = "controller-uid", "job-name"
FINALIZER = "batch.kubernetes.io/job-tracking"


def complete(job: Raw) -> None:
    """Give a new Job that has its uid the selector and the labels of its template, unless it brings its own."""
    spec, metadata = job["spec"], job["metadata"]
    if spec.get("manualSelector"):
        return
    template = spec.setdefault("template", {}).setdefault("metadata", {})
    uid, name = metadata["uid"], metadata["name"]
    labels = {UID: uid, NAME: name, LEGACY_UID: uid, LEGACY_NAME: name}
    template["labels"] = {**template.get("labels", {}), **labels}
    spec["selector"] = {"matchLabels": {**spec.get("selector", {}).get("matchLabels", {}), UID: uid}}
