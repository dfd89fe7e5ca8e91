"""Phase and conditions from the states of the containers, by the rules of kubelet_pods.go and generate.go."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labkit.cluster.kubelet.status import OWN, Told, creating, phase, status

Raw = dict[str, Any]
RUN: Raw = {"running": {"startedAt": "t"}}
WAIT: Raw = {"waiting": {"reason": "ContainerCreating"}}
BACK: Raw = {"waiting": {"reason": "CrashLoopBackOff"}}


def end(code: int) -> Raw:
    return {"terminated": {"exitCode": code}}


def container(name: str, state: Raw, last: Raw | None = None, ready: bool | None = None) -> Raw:
    running = "running" in state
    return {
        "name": name, "state": state, "lastState": last or {}, "started": running,
        "ready": running if ready is None else ready,
    }  # fmt: skip


def pod(policy: str = "Always", init: tuple[str, ...] = (), gates: tuple[str, ...] = (), **status: Any) -> Raw:
    spec: Raw = {
        "restartPolicy": policy,
        "containers": [{"name": "a"}, {"name": "b"}],
        "readinessGates": [{"conditionType": gate} for gate in gates],
    }
    if init:
        spec["initContainers"] = [
            {"name": name, **({"restartPolicy": "Always"} if name.startswith("side") else {})} for name in init
        ]
    return {"metadata": {"name": "p", "generation": 3}, "spec": spec, "status": status}


def told(*main: Raw, init: tuple[Raw, ...] = (), **more: Any) -> Told:
    statuses: Raw = {"containerStatuses": list(main)}
    if init:
        statuses["initContainerStatuses"] = list(init)
    return Told(statuses, ("10.0.0.1",), ("172.18.1.11",), **more)


@pytest.mark.parametrize(
    ("policy", "a", "b", "expected"),
    [
        ("Always", RUN, RUN, "Running"),
        ("Always", RUN, WAIT, "Pending"),
        ("Always", WAIT, WAIT, "Pending"),
        ("Always", end(0), end(0), "Running"),
        ("Never", end(0), RUN, "Running"),
        ("Never", end(0), end(0), "Succeeded"),
        ("Never", end(0), end(1), "Failed"),
        ("OnFailure", end(0), end(0), "Succeeded"),
        ("OnFailure", end(0), end(1), "Running"),
    ],
)
def test_phase(policy: str, a: Raw, b: Raw, expected: str) -> None:
    assert phase(pod(policy), told(container("a", a), container("b", b))) == expected


def test_a_crash_loop_is_running_and_a_pod_that_was_ended_is_not() -> None:
    looping = container("a", BACK, end(1)), container("b", BACK, end(1))
    assert phase(pod(), told(*looping)) == "Running"
    assert phase(pod(), told(*looping, ended=True)) == "Failed"
    assert phase(pod(), told(container("a", end(0)), container("b", end(0)), ended=True)) == "Succeeded"


def test_init_containers_and_sidecars() -> None:
    main = container("a", WAIT), container("b", WAIT)
    first = container("one", end(0), ready=True)
    assert phase(pod("Never", ("one",)), told(*main, init=(container("one", end(2)),))) == "Failed"
    assert phase(pod("OnFailure", ("one",)), told(*main, init=(container("one", end(2)),))) == "Pending"
    assert phase(pod("Always", ("one",)), told(*main, init=(first,))) == "Pending"
    over = container("a", end(0)), container("b", end(0))
    sidecar = container("side", RUN)
    assert phase(pod("Never", ("side",)), told(*over, init=(sidecar,))) == "Running"
    assert phase(pod("Never", ("side",)), told(*over, init=(container("side", end(137)),))) == "Succeeded"


def conditions(raw: Raw, known: Told) -> dict[str, tuple[str, str, str]]:
    found = status(raw, known, "now")["conditions"]
    return {c["type"]: (c["status"], c.get("reason", ""), c.get("message", "")) for c in found}


def test_conditions_of_a_pod_that_starts() -> None:
    waiting = container("one", RUN, ready=False), container("side-1", WAIT)
    known = told(container("a", WAIT), container("b", WAIT), init=waiting)
    found = conditions(pod("Always", ("one", "side-1")), known)
    missing = "containers with unready status: [side-1 a b]"
    incomplete = "containers with incomplete status: [one side-1]"
    assert found["PodReadyToStartContainers"] == ("True", "", "")
    assert found["Initialized"] == ("False", "ContainersNotInitialized", incomplete)
    assert found["ContainersReady"] == found["Ready"] == ("False", "ContainersNotReady", missing)
    assert found["PodScheduled"] == ("True", "", "")


def test_conditions_of_pods_that_are_over() -> None:
    good = conditions(pod("Never"), told(container("a", end(0)), container("b", end(0))))
    assert good["Initialized"] == ("True", "PodCompleted", "")
    assert good["Ready"] == good["ContainersReady"] == ("False", "PodCompleted", "")
    bad = conditions(pod("Never"), told(container("a", end(0)), container("b", end(1)), ended=True))
    assert bad["Ready"] == ("False", "PodFailed", "") and bad["PodReadyToStartContainers"][0] == "False"


def test_readiness_gates() -> None:
    known = told(container("a", RUN), container("b", RUN))
    raw = pod(gates=("x/y",))
    why = 'corresponding condition of pod readiness gate "x/y" does not exist.'
    assert conditions(raw, known)["Ready"] == ("False", "ReadinessGatesNotReady", why)
    assert conditions(raw, known)["ContainersReady"][0] == "True"
    raw["status"]["conditions"] = [{"type": "x/y", "status": "False"}]
    why = 'the status of pod readiness gate "x/y" is not "True", but False'
    assert conditions(raw, known)["Ready"] == ("False", "ReadinessGatesNotReady", why)
    raw["status"]["conditions"] = [{"type": "x/y", "status": "True"}]
    assert conditions(raw, known)["Ready"] == ("True", "", "")
    assert "x/y" in conditions(raw, known)


def test_a_time_changes_with_the_status_only() -> None:
    old = [{"type": "Ready", "status": "True", "lastTransitionTime": "then"}]
    raw = pod(conditions=[*old, {"type": "Initialized", "status": "False", "lastTransitionTime": "then"}])
    found = status(raw, told(container("a", RUN), container("b", RUN)), "now")
    times = {c["type"]: c["lastTransitionTime"] for c in found["conditions"]}
    assert times["Ready"] == "then" and times["Initialized"] == "now"


def test_the_rest_of_the_status() -> None:
    found = status(pod(startTime="before"), told(container("a", RUN), container("b", RUN)), "now")
    assert found["startTime"] == "before" and found["observedGeneration"] == 3
    assert found["podIPs"] == [{"ip": "10.0.0.1"}] and found["hostIPs"] == [{"ip": "172.18.1.11"}]
    failed = status(pod(), told(container("a", RUN), failure=("DeadlineExceeded", "too long")), "now")
    assert (failed["phase"], failed["reason"], failed["message"]) == ("Failed", "DeadlineExceeded", "too long")
    without = status(pod(), Told(creating(pod()), (), ("172.18.1.11",)), "now")
    assert without["phase"] == "Pending" and "podIP" not in without


STATES = st.sampled_from([RUN, WAIT, BACK, end(0), end(1)])


@given(st.sampled_from(["Always", "OnFailure", "Never"]), STATES, STATES, STATES, STATES, st.booleans(), st.booleans())
def test_whatever_the_states_are(policy: str, a: Raw, b: Raw, i: Raw, last: Raw, side: bool, ended: bool) -> None:
    """A phase for all of them; ready only while every container is; each condition once."""
    name = "side" if side else "one"
    raw = pod(policy, (name,))
    found = status(raw, told(container("a", a, last), container("b", b), init=(container(name, i),), ended=ended), "n")
    assert found["phase"] in ("Pending", "Running", "Succeeded", "Failed")
    kinds = [c["type"] for c in found["conditions"]]
    assert kinds == list(OWN)
    ready = {c["type"]: c["status"] == "True" for c in found["conditions"]}
    assert not ready["Ready"] or (a == RUN and b == RUN and found["phase"] == "Running")
    if policy == "Always" and not ended:
        assert found["phase"] in ("Pending", "Running")
