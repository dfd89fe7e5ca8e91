"""Which pods the kubelet starts, ends, refuses and forgets, whatever comes in between. Linux is left out."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from labkit.cluster.kubelet import Kubelet, networks
from labkit.cluster.work import Work
from labkit.cni.plugins import PLUGINS
from labkit.control.store import Store
from labkit.errors import NetlinkError
from labkit.net.place import Place

NODE = {
    "apiVersion": "v1",
    "kind": "Node",
    "metadata": {"name": "node-1"},
    "spec": {"podCIDR": "10.244.1.0/29", "podCIDRs": ["10.244.1.0/29"]},  # room for five pods
}


def pod(name: str, **spec: Any) -> dict[str, Any]:
    containers = [{"name": "c", "image": "nginx"}]
    whole = {"nodeName": "node-1", "containers": containers, "terminationGracePeriodSeconds": 1, **spec}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "default"}, "spec": whole}


class Role:
    """The workload's end of the channel: it notes what it is asked, waits where it is told to, and reports."""

    kubelet: Kubelet

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.hold = asyncio.Event()
        self.hold.set()

    async def call(self, method: str, **params: Any) -> None:
        self.asked.append(method)
        await self.hold.wait()
        if method == "start_pod":
            self.report(params["pod"]["metadata"]["uid"], {"running": {}}, ready=True)

    def notify(self, event: str, **params: Any) -> None:
        self.asked.append(event)

    def report(self, uid: str, state: dict[str, Any], ready: bool = False) -> None:
        status = {"name": "c", "ready": ready, "started": ready, "restartCount": 0, "state": state, "lastState": {}}
        self.kubelet.report([{"uid": uid, "statuses": {"containerStatuses": [status]}}], [])


class Bed:
    """A kubelet on one node, with a store; what it makes in the network is noted in `networks`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.networks: set[str] = set()
        self.failing = False
        monkeypatch.setattr(networks.netns, "create", self._create)
        monkeypatch.setattr(networks.netns, "delete", self.networks.discard)
        monkeypatch.setattr(networks, "connect", self._connect)
        monkeypatch.setattr(networks, "disconnect", lambda wirings, links: None)
        self.store = Store()
        self.store.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "default"}})
        self.store.create(NODE)
        self.role = Role()
        self.errors: list[BaseException] = []
        self.work = Work(self.errors.append)
        place = Place("node-1", "node", "/run/netns/node-1", "node-1", "node-1", "a", ("172.18.1.11",))
        roles: Any = {"workload": self.role}
        links: Any = {"node-1": None}
        self.kubelet = Kubelet(self.store, {"node-1": place}, links, PLUGINS["ptp"], roles, self.work, self._withdrawn)
        self.role.kubelet = self.kubelet

    async def _withdrawn(self) -> None:
        self.role.asked.append("withdrawn?")

    def _create(self, name: str) -> str:
        self.networks.add(f"/run/netns/{name}")
        return f"/run/netns/{name}"

    def _connect(self, *_: object) -> None:
        if self.failing:
            raise NetlinkError("no buffer space", errno=105)

    def status(self, name: str) -> dict[str, Any]:
        status: dict[str, Any] = self.store.get("Pod", "default", name).get("status", {})
        return status

    def ready(self, name: str) -> dict[str, Any]:
        return next(c for c in self.status(name)["conditions"] if c["type"] == "Ready")

    def events(self, name: str) -> list[str]:
        mine = [e for e in self.store.list("Event") if e["involvedObject"]["name"] == name]
        return [f"{e['reason']}: {e['message']}" for e in mine]

    async def idle(self) -> None:
        """Until nothing is under way, also nothing that the end of something has begun."""
        while not self.work.still:
            await self.work.idle()
            await asyncio.sleep(0)
        assert self.errors == []

    def nothing_left(self) -> None:
        assert self.store.list("Pod") == ()
        assert self.kubelet.places() == []
        assert self.networks == set()


def test_a_pod_runs_and_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        bed = Bed(monkeypatch)
        bed.store.create(pod("one"))
        await bed.idle()
        assert bed.status("one")["phase"] == "Running"
        assert (bed.status("one")["podIP"], bed.status("one")["hostIP"]) == ("10.244.1.2", "172.18.1.11")
        assert [p.name for p in bed.kubelet.places()] == ["default/one"]
        bed.store.delete("Pod", "default", "one")
        assert bed.store.find("Pod", "default", "one")  # until it has stopped
        await bed.idle()
        assert bed.role.asked == ["start_pod", "stop_pod", "withdrawn?", "withdrawn", "forget_pod"]
        bed.nothing_left()

    asyncio.run(scenario())


def test_a_full_node_refuses_and_takes_the_next_when_an_address_comes_free(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        bed = Bed(monkeypatch)
        for number in range(7):
            bed.store.create(pod(f"p{number}"))
        await bed.idle()
        running = [n for n in range(7) if bed.status(f"p{n}")["phase"] == "Running"]
        assert running == [0, 1, 2, 3, 4]
        for number in (5, 6):
            assert bed.status(f"p{number}")["phase"] == "Pending"
            why = "no free address in 10.244.1.0/29: 5 pods on this node; add nodes"
            assert bed.ready(f"p{number}")["message"] == "containers with unready status: [c]"
            assert why in bed.events(f"p{number}")[0]
        bed.store.delete("Pod", "default", "p6")  # one that never ran
        assert bed.store.find("Pod", "default", "p6") is None
        bed.store.delete("Pod", "default", "p2")
        await bed.idle()
        assert bed.status("p5")["phase"] == "Running"
        assert bed.status("p5")["podIP"] == "10.244.1.4"
        for number in (0, 1, 3, 4, 5):
            bed.store.delete("Pod", "default", f"p{number}")
        await bed.idle()
        bed.nothing_left()

    asyncio.run(scenario())


def test_what_fails_half_way_is_undone_and_said(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        bed = Bed(monkeypatch)
        bed.failing = True
        bed.store.create(pod("one"))
        await bed.idle()
        assert bed.networks == set()
        failed = "Failed to create pod sandbox: failed to set up the pod's network: no buffer space"
        assert bed.events("one") == [f"FailedCreatePodSandBox: {failed}"]
        assert bed.ready("one")["status"] == "False"
        assert bed.role.asked == []
        bed.store.delete("Pod", "default", "one")
        await bed.idle()
        bed.nothing_left()

    asyncio.run(scenario())


def test_a_node_that_is_cut_off_says_what_has_ended_when_it_is_back(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        bed = Bed(monkeypatch)
        for name, seconds in (("leaves", 900), ("late", 1), ("removed", 900), ("stays", 900)):
            bed.store.create(pod(name, activeDeadlineSeconds=seconds))
        await bed.idle()
        _gracefully(bed.store, "leaves")
        bed.kubelet.silent = lambda node: True
        while "default/late" in [place.name for place in bed.kubelet.places()]:
            await asyncio.sleep(0.01)
        await bed.idle()
        assert "deletionTimestamp" in bed.store.get("Pod", "default", "leaves")["metadata"]
        assert bed.status("late")["phase"] == "Running"
        assert bed.events("late") == []
        _by_force(bed.store, "removed")
        await bed.idle()
        assert sorted(place.name for place in bed.kubelet.places()) == ["default/removed", "default/stays"]
        bed.kubelet.silent = lambda node: False
        bed.kubelet.rejoin("node-1")
        await bed.idle()
        assert [raw["metadata"]["name"] for raw in bed.store.list("Pod")] == ["late", "stays"]
        assert (bed.status("late")["phase"], bed.status("late")["reason"]) == ("Failed", "DeadlineExceeded")
        assert [place.name for place in bed.kubelet.places()] == ["default/stays"]
        for name in ("late", "stays"):
            _gracefully(bed.store, name)
        await bed.idle()
        bed.nothing_left()

    asyncio.run(scenario())


def _gracefully(store: Store, name: str = "one") -> None:
    store.delete("Pod", "default", name)


def _by_force(store: Store, name: str = "one") -> None:
    store.delete("Pod", "default", name, grace=0)


@pytest.mark.parametrize("delete", [_gracefully, _by_force])
@pytest.mark.parametrize("steps", [0, 1, 2, 3])
def test_deleted_while_it_starts(monkeypatch: pytest.MonkeyPatch, delete: Callable[[Store], None], steps: int) -> None:
    """Before the kubelet looks at it, before its containers start, while they start; another pod is not disturbed."""

    async def scenario() -> None:
        bed = Bed(monkeypatch)
        bed.role.hold.clear()
        bed.store.create(pod("one"))
        bed.store.create(pod("two"))
        for _ in range(steps):
            await asyncio.sleep(0)
        delete(bed.store)
        bed.role.hold.set()
        await bed.idle()
        assert bed.store.find("Pod", "default", "one") is None
        assert bed.status("two")["phase"] == "Running"
        bed.store.delete("Pod", "default", "two")
        await bed.idle()
        bed.nothing_left()

    asyncio.run(scenario())


def test_a_new_pod_of_the_same_name_is_another_one(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        bed = Bed(monkeypatch)
        bed.store.create(pod("one"))
        await bed.idle()
        first = bed.store.get("Pod", "default", "one")["metadata"]["uid"]
        bed.role.hold.clear()
        _by_force(bed.store)
        bed.store.create(pod("one"))
        bed.role.report(first, {"waiting": {"reason": "Late"}})
        bed.role.hold.set()
        await bed.idle()
        assert bed.status("one")["phase"] == "Running"
        assert bed.status("one")["podIP"] == "10.244.1.3"
        assert len(bed.networks) == len(bed.kubelet.places()) == 1

    asyncio.run(scenario())


def test_pods_of_unknown_nodes_are_left_alone_and_can_be_deleted(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        bed = Bed(monkeypatch)
        bed.store.create(pod("one", nodeName="node-9"))
        await bed.idle()
        assert "phase" not in bed.status("one")
        _gracefully(bed.store)
        await bed.idle()
        bed.nothing_left()

    asyncio.run(scenario())


def test_a_pod_in_its_node_s_network_takes_no_address(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        bed = Bed(monkeypatch)
        bed.store.create(pod("one", hostNetwork=True))
        await bed.idle()
        (place,) = bed.kubelet.places()
        assert (place.netns, place.hostname, place.addresses) == ("/run/netns/node-1", "node-1", ("172.18.1.11",))
        assert bed.networks == set()
        assert bed.kubelet.cni_result(bed.store.get("Pod", "default", "one")["metadata"]["uid"]) is None

    asyncio.run(scenario())
