"""Nodes that fall silent, come back, are cordoned, tainted, deleted; and what that does to their pods."""

from __future__ import annotations

import pytest

from labkit.control.reconcile import Loop
from labkit.workloads.nodes.eviction import PodGarbage, TaintEviction
from labkit.workloads.nodes.lifecycle import NodeLifecycle
from labkit.workloads.nodes.pace import Pace

from .conftest import Plane, bare_pod, deployment, service

PACE = Pace()


class Nodes(Plane):
    """A plane whose nodes renew their leases, unless they are in `silent`."""

    def start(self):
        super().start()
        self.renew()
        for node in self.store.list("Node"):
            self.post(node["metadata"]["name"])
        watchers = [NodeLifecycle(self.store, PACE), TaintEviction(self.store), PodGarbage(self.store, PACE)]
        self.watching = Loop(self.store, watchers, self.failures.append, clock=lambda: self.time.timestamp())
        self.watching.drain()

    def post(self, name, status="True"):
        ready = {"type": "Ready", "status": status, "reason": "KubeletReady"}
        self.store.update("Node", "", name, lambda n: n.setdefault("status", {}).update(conditions=[ready]))

    def renew(self):
        for node in self.store.list("Node"):
            name = node["metadata"]["name"]
            if name not in self.silent:
                spec = {"holderIdentity": name, "renewTime": self.time.strftime("%Y-%m-%dT%H:%M:%S.%fZ")}
                if self.store.find("Lease", "kube-node-lease", name):
                    self.store.update("Lease", "kube-node-lease", name, lambda raw, spec=spec: raw.update(spec=spec))
                else:
                    metadata = {"name": name, "namespace": "kube-node-lease"}
                    api = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease"}
                    self.store.create({**api, "metadata": metadata, "spec": spec})

    def wait(self, seconds):
        for _ in range(int(seconds)):
            self.time = self.time.fromtimestamp(self.time.timestamp() + 1, self.time.tzinfo)
            self.renew()
            self.watching.drain()
            self.loop.drain()
            self.watching.drain()
            self.loop.drain()
        assert self.failures == []


@pytest.fixture
def plane():
    return Nodes()


def ready(plane, name="node-2"):
    return next(c for c in plane.store.get("Node", "", name)["status"]["conditions"] if c["type"] == "Ready")


def taints(plane, name="node-2"):
    return {(t["key"].removeprefix("node.kubernetes.io/"), t["effect"])
            for t in plane.store.get("Node", "", name).get("spec", {}).get("taints", ())}  # fmt: skip


def said(plane, reason):
    return [e["message"] for e in plane.store.list("Event") if e["reason"] == reason]


def places(plane, app="web"):
    return sorted(
        p["spec"].get("nodeName", "") for p in plane.pods(app=app) if "deletionTimestamp" not in p["metadata"]
    )


def tolerating(seconds):
    return [{"key": f"node.kubernetes.io/{name}", "operator": "Exists", "effect": "NoExecute",
             "tolerationSeconds": seconds} for name in ("not-ready", "unreachable")]  # fmt: skip


def test_ratios_are_the_real_ones():
    assert (Pace(1).renewal, Pace(1).lease, Pace(1).grace, Pace(1).toleration, Pace(1).quarantine) == (
        10, 40, 50, 300, 40
    )  # fmt: skip
    assert (PACE.renewal, PACE.lease, PACE.grace, PACE.toleration) == (2, 8, 10, 60)


def test_a_silent_node_is_given_up_and_its_pods_are_out_of_service(plane):
    plane.apply(service(), deployment(pod={"tolerations": tolerating(30)}))
    plane.silent.add("node-2")
    plane.finalizing = False
    plane.wait(9)
    assert ready(plane)["status"] == "True"
    plane.wait(5)
    assert (ready(plane)["status"], ready(plane)["reason"]) == ("Unknown", "NodeStatusUnknown")
    assert ready(plane)["message"] == "Kubelet stopped posting node status."
    assert taints(plane) == {("unreachable", "NoSchedule"), ("unreachable", "NoExecute")}
    assert said(plane, "NodeNotReady")[0] in ("Node is not ready", "Node node-2 status is now: NodeNotReady")
    (pod,) = [p for p in plane.pods(app="web") if p["spec"]["nodeName"] == "node-2"]
    assert "deletionTimestamp" not in pod["metadata"]
    (planned,) = plane.store.list("EndpointSlice")
    assert [e["conditions"]["ready"] for e in planned["endpoints"] if e["nodeName"] == "node-2"] == [False]
    plane.wait(25)
    assert places(plane) == ["node-1", "node-2", "node-3"]
    plane.wait(5)
    assert "node-2" not in places(plane)
    assert len(places(plane)) == 3
    gone = plane.get("Pod", pod["metadata"]["name"])  # its node cannot say that it has ended
    (target,) = [c for c in gone["status"]["conditions"] if c["type"] == "DisruptionTarget"]
    assert target["reason"] == "DeletionByTaintManager"


def test_a_node_that_comes_back_in_time(plane):
    plane.apply(deployment(pod={"tolerations": tolerating(30)}))
    plane.silent.add("node-2")
    plane.wait(15)
    plane.silent.clear()
    plane.post("node-2")
    plane.wait(1)
    plane.settle()
    assert taints(plane) == set()
    plane.wait(60)
    assert places(plane) == ["node-1", "node-2", "node-3"]


def test_a_late_look_is_no_silence(plane):
    """Where nobody looked or renewed for a while, the next renewal comes before the verdict."""
    plane.time = plane.time.fromtimestamp(plane.time.timestamp() + 100, plane.time.tzinfo)
    plane.watching.drain()
    plane.wait(3)
    assert [ready(plane, f"node-{n}")["status"] for n in (1, 2, 3)] == ["True"] * 3


def test_a_node_that_never_spoke(plane):
    plane.silent.add("node-9")
    plane.admission.create({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "node-9"}})
    plane.wait(15)
    assert (ready(plane, "node-9")["status"], ready(plane, "node-9")["reason"]) == ("Unknown", "NodeStatusNeverUpdated")


def test_a_node_that_says_it_is_not_ready(plane):
    plane.post("node-2", "False")
    plane.wait(1)
    assert taints(plane) == {("not-ready", "NoSchedule"), ("not-ready", "NoExecute")}


def test_cordon_and_own_taints(plane):
    own = {"key": "team", "value": "a", "effect": "NoSchedule"}
    plane.store.update(
        "Node", "", "node-2", lambda n: n.setdefault("spec", {}).update(unschedulable=True, taints=[own])
    )
    plane.wait(1)
    assert taints(plane) == {("team", "NoSchedule"), ("unschedulable", "NoSchedule")}
    plane.store.update("Node", "", "node-2", lambda n: n["spec"].pop("unschedulable"))
    plane.wait(1)
    assert taints(plane) == {("team", "NoSchedule")}


def test_a_taint_evicts_at_once_later_or_never(plane):
    forever = [{"key": "maintenance", "operator": "Exists"}]
    for_a_while = [{**forever[0], "effect": "NoExecute", "tolerationSeconds": 20}]
    where = {"nodeSelector": {"kubernetes.io/hostname": "node-2"}}
    plane.apply(bare_pod("now", **where), bare_pod("later", tolerations=for_a_while, **where),
                bare_pod("never", tolerations=forever, **where))  # fmt: skip
    taint = {"key": "maintenance", "effect": "NoExecute"}  # as `kubectl taint` writes it: without a time
    plane.store.update("Node", "", "node-2", lambda n: n["spec"].update(taints=[taint]) if "spec" in n else
                       n.update(spec={"taints": [taint]}))  # fmt: skip

    def names():
        return [p["metadata"]["name"] for p in plane.store.list("Pod")]

    plane.wait(1)
    assert names() == ["later", "never"]
    assert said(plane, "TaintManagerEviction") == ["Marking for deletion Pod default/now"]
    plane.wait(18)
    assert names() == ["later", "never"]
    plane.wait(3)
    assert names() == ["never"]


def test_a_taint_that_is_taken_away_in_time(plane):
    tolerations = [{"key": "m", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 20}]
    plane.apply(bare_pod("p", tolerations=tolerations))
    node = plane.get("Pod", "p")["spec"]["nodeName"]
    for _ in range(3):
        plane.store.update("Node", "", node, lambda n: n.setdefault("spec", {}).update(taints=[
            {"key": "m", "effect": "NoExecute"}]))  # fmt: skip
        plane.wait(15)
        plane.store.update("Node", "", node, lambda n: n["spec"].pop("taints"))
        plane.wait(1)
    assert plane.get("Pod", "p")


def test_pods_of_a_deleted_node_go_after_a_while(plane):
    plane.apply(deployment())
    plane.finalizing = False
    plane.store.delete("Node", "", "node-2")
    plane.wait(7)
    assert "node-2" in places(plane)
    plane.wait(3)
    assert "node-2" not in places(plane)
    assert len(places(plane)) == 3
