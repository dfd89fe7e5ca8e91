"""What all workloads know of pods: how one comes from a template, whether it counts, whether it is available.

Source: kubernetes/pkg/controller/controller_utils.go (GetPodFromTemplate, IsPodActive), pkg/api/v1/pod/util.go
(IsPodAvailable) of v1.34.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from labkit.workloads.ownership import reference

Raw = dict[str, Any]


def from_template(owner: Raw, template: Raw, name: str = "", labels: Mapping[str, str] | None = None) -> Raw:
    """A pod of `owner`; without a `name` it gets a generated one. `labels` come on top of the template's."""
    given = template.get("metadata", {})
    metadata: dict[str, Any] = {"name": name} if name else {"generateName": f"{owner['metadata']['name']}-"}
    metadata |= {"namespace": owner["metadata"]["namespace"], "ownerReferences": [reference(owner)]}
    metadata |= {field: given[field] for field in ("labels", "annotations", "finalizers") if field in given}
    if labels:
        metadata["labels"] = {**given.get("labels", {}), **labels}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]}


def phase(pod: Raw) -> str:
    found: str = pod.get("status", {}).get("phase", "")
    return found


def has_ended(pod: Raw) -> bool:
    return phase(pod) in ("Succeeded", "Failed")


def is_terminating(pod: Raw) -> bool:
    return "deletionTimestamp" in pod["metadata"]


def is_active(pod: Raw) -> bool:
    """Whether a pod counts as a replica: it has not ended, and is not about to."""
    return not has_ended(pod) and not is_terminating(pod)


def condition(raw: Raw, kind: str) -> Raw:
    """A condition of an object; empty where it has none of this type."""
    found: Raw = next((c for c in raw.get("status", {}).get("conditions", ()) if c["type"] == kind), {})
    return found


def is_ready(pod: Raw) -> bool:
    return condition(pod, "Ready").get("status") == "True"


def available_in(pod: Raw, seconds: int, now: datetime) -> float | None:
    """In how many seconds a pod is available, having been ready for `seconds`; 0 where it is, None while unready."""
    ready = condition(pod, "Ready")
    if ready.get("status") != "True":
        return None
    since = ready.get("lastTransitionTime")
    if not seconds or since is None:
        return 0.0
    return max(0.0, (datetime.fromisoformat(since) + timedelta(seconds=seconds) - now).total_seconds())
