"""DaemonSets: a pod per node, sick and new nodes, rolling updates with and without a surge, history, status."""

from __future__ import annotations

import pytest


def daemon(name="agent", image="agent:1", pod=None, **spec):
    labels = {"app": name}
    container = {"name": "c", "image": image}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container], **(pod or {})}}
    spec = {"selector": {"matchLabels": labels}, "template": template, **spec}
    return {"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"name": name}, "spec": spec}


def nodes(plane):
    return sorted(p["spec"].get("nodeName", "") for p in plane.pods(app="agent"))


def images(plane):
    return {p["spec"]["nodeName"]: p["spec"]["containers"][0]["image"] for p in plane.pods(app="agent")}


def status(plane):
    return plane.get("DaemonSet", "agent")["status"]


def change(plane, node, **spec):
    plane.store.update("Node", "", node, lambda n: n.setdefault("spec", {}).update(spec))
    plane.loop.drain()


def add_node(plane, name, **labels):
    raw = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": labels}}
    plane.admission.create(raw)
    plane.loop.drain()


def rolling(surge=0, unavailable=1):
    return {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable}}


def test_one_pod_per_node_also_on_new_ones(plane):
    plane.apply(daemon())
    assert nodes(plane) == ["node-1", "node-2", "node-3"]
    assert status(plane) == {
        "currentNumberScheduled": 3, "numberMisscheduled": 0, "desiredNumberScheduled": 3, "numberReady": 3,
        "observedGeneration": 1, "updatedNumberScheduled": 3, "numberAvailable": 3,
    }  # fmt: skip
    add_node(plane, "node-4")
    assert nodes(plane) == ["node-1", "node-2", "node-3", "node-4"]
    pod = plane.pods(app="agent")[0]
    term = {"matchFields": [{"key": "metadata.name", "operator": "In", "values": [pod["spec"]["nodeName"]]}]}
    required = pod["spec"]["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    assert required == {"nodeSelectorTerms": [term]}
    assert {t["key"].removeprefix("node.kubernetes.io/") for t in pod["spec"]["tolerations"]} >= {
        "not-ready", "unreachable", "disk-pressure", "memory-pressure", "pid-pressure", "unschedulable",
    }  # fmt: skip
    (revision,) = plane.store.list("ControllerRevision")
    assert revision["metadata"]["name"] == f"agent-{pod['metadata']['labels']['controller-revision-hash']}"


def test_a_selected_node_only(plane):
    plane.apply(daemon(pod={"nodeSelector": {"disk": "ssd"}}))
    assert nodes(plane) == []
    plane.store.update("Node", "", "node-2", lambda n: n["metadata"]["labels"].update(disk="ssd"))
    plane.loop.drain()
    assert nodes(plane) == ["node-2"]
    plane.store.update("Node", "", "node-2", lambda n: n["metadata"]["labels"].pop("disk"))
    plane.loop.drain()
    assert nodes(plane) == []


def test_taints_and_cordons(plane):
    change(plane, "node-1", unschedulable=True)
    change(plane, "node-2", taints=[{"key": "gpu", "effect": "NoSchedule"}])
    plane.apply(daemon())
    assert nodes(plane) == ["node-1", "node-3"]
    change(plane, "node-3", taints=[{"key": "gpu", "effect": "NoSchedule"}])
    assert nodes(plane) == ["node-1", "node-3"]  # what is there may stay
    assert (status(plane)["numberMisscheduled"], status(plane)["desiredNumberScheduled"]) == (1, 1)
    change(plane, "node-3", taints=[{"key": "gpu", "effect": "NoExecute"}])
    assert nodes(plane) == ["node-1"]


def test_a_deleted_pod_comes_back(plane):
    plane.apply(daemon())
    plane.store.delete("Pod", "default", plane.pods(app="agent")[0]["metadata"]["name"])
    plane.loop.drain()
    assert nodes(plane) == ["node-1", "node-2", "node-3"]


def test_rolling_update_one_by_one(plane):
    plane.apply(daemon())
    plane.healthy = lambda pod: pod["spec"]["containers"][0]["image"] != "agent:bad"
    plane.apply(daemon(image="agent:bad"))
    assert sorted(images(plane).values()) == ["agent:1", "agent:1", "agent:bad"]
    assert (status(plane)["updatedNumberScheduled"], status(plane)["numberUnavailable"]) == (1, 1)
    plane.healthy = lambda pod: True
    plane.settle()
    assert set(images(plane).values()) == {"agent:bad"}


def test_more_may_be_unavailable_and_broken_ones_go_at_once(plane):
    plane.healthy = lambda pod: pod["spec"]["nodeName"] == "node-3"
    plane.apply(daemon(updateStrategy=rolling(unavailable="34%")))
    plane.apply(daemon(image="agent:2", updateStrategy=rolling(unavailable="34%")))
    assert images(plane) == {"node-1": "agent:2", "node-2": "agent:2", "node-3": "agent:1"}


def test_surge_never_leaves_a_node_without(plane):
    plane.apply(daemon(updateStrategy=rolling(1, 0)))
    plane.healthy = lambda pod: pod["spec"]["containers"][0]["image"] != "agent:bad"
    plane.apply(daemon(image="agent:bad", updateStrategy=rolling(1, 0)))
    assert len(nodes(plane)) == 4
    assert status(plane)["numberAvailable"] == 3
    fewest = []
    plane.store.watch(
        {"Pod"}, lambda event: fewest.append(len({n for n in nodes(plane) if n})), initial=False
    )  # fmt: skip
    plane.healthy = lambda pod: True
    plane.settle()
    assert nodes(plane) == ["node-1", "node-2", "node-3"]
    assert set(images(plane).values()) == {"agent:bad"}
    assert min(fewest) == 3


def test_on_delete(plane):
    plane.apply(daemon(updateStrategy={"type": "OnDelete"}))
    plane.apply(daemon(image="agent:2", updateStrategy={"type": "OnDelete"}))
    assert set(images(plane).values()) == {"agent:1"}
    (pod,) = [p for p in plane.pods(app="agent") if p["spec"]["nodeName"] == "node-2"]
    plane.store.delete("Pod", "default", pod["metadata"]["name"])
    plane.loop.drain()
    assert images(plane) == {"node-1": "agent:1", "node-2": "agent:2", "node-3": "agent:1"}


def test_min_ready_seconds(plane):
    plane.apply(daemon(minReadySeconds=10))
    assert status(plane).get("numberAvailable", 0) == 0
    plane.wait(10)
    assert status(plane)["numberAvailable"] == 3


def test_a_failed_pod_is_replaced_with_patience(plane):
    plane.apply(daemon())

    def fail():
        (pod,) = [p for p in plane.pods(app="agent") if p["spec"]["nodeName"] == "node-1"]
        plane.store.update("Pod", "default", pod["metadata"]["name"], lambda raw: raw["status"].update(phase="Failed"))
        plane.loop.drain()
        return pod["metadata"]["name"]

    first = fail()
    assert first not in {p["metadata"]["name"] for p in plane.pods(app="agent")}
    second = fail()
    assert second in {p["metadata"]["name"] for p in plane.pods(app="agent")}
    plane.wait(1)
    assert second not in {p["metadata"]["name"] for p in plane.pods(app="agent")}
    text = f"Found failed daemon pod default/{first} on node node-1, will try to kill it"
    assert text in {e["message"] for e in plane.store.list("Event")}


def test_history(plane):
    for number in (1, 2, 1):
        plane.apply(daemon(image=f"agent:{number}", revisionHistoryLimit=1))
    found = {r["revision"]: r["data"]["spec"]["template"]["spec"]["containers"][0]["image"]
             for r in plane.store.list("ControllerRevision")}  # fmt: skip
    assert found == {2: "agent:2", 3: "agent:1"}


@pytest.mark.parametrize("kind", ["DaemonSet", "Node"])
def test_what_is_deleted_takes_its_pods_along(plane, kind):
    plane.apply(daemon())
    if kind == "DaemonSet":
        plane.store.delete("DaemonSet", "default", "agent")
    else:
        for number in (1, 2, 3):
            plane.store.delete("Node", "", f"node-{number}")
    plane.loop.drain()
    assert status(plane)["desiredNumberScheduled"] == 0 if kind == "Node" else nodes(plane) == []
