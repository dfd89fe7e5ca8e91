"""How objects go: at once, after a grace period, when they are empty, when their finalizers are gone.

Source: k8s.io/apiserver/pkg/registry/rest/delete.go; pkg/registry/core/pod/strategy.go, CheckGracefulDelete.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Literal

Raw = dict[str, Any]
Propagation = Literal["Background", "Foreground", "Orphan"]

ORPHAN, FOREGROUND = "orphan", "foregroundDeletion"
"""Finalizers by which an object waits for the garbage collector: for its dependents to forget it, or to be gone."""

LASTING = frozenset({"default", "kube-system", "kube-public"})
"""Namespaces that cannot be deleted (NamespaceLifecycle admission)."""


CLEANUP = "customresourcecleanup.apiextensions.k8s.io"
"""The finalizer of a CustomResourceDefinition that is being deleted: its objects go first."""


def timestamp(moment: datetime) -> str:
    """A time as the API writes it: RFC 3339 in whole seconds."""
    return f"{moment.isoformat(timespec='seconds')[:19]}Z"


def grace_period(raw: Raw, asked: int | None) -> int:
    """Seconds that the object has left when it is deleted: 0 for all but a pod that may run on a node."""
    running = raw.get("status", {}).get("phase") not in ("Succeeded", "Failed")
    if raw["kind"] != "Pod" or not raw["spec"].get("nodeName") or not running:
        return 0
    return asked if asked is not None else int(raw["spec"].get("terminationGracePeriodSeconds", 30))


def held(raw: Raw, propagation: Propagation | None) -> Raw:
    """The object with the finalizer that `propagation` asks for: none for Background; as it was without any.

    Source: deletionFinalizersForGarbageCollection in k8s.io/apiserver/pkg/registry/generic/registry/store.go.
    """
    before = raw["metadata"].get("finalizers", [])
    if propagation is None:
        return raw
    wanted = {"Background": [], "Foreground": [FOREGROUND], "Orphan": [ORPHAN]}[propagation]
    after = [name for name in before if name not in (ORPHAN, FOREGROUND)] + wanted
    if after == before:
        return raw
    metadata = {name: value for name, value in raw["metadata"].items() if name != "finalizers"}
    return {**raw, "metadata": {**metadata, "finalizers": after} if after else metadata}


def lingers(raw: Raw, grace: int) -> bool:
    """Whether a deletion only begins now."""
    if raw["kind"] in ("CustomResourceDefinition", "Namespace"):
        return True
    return grace > 0 or bool(raw["metadata"].get("finalizers"))


def released(raw: Raw) -> bool:
    """Whether an object that is being deleted has lost the last thing that held it."""
    metadata = raw["metadata"]
    if "deletionTimestamp" not in metadata or metadata.get("finalizers") or raw["kind"] == "Namespace":
        return False
    return not metadata.get("deletionGracePeriodSeconds")


def marked(raw: Raw, grace: int, now: datetime) -> Raw:
    """The object with its deletion begun; itself where that was so before and no later."""
    metadata = dict(raw["metadata"])
    if "deletionTimestamp" in metadata and metadata.get("deletionGracePeriodSeconds", 0) <= grace:
        return raw
    metadata["deletionTimestamp"] = timestamp(now + timedelta(seconds=grace))
    metadata["deletionGracePeriodSeconds"] = grace
    if "generation" in metadata:
        metadata["generation"] += 1
    if raw["kind"] == "CustomResourceDefinition":
        metadata["finalizers"] = [*metadata.get("finalizers", ()), CLEANUP]
    if raw["kind"] == "Namespace":
        return {**raw, "metadata": metadata, "status": {**raw.get("status", {}), "phase": "Terminating"}}
    return {**raw, "metadata": metadata}


def finished(raw: Raw) -> Raw:
    """The object with its grace period over: only finalizers hold it."""
    return {**raw, "metadata": {**raw["metadata"], "deletionGracePeriodSeconds": 0}}


def disowned(child: Raw, uid: str) -> Raw:
    """The object without one of its owners."""
    metadata = dict(child["metadata"])
    metadata["ownerReferences"] = [ref for ref in metadata["ownerReferences"] if ref["uid"] != uid]
    if not metadata["ownerReferences"]:
        del metadata["ownerReferences"]
    return {**child, "metadata": metadata}
