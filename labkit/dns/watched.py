"""What of the cluster's changes a DNS server hears: what answers are made of, and nothing else. Pure.

Source: CoreDNS plugin/kubernetes/object/pod.go (ToPod keeps the address, and drops pods that are going).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from labkit.dns.index import EventType

Raw = dict[str, Any]

KINDS = ("ConfigMap", "EndpointSlice", "Namespace", "Pod", "Service")
CONFIG_MAP = ("kube-system", "coredns")


def told(change: EventType, new: Raw, old: Raw | None) -> Raw | None:
    """What a server is told of a change of an object of these kinds; None where it means nothing to it."""
    match new["kind"]:
        case "ConfigMap":
            metadata = new["metadata"]
            return new if (metadata["namespace"], metadata["name"]) == CONFIG_MAP else None
        case "Pod":
            after = None if change == "DELETED" else new
            return _pod(new) if _addresses(old) != _addresses(after) else None
        case _:
            return new


def _addresses(pod: Mapping[str, Any] | None) -> tuple[Any, Any]:
    if pod is None or "deletionTimestamp" in pod["metadata"]:
        return None, None
    status = pod.get("status", {})
    return status.get("podIP"), status.get("podIPs")


def _pod(raw: Raw) -> Raw:
    status = raw.get("status", {})
    addresses = {field: status[field] for field in ("podIP", "podIPs") if field in status}
    return {**{name: raw[name] for name in ("apiVersion", "kind", "metadata")}, "status": addresses}
