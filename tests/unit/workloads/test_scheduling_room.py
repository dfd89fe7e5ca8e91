"""The scheduler's rules about room: resources, ports, priority, preemption; claims, gates, Events."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labkit.api import amounts, quantity
from labkit.workloads.scheduling import resources

from .conftest import bare_pod
from .test_scheduling import allow, message, where


def asking(name, priority=0, labels=None, **requests):
    limits = {name: amount for name, amount in requests.items() if "/" in name}  # what cannot be promised twice
    container = {"name": "c", "image": "busybox:1", "resources": {"requests": requests, "limits": limits}}
    return bare_pod(name, labels, containers=[container], **({"priority": priority} if priority else {}))


def test_room(plane):
    allow(plane, cpu="1", memory="1Gi", pods="10", **{"example.org/fpga": "1"})
    plane.apply(*(asking(f"p{i}", cpu="600m") for i in range(4)))
    assert sorted(where(plane, f"p{i}") for i in range(4)) == ["", "node-1", "node-2", "node-3"]
    (pending,) = [f"p{i}" for i in range(4) if not where(plane, f"p{i}")]
    assert message(plane, pending) == "0/3 nodes are available: 3 Insufficient cpu."
    plane.apply(
        asking("huge", cpu="2", memory="2Gi"), *(asking(f"f{i}", **{"example.org/fpga": "1"}) for i in range(4))
    )
    assert message(plane, "huge") == "0/3 nodes are available: 3 Insufficient cpu, 3 Insufficient memory."
    assert message(plane, "f3") == "0/3 nodes are available: 3 Insufficient example.org/fpga."
    gone = next(f"p{i}" for i in range(4) if where(plane, f"p{i}"))
    plane.store.delete("Pod", "default", gone)
    plane.loop.drain()
    assert where(plane, pending)


def test_too_many_pods_and_ended_ones_make_room(plane):
    allow(plane, pods="1")
    plane.apply(*(bare_pod(f"p{i}") for i in range(4)))
    assert message(plane, "p3") == "0/3 nodes are available: 3 Too many pods."
    plane.store.update("Pod", "default", "p0", lambda raw: raw["status"].update(phase="Succeeded"))
    plane.loop.drain()
    assert where(plane, "p3")


def test_host_ports(plane):
    def taking(name, **port):
        ports = [{"containerPort": 80, "hostPort": 8080, **port}]
        return bare_pod(name, containers=[{"name": "c", "image": "nginx:1", "ports": ports}])

    plane.apply(*(taking(f"p{i}") for i in range(4)), taking("udp", protocol="UDP"))
    assert message(plane, "p3") == (
        "0/3 nodes are available: 3 node(s) didn't have free ports for the requested pod ports."
    )
    assert where(plane, "udp")


def test_gates(plane):
    plane.apply(bare_pod("p", schedulingGates=[{"name": "example.org/wait"}]))
    (found,) = plane.get("Pod", "p")["status"]["conditions"]
    assert (found["status"], found["reason"]) == ("False", "SchedulingGated")
    plane.store.update("Pod", "default", "p", lambda raw: raw["spec"].pop("schedulingGates"))
    plane.loop.drain()
    assert where(plane, "p")


def test_the_more_important_pod_comes_first(plane):
    allow(plane, pods="1")
    for number in (1, 2):
        plane.store.update("Node", "", f"node-{number}", lambda n: n.setdefault("spec", {}).update(unschedulable=True))
    plane.apply(asking("a"), asking("b", priority=10), asking("c", priority=5))
    assert [where(plane, name) for name in "abc"] == ["", "node-3", ""]


def test_preemption_takes_the_least(plane):
    allow(plane, cpu="1", pods="10")
    plane.apply(*(asking(f"low{i}", priority=1 + i, cpu="500m") for i in range(6)))
    plane.finalizing = False
    before = {f"low{i}": where(plane, f"low{i}") for i in range(6)}
    plane.apply(asking("high", priority=1000, cpu="500m"))
    leaving = [p["metadata"]["name"] for p in plane.store.list("Pod") if "deletionTimestamp" in p["metadata"]]
    assert leaving == ["low0"]
    assert plane.get("Pod", "high")["status"]["nominatedNodeName"] == before["low0"]
    assert message(plane, "high").startswith("0/3 nodes are available: 3 Insufficient cpu.")
    (target,) = [c for c in plane.get("Pod", "low0")["status"]["conditions"] if c["type"] == "DisruptionTarget"]
    assert target["reason"] == "PreemptionByScheduler"
    plane.finalizing = True
    plane.settle()
    assert where(plane, "high") == before["low0"]
    assert "nominatedNodeName" not in plane.get("Pod", "high")["status"]


def budget(name, least):
    """A budget of the pods of an app, at least so many of which must be healthy."""
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"selector": {"matchLabels": {"app": name}}, "minAvailable": least},
    }


def labelled(pod, app):
    return {**pod, "metadata": {**pod["metadata"], "labels": {"app": app}}}


def leaving(plane):
    return [p["metadata"]["name"] for p in plane.store.list("Pod") if "deletionTimestamp" in p["metadata"]]


def test_preemption_breaks_no_budget_where_it_can(plane):
    allow(plane, cpu="1", pods="10")
    apps = ("guarded", "free", "guarded")
    plane.apply(*(labelled(asking(f"p{i}", priority=1 + i, cpu="1"), app) for i, app in enumerate(apps)))
    plane.finalizing = False
    plane.apply(budget("guarded", 2))
    plane.apply(asking("high", priority=1000, cpu="1"))
    assert leaving(plane) == ["p1"]  # not the one of the lowest priority
    (said,) = [e for e in plane.store.list("Event") if e["reason"] == "Preempted"]
    assert (said["involvedObject"]["name"], said["type"]) == ("p1", "Normal")
    plane.apply(asking("higher", priority=2000, cpu="1"))
    # It takes the room from the less important one, for which a budget breaks now, as nothing else helps.
    assert leaving(plane) == ["p0", "p1"]
    nominated = [plane.get("Pod", name)["status"]["nominatedNodeName"] for name in ("higher", "high")]
    assert nominated == [where(plane, "p1"), where(plane, "p0")]


def test_on_a_node_those_go_first_whose_budget_bears_it(plane):
    allow(plane, cpu="3", pods="10")
    for number in (1, 2):
        plane.store.update("Node", "", f"node-{number}", lambda n: n.setdefault("spec", {}).update(unschedulable=True))
    pods = [labelled(asking(f"p{i}", priority=1 + i, cpu="1"), app) for i, app in enumerate(("web", "web", "other"))]
    plane.apply(*pods)
    plane.finalizing = False
    plane.apply(budget("web", 1))
    plane.apply(asking("high", priority=1000, cpu="2"))
    assert leaving(plane) == ["p1", "p2"]  # p1 is the one that its budget can spare: it is counted first


def test_the_room_that_was_made_is_kept(plane):
    allow(plane, cpu="2", pods="10")
    for number in (1, 2):
        plane.store.update("Node", "", f"node-{number}", lambda n: n.setdefault("spec", {}).update(unschedulable=True))
    plane.apply(asking("low", priority=1, cpu="1"))
    plane.finalizing = False
    plane.apply(asking("high", priority=1000, cpu="2"))
    assert leaving(plane) == ["low"]
    plane.apply(asking("sly", priority=1, cpu="1"))  # half of the node is free, but not for long
    assert where(plane, "sly") == ""
    plane.finalizing = True
    plane.settle()
    assert (where(plane, "high"), where(plane, "sly")) == ("node-3", "")


def test_who_may_not_preempt(plane):
    allow(plane, cpu="1", pods="10")
    plane.apply(*(asking(f"low{i}", priority=1, cpu="1") for i in range(3)))
    polite = asking("polite", priority=9, cpu="1")
    plane.apply({**polite, "spec": {**polite["spec"], "preemptionPolicy": "Never"}}, asking("equal", 1, cpu="1"))
    text = {
        name: next(c["message"] for c in plane.get("Pod", name)["status"]["conditions"]) for name in ("polite", "equal")
    }
    assert text["polite"].endswith("preemption: not eligible due to preemptionPolicy=Never.")
    assert text["equal"].endswith("0/3 nodes are available: 3 No preemption victims found for incoming pod.")
    assert len([p for p in plane.store.list("Pod") if p["metadata"]["name"].startswith("low")]) == 3


def test_a_claim_that_is_not_there(plane):
    volume = {"name": "v", "persistentVolumeClaim": {"claimName": "data"}}
    plane.apply(bare_pod("p", volumes=[volume]))
    (found,) = plane.get("Pod", "p")["status"]["conditions"]
    assert found["message"].startswith('0/3 nodes are available: persistentvolumeclaim "data" not found.')
    plane.store.create({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "spec": {},
                        "metadata": {"name": "data", "namespace": "default"}})  # fmt: skip
    plane.loop.drain()
    assert where(plane, "p")


def test_events(plane):
    plane.apply(bare_pod("p"), bare_pod("q", nodeSelector={"disk": "ssd"}))
    said = {(e["involvedObject"]["name"], e["reason"]): e for e in plane.store.list("Event")}
    assert said["p", "Scheduled"]["message"] == f"Successfully assigned default/p to {where(plane, 'p')}"
    failed = said["q", "FailedScheduling"]
    assert (failed["type"], failed["count"]) == ("Warning", 1)
    assert failed["message"].startswith("0/3 nodes are available: 3 node(s) didn't match Pod's node affinity/selector.")


@given(st.integers(0, 10**6))
def test_quantities(number):
    assert quantity.value(f"{number}m") * 1000 == number
    assert quantity.value(f"{number}Ki") == number * 1024 == quantity.value(str(number)) * 1024
    assert quantity.value(f"{number}e3") == quantity.value(f"{number}k")
    assert quantity.ceiling(f"{number}n", quantity.value("1")) == -(-number // 10**9)


@pytest.mark.parametrize("text", ["", "x", "1Qi", "1.2.3", "--1", "1e"])
def test_no_quantities(text):
    with pytest.raises(ValueError):
        quantity.value(text)


def container(cpu, field="requests", **more):
    return {"resources": {field: {"cpu": cpu}}, **more}


def test_requests_of_init_containers_and_sidecars():
    spec = {
        "containers": [container("1"), container("500m")],
        "initContainers": [container("2"), container("1", restartPolicy="Always"), container("3")],
        "overhead": {"cpu": "10m"},
    }
    assert resources.requests(spec)["cpu"] == 4010  # the last init container runs beside the sidecar


def test_requests_are_rounded_once_all_are_summed():
    spec = {"containers": [container("100u"), container("100u")]}
    assert resources.requests(spec) == {"cpu": 1}


def test_a_pod_may_ask_for_something_as_a_whole():
    whole = {"requests": {"cpu": "2", "example.com/gpu": "1"}}  # only the first may stand there
    spec = {"containers": [container("500m")], "resources": whole, "overhead": {"cpu": "1", "memory": "1Ki"}}
    assert amounts.of_pod(spec, "requests") == {"cpu": 3, "memory": 1024}
    assert amounts.of_pod(spec, "limits") == {}  # overhead is no limit of its own
    assert amounts.of_pod({**spec, "containers": [container("4", "limits")]}, "limits") == {"cpu": 5}
