"""When what led to an EndpointSlice's last change happened: from there kube-proxy counts how long it took."""

from __future__ import annotations

from datetime import datetime

from labkit.control.store import Raw

NOTE = "endpoints.kubernetes.io/last-change-trigger-time"


def trigger(raw: Raw) -> float | None:
    """In seconds since 1970; None where the slice does not tell."""
    text = raw["metadata"].get("annotations", {}).get(NOTE, "")
    try:
        return datetime.fromisoformat(text).timestamp() if text else None
    except ValueError:
        return None
