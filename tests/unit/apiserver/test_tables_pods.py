"""The STATUS, READY and RESTARTS of pods in the states that learners meet."""

from __future__ import annotations

from typing import Any

import pytest

from labkit.apiserver.tables.columns import View
from labkit.apiserver.tables.pods import cells

Raw = dict[str, Any]
NOW = View(1000.0)
RUNNING = {"running": {}}
DONE = {"terminated": {"exitCode": 0, "reason": "Completed"}}
FAILED = {"terminated": {"exitCode": 1, "reason": "Error"}}


def waiting(reason: str) -> Raw:
    return {"waiting": {"reason": reason}}


def state(now: Raw, name: str = "c", ready: bool = False, restarts: int = 0, **more: Any) -> Raw:
    return {"name": name, "state": now, "ready": ready, "restartCount": restarts, **more}


def pod(*states: Raw, init: tuple[Raw, ...] = (), sidecars: tuple[str, ...] = (), **status: Any) -> Raw:
    spec: Raw = {"containers": [{"name": s["name"]} for s in states] or [{"name": "c"}]}
    if init:
        spec["initContainers"] = [
            {"name": s["name"], **({"restartPolicy": "Always"} if s["name"] in sidecars else {})} for s in init
        ]
    found = {"phase": "Running", "containerStatuses": list(states), "initContainerStatuses": list(init), **status}
    return {"metadata": {"name": "p", "creationTimestamp": "1970-01-01T00:15:00Z"}, "spec": spec, "status": found}


def shown(raw: Raw) -> tuple[str, str, str]:
    name, ready, status, restarts, age, *_ = cells(raw, NOW)
    assert (name, age) == ("p", "100s")
    return ready, status, restarts


UP = state(RUNNING, ready=True)
INITIALIZED = [{"type": "Initialized", "status": "True"}]


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (pod(phase="Pending"), ("0/1", "Pending", "0")),
        (pod(UP), ("1/1", "Running", "0")),
        (pod(UP, state(RUNNING, "d")), ("1/2", "Running", "0")),
        (pod(state(waiting("ContainerCreating")), phase="Pending"), ("0/1", "ContainerCreating", "0")),
        (pod(state(waiting("ImagePullBackOff"))), ("0/1", "ImagePullBackOff", "0")),
        (pod(state(waiting("CrashLoopBackOff"), restarts=2)), ("0/1", "CrashLoopBackOff", "2")),
        (pod(state(DONE), phase="Succeeded"), ("0/1", "Completed", "0")),
        (pod(state(FAILED), phase="Failed"), ("0/1", "Error", "0")),
        (pod(state({"terminated": {"exitCode": 3}}), phase="Failed"), ("0/1", "ExitCode:3", "0")),
        (pod(state({"terminated": {"exitCode": 9, "signal": 9}})), ("0/1", "Signal:9", "0")),
        (
            pod(state(waiting("ImagePullBackOff"), "a"), state(waiting("CrashLoopBackOff"), "b")),
            ("0/2", "ImagePullBackOff", "0"),
        ),
        # The first container decides; a failure hides behind a completed one, until that is all there is.
        (pod(state(DONE, "a"), state(FAILED, "b")), ("0/2", "Error", "0")),
        (pod(state(DONE, "a"), state(RUNNING, "b", ready=True)), ("1/2", "NotReady", "0")),
        (
            pod(
                state(DONE, "a"),
                state(RUNNING, "b", ready=True),
                conditions=[{"type": "Ready", "status": "True"}],
            ),
            ("1/2", "Running", "0"),
        ),
        (pod(phase="Failed", reason="Evicted"), ("0/1", "Evicted", "0")),
        (
            pod(phase="Pending", conditions=[{"type": "PodScheduled", "status": "False", "reason": "SchedulingGated"}]),
            ("0/1", "SchedulingGated", "0"),
        ),
    ],
)
def test_containers(raw: Raw, expected: tuple[str, str, str]) -> None:
    assert shown(raw) == expected


STARTED = state(RUNNING, "proxy", ready=True, restarts=1, started=True)


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (pod(init=(state(RUNNING, "i"),), phase="Pending"), ("0/1", "Init:0/1", "0")),
        (pod(init=(state(DONE, "i"), state(waiting("PodInitializing"), "j"))), ("0/1", "Init:1/2", "0")),
        (pod(init=(state(FAILED, "i", restarts=1),)), ("0/1", "Init:Error", "1")),
        (pod(init=(state({"terminated": {"exitCode": 2}}, "i"),)), ("0/1", "Init:ExitCode:2", "0")),
        (pod(init=(state({"terminated": {"exitCode": 2, "signal": 15}}, "i"),)), ("0/1", "Init:Signal:15", "0")),
        (pod(init=(state(waiting("CrashLoopBackOff"), "i", restarts=4),)), ("0/1", "Init:CrashLoopBackOff", "4")),
        # Restarts of init containers are forgotten with them.
        (pod(UP, init=(state(DONE, "i", restarts=4),)), ("1/1", "Running", "0")),
        # A sidecar counts among the containers, and its restarts stay.
        (pod(UP, init=(STARTED,), sidecars=("proxy",)), ("2/2", "Running", "1")),
        (pod(init=(STARTED, state(RUNNING, "i")), sidecars=("proxy",)), ("1/2", "Init:1/2", "1")),
        (
            pod(UP, init=(state(waiting("CrashLoopBackOff"), "i"),), conditions=INITIALIZED),
            ("1/1", "Init:CrashLoopBackOff", "0"),
        ),
    ],
)
def test_init_containers(raw: Raw, expected: tuple[str, str, str]) -> None:
    assert shown(raw) == expected


def test_when_it_last_restarted() -> None:
    ended = [{"terminated": {"finishedAt": f"1970-01-01T00:16:{second}Z"}} for second in (10, 30, 20)]
    states = [state(RUNNING, f"c{i}", True, 1, lastState=last) for i, last in enumerate(ended)]
    assert shown(pod(*states)) == ("3/3", "Running", "3 (10s ago)")


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ({}, "Terminating"),
        ({"reason": "NodeLost"}, "Unknown"),
        ({"phase": "Succeeded", "containerStatuses": [state(DONE)]}, "Completed"),
    ],
)
def test_a_deleted_pod(status: Raw, expected: str) -> None:
    raw = pod(UP, **status)
    raw["metadata"]["deletionTimestamp"] = "1970-01-01T00:16:00Z"
    assert shown(raw)[1] == expected


def test_the_wide_columns() -> None:
    raw = pod(
        UP, podIP="10.0.0.1", podIPs=[{"ip": "10.0.0.2"}], conditions=[{"type": "a", "status": "True"}], hostIP="x"
    )
    raw["spec"] |= {"nodeName": "node-1", "readinessGates": [{"conditionType": "a"}, {"conditionType": "b"}]}
    assert cells(raw, NOW)[5:] == ["10.0.0.2", "node-1", "<none>", "1/2"]
    assert cells(pod(UP), NOW)[5:] == ["<none>"] * 4
    assert cells(pod(UP, podIP="10.0.0.1"), NOW)[5] == "10.0.0.1"
