"""A pod's status from the states of its containers. Pure.

Source: getPhase and generateAPIPodStatus of pkg/kubelet/kubelet_pods.go, pkg/kubelet/status/generate.go.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import msgspec

Raw = dict[str, Any]
Why = tuple[str, str]
"""Reason and message of a condition; both empty where all is well."""

FINE: Why = ("", "")
OWN = ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled")
"""The conditions that the kubelet writes; it leaves all others alone."""


class Told(msgspec.Struct, frozen=True):
    """What a kubelet knows of a pod.

    addresses, hosts  the pod's own and its node's, IPv4 first; none without a network
    ended             its containers have ended and will not be started again
    failure           reason and message of a pod that its kubelet has ended
    """

    statuses: Raw
    addresses: tuple[str, ...]
    hosts: tuple[str, ...]
    ended: bool = False
    failure: Why = FINE


def status(pod: Raw, told: Told, now: str) -> Raw:
    """The fields of the pod's status that its kubelet writes."""
    current = phase(pod, told)
    found: Raw = {
        "phase": current,
        "conditions": conditions(pod, told, current, now),
        "hostIP": told.hosts[0],
        "hostIPs": [{"ip": address} for address in told.hosts],
        "startTime": pod.get("status", {}).get("startTime") or now,
        **told.statuses,
    }
    if told.addresses:
        found |= {"podIP": told.addresses[0], "podIPs": [{"ip": address} for address in told.addresses]}
    if generation := pod["metadata"].get("generation"):
        found["observedGeneration"] = generation
    if told.failure != FINE:
        found["reason"], found["message"] = told.failure
    return found


def creating(pod: Raw) -> Raw:
    """The statuses of containers that nothing has been done for yet."""

    def waiting(container: Raw, reason: str) -> Raw:
        return {
            "name": container["name"],
            "state": {"waiting": {"reason": reason}},
            "lastState": {},
            "ready": False,
            "restartCount": 0,
            "image": container.get("image", ""),
            "imageID": "",
            "started": False,
        }

    init = pod["spec"].get("initContainers") or ()
    reason = "PodInitializing" if init else "ContainerCreating"
    found: Raw = {"containerStatuses": [waiting(c, reason) for c in pod["spec"]["containers"]]}
    if init:
        found["initContainerStatuses"] = [waiting(c, "PodInitializing") for c in init]
    return found


def started(pod: Raw, now: str) -> Raw:
    """The statuses of containers that have been started, where no more is known of them."""
    found = creating(pod)
    for status in found["containerStatuses"]:
        status |= {"state": {"running": {"startedAt": now}}, "ready": True, "started": True, "imageID": status["image"]}
    return found


def phase(pod: Raw, told: Told) -> str:
    """Pending, Running, Succeeded or Failed."""
    if told.failure != FINE:
        return "Failed"
    policy = pod["spec"].get("restartPolicy", "Always")
    main = told.statuses.get("containerStatuses") or []
    stopped = [code for s in main if (code := _ended(s)) is not None]
    if policy == "Never" and any(_ended(s) for s in _init(pod, told, sidecars=False)):
        return "Failed"
    if any(_ended(s) is None and "running" not in s["state"] for s in main):
        return "Pending"
    if any("running" in s["state"] for s in (*main, *_init(pod, told, sidecars=True))) or not stopped:
        return "Running" if main else "Pending"
    if told.ended or policy == "Never":
        return "Failed" if any(stopped) else "Succeeded"
    return "Running" if policy == "Always" or any(stopped) else "Succeeded"


def conditions(pod: Raw, told: Told, current: str, now: str) -> list[Raw]:
    """The kubelet's conditions and, behind them, those that others have written."""
    old = {c["type"]: c for c in pod.get("status", {}).get("conditions") or ()}
    ready = _containers_ready(pod, told, current)
    whys: dict[str, Why] = {
        "PodReadyToStartContainers": FINE if told.addresses and not told.ended else ("", "no network"),
        "Initialized": _initialized(pod, told, current),
        "Ready": ready if ready != FINE else _gates(pod, old.values()),
        "ContainersReady": ready,
        "PodScheduled": FINE,
    }
    found = [_condition(kind, why, old.get(kind), pod["metadata"].get("generation"), now) for kind, why in whys.items()]
    return found + [condition for kind, condition in old.items() if kind not in OWN]


def _condition(kind: str, why: Why, old: Raw | None, generation: int | None, now: str) -> Raw:
    reason, message = why
    good = why == FINE or (reason == "PodCompleted" and kind == "Initialized")
    value = "True" if good else "False"
    since = old.get("lastTransitionTime") if old and old["status"] == value else None
    found: Raw = {"type": kind, "status": value, "lastProbeTime": None, "lastTransitionTime": since or now}
    if generation:
        found["observedGeneration"] = generation
    if reason:
        found["reason"] = reason
        if message:
            found["message"] = message
    return found


def _initialized(pod: Raw, told: Told, current: str) -> Why:
    if current == "Succeeded":
        return "PodCompleted", ""
    missing = [s["name"] for s in _init(pod, told, sidecars=False) if _ended(s) != 0]
    missing += [s["name"] for s in _init(pod, told, sidecars=True) if not s["started"] and not told.ended]
    if not missing or any("running" in s["state"] for s in told.statuses.get("containerStatuses") or ()):
        return FINE
    order = [c["name"] for c in pod["spec"].get("initContainers") or () if c["name"] in missing]
    return "ContainersNotInitialized", f"containers with incomplete status: [{' '.join(order)}]"


def _containers_ready(pod: Raw, told: Told, current: str) -> Why:
    if current == "Succeeded":
        return "PodCompleted", ""
    if current == "Failed":
        return "PodFailed", ""
    every = (*_init(pod, told, sidecars=True), *(told.statuses.get("containerStatuses") or ()))
    unready = [s["name"] for s in every if not s["ready"]]
    if unready:
        return "ContainersNotReady", f"containers with unready status: [{' '.join(unready)}]"
    return FINE


def _gates(pod: Raw, present: Iterable[Raw]) -> Why:
    """What the pod's readiness gates have against it."""
    there = {c["type"]: c["status"] for c in present}
    complaints = []
    for gate in pod["spec"].get("readinessGates") or ():
        kind = gate["conditionType"]
        if kind not in there:
            complaints.append(f'corresponding condition of pod readiness gate "{kind}" does not exist.')
        elif there[kind] != "True":
            complaints.append(f'the status of pod readiness gate "{kind}" is not "True", but {there[kind]}')
    return ("ReadinessGatesNotReady", ", ".join(complaints)) if complaints else FINE


def _init(pod: Raw, told: Told, sidecars: bool) -> Iterator[Raw]:
    """Statuses of the init containers that are sidecars, or of those that are not."""
    listed: Sequence[Raw] = told.statuses.get("initContainerStatuses") or ()
    kinds = {c["name"]: c.get("restartPolicy") == "Always" for c in pod["spec"].get("initContainers") or ()}
    return (s for s in listed if kinds.get(s["name"]) == sidecars)


def _ended(container: Raw) -> int | None:
    """Exit code of a container that has ended, also of one that waits for its restart; None for any other."""
    for state in (container["state"], container.get("lastState") or {}):
        if "terminated" in state:
            return int(state["terminated"]["exitCode"])
        if "running" in state:
            return None
    return None
