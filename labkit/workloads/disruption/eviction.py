"""Eviction: deleting a pod politely, where its budget allows it. What `kubectl drain` does.

Source: kubernetes/pkg/registry/core/pod/storage/eviction.go of v1.34.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from labkit.control import conditions, refusals
from labkit.control.deletion import timestamp
from labkit.control.status import conflict
from labkit.control.store import Raw, Store
from labkit.workloads.disruption.budget import covers
from labkit.workloads.pods import has_ended, is_ready, is_terminating, phase

MOST_DISRUPTED = 2000


def evict(store: Store, namespace: str, name: str, options: Mapping[str, Any] | None = None) -> None:
    """Delete a pod unless a PodDisruptionBudget forbids it now.

    options: the Eviction's `deleteOptions`: gracePeriodSeconds, preconditions (uid, resourceVersion), dryRun.
    Raises `ApiError`: NotFound, Conflict, TooManyRequests (429) with the cause DisruptionBudget, InternalError where
    several budgets are about the pod.
    """
    given = options or {}
    pod = store.get("Pod", namespace, name)
    dry = bool(given.get("dryRun"))
    wanted = given.get("preconditions", {})
    if (version := wanted.get("resourceVersion")) and version != pod["metadata"]["resourceVersion"]:
        stored = pod["metadata"]["resourceVersion"]
        why = f"ResourceVersion in precondition: {version}, ResourceVersion in object meta: {stored}"
        raise conflict("Pod", name, f"Precondition failed: {why}")
    with store.transaction():
        if not (has_ended(pod) or phase(pod) == "Pending" or is_terminating(pod)):
            _spend(store, pod, dry=dry)
        if dry:
            return
        target = conditions.make("DisruptionTarget", "True", "EvictionByEvictionAPI", "Eviction API: evicting")
        conditions.write(store, pod, target)
        grace = given.get("gracePeriodSeconds")
        store.delete("Pod", namespace, name, grace=grace, uid=wanted.get("uid", ""))


def _spend(store: Store, pod: Raw, *, dry: bool) -> None:
    """Take one from what the pod's budget allows."""
    budgets = [pdb for pdb in store.list("PodDisruptionBudget", pod["metadata"]["namespace"]) if covers(pdb, pod)]
    if len(budgets) > 1:
        raise refusals.several_budgets()
    if not budgets:
        return
    (pdb,) = budgets
    name, status = pdb["metadata"]["name"], pdb.get("status", {})
    healthy, needed = status.get("currentHealthy", 0), status.get("desiredHealthy", 0)
    if not is_ready(pod):
        always = pdb["spec"].get("unhealthyPodEvictionPolicy") == "AlwaysAllow"
        if always or (healthy >= needed and needed > 0):
            return
    if status.get("observedGeneration", 0) < pdb["metadata"].get("generation", 0):
        raise refusals.budget_pending(name)
    if len(status.get("disruptedPods", {})) > MOST_DISRUPTED or status.get("disruptionsAllowed", 0) <= 0:
        raise refusals.disrupted(name, needed, healthy)
    if dry:
        return
    disrupted = {**status.get("disruptedPods", {}), pod["metadata"]["name"]: timestamp(store.now())}
    left = {**status, "disruptionsAllowed": status["disruptionsAllowed"] - 1, "disruptedPods": disrupted}
    store.replace_status({**pdb, "status": left})
