"""Pods on their nodes: from a Pod bound to a node to a network namespace with servers in it, and back.

    Pod with nodeName ─> address ─> namespace + veth (cni) ─> containers (workload, dns) ─> status: Running, Ready

One object serves all nodes of the lab. Source: kubelet's pod lifecycle (pkg/kubelet/kubelet.go, status/generate.go).
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import msgspec

from labkit.api.objects import Container, Pod
from labkit.cluster.work import Work
from labkit.cni.ipam import Range
from labkit.cni.plugins import Plugin
from labkit.cni.wiring import Attachment, Wiring, connect, disconnect, result
from labkit.control.store import Raw, Store
from labkit.control.watch import Event
from labkit.dns import resolv
from labkit.errors import LabError
from labkit.linux import netns
from labkit.linux.rtnetlink import Links
from labkit.net.place import Place
from labkit.sandbox.channel import Peer

DNS_IMAGE = "coredns"
DNS_IP = "10.96.0.10"


class Running(msgspec.Struct):
    """A pod that this kubelet holds: where it runs, how it is wired, which role serves it.

    told  whether the role has reported its containers' states by itself since it started them
    """

    place: Place
    role: str
    number: int = 0
    wiring: Wiring | None = None
    told: bool = False


class Kubelet:
    """Brings the pods of all nodes into being. `links` are the nodes' netlink sockets, `roles` the channels by name."""

    def __init__(
        self,
        store: Store,
        nodes: Mapping[str, Place],
        links: Mapping[str, Links],
        plugin: Plugin,
        roles: Mapping[str, Peer],
        work: Work,
    ) -> None:
        self._store = store
        self._nodes = nodes
        self._links = links
        self._plugin = plugin
        self._roles = roles
        self._work = work
        self._ranges: dict[str, Range] = {}
        # A pod is in one of these, by its uid, from the moment it is bound to a node until it is gone.
        self._new: dict[str, Pod] = {}  # to be started
        self._refused: dict[str, Pod] = {}  # without a network; tried again when an address comes free
        self._running: dict[str, Running] = {}
        self._ending: set[str] = set()
        self._unplugged: dict[str, list[Running]] = {}  # by node: about to lose their networks
        for node in store.list("Node"):
            name = node["metadata"]["name"]
            pods = self._ranges[name] = Range(node["spec"]["podCIDR"])
            plugin.setup(links[name], f"{pods.gateway}/{pods.subnet.split('/')[1]}")
        store.watch(["Pod"], self._heard)

    def places(self) -> list[Place]:
        return [running.place for running in self._running.values()]

    def place(self, pod: str) -> Place | None:
        """Where a pod (`namespace/name`) runs."""
        return next((place for place in self.places() if place.name == pod), None)

    def cni_result(self, uid: str) -> dict[str, Any] | None:
        """What the CNI plugin reported for a pod; None for one in its node's own network, or without a network yet."""
        running = self._running.get(uid)
        return result(running.wiring) if running and running.wiring else None

    def container(self, uid: str, statuses: list[Raw]) -> None:
        """The role that serves the pod reports its containers' new states."""
        if running := self._running.get(uid):
            running.told = True
            self._report(uid, running, statuses)

    def _heard(self, event: Event) -> None:
        pod = self._store.typed(Pod, event.object)
        uid = pod.metadata.uid
        if event.type == "DELETED" or pod.terminating:
            self._end(pod, 0 if event.type == "DELETED" else pod.spec.termination_grace_period_seconds)
        elif pod.spec.node_name in self._nodes and uid not in self._running and uid not in self._refused:
            self._add(pod)

    def _add(self, pod: Pod) -> None:
        if not self._new:
            self._work.start(self._start_new())
        self._new[pod.metadata.uid] = pod

    def _end(self, pod: Pod, grace: int) -> None:
        uid = pod.metadata.uid
        if uid in self._running:
            self._ending.add(uid)
            self._work.start(self._stop(pod, self._running.pop(uid), grace))
        elif uid not in self._ending:  # nothing of it was made
            self._new.pop(uid, None)
            self._refused.pop(uid, None)
            self._finalize(pod)

    async def _start_new(self) -> None:
        """Start the pods that came together: their networks one by one, their containers side by side."""
        pods, self._new = list(self._new.values()), {}
        started = [(pod, running) for pod in pods if (running := self._connect(pod))]
        answers = await asyncio.gather(*(self._start(pod, r) for pod, r in started), return_exceptions=True)
        with self._store.transaction():
            for (pod, running), answer in zip(started, answers, strict=True):
                if isinstance(answer, BaseException):
                    self._failed(pod.metadata.uid, pod.key, str(answer))
                elif not running.told:  # else this answer is older than what the role has told since
                    self._report(pod.metadata.uid, running, answer)

    def _connect(self, pod: Pod) -> Running | None:
        """Give the pod its network. What fails is undone, and said in the pod's status."""
        uid = pod.metadata.uid
        node = self._nodes[pod.spec.node_name]
        role = "dns" if any(DNS_IMAGE in c.image.rpartition("/")[2] for c in pod.spec.containers) else "workload"
        if pod.spec.host_network:
            self._running[uid] = Running(self._place(pod, node.netns, node.addresses[0]), role)
            return self._running[uid]
        pods = self._ranges[node.name]
        path, number = "", None
        try:
            address, number = pods.allocate()
            path = netns.create(f"cni-{uid}")
            wiring = self._plugin.plan(Attachment(uid, path, node.netns, address, pods.subnet, pods.gateway, number))
            connect(wiring, self._links[node.name])
        except (LabError, OSError) as error:
            if path:
                netns.delete(path)  # a veth pair ends with either end
            if number is not None:
                pods.release(number)
            self._refused[uid] = pod
            self._failed(uid, pod.key, f"failed to set up the pod's network: {error}")
            return None
        self._running[uid] = Running(self._place(pod, path, address), role, number, wiring)
        return self._running[uid]

    def _place(self, pod: Pod, path: str, address: str) -> Place:
        node = self._nodes[pod.spec.node_name]
        return Place(
            name=pod.key,
            kind="pod",
            netns=path,
            hostname=node.hostname if pod.spec.host_network else resolv.hostname(pod),
            node=node.name,
            zone=node.zone,
            addresses=(address,),
            resolv_conf=resolv.resolv_conf(pod, DNS_IP).text(),
            hosts=resolv.hosts(pod, [address]),
        )

    async def _start(self, pod: Pod, running: Running) -> list[Raw]:
        raw = self._store.get("Pod", pod.namespace, pod.name)
        started = await self._roles[running.role].call("start_pod", place=msgspec.to_builtins(running.place), pod=raw)
        return started or [_running(c) for c in raw["spec"]["containers"]]

    async def _stop(self, pod: Pod, running: Running, grace: int) -> None:
        uid, node = pod.metadata.uid, running.place.node
        await self._roles[running.role].call("stop_pod", uid=uid, grace=grace)
        if running.wiring:
            await self._disconnect(node, running)
        self._ending.discard(uid)
        self._finalize(pod)
        if waiting := next((p for p in self._refused.values() if p.spec.node_name == node), None):
            del self._refused[waiting.metadata.uid]
            self._add(waiting)

    async def _disconnect(self, node: str, running: Running) -> None:
        """Take the pod's network away, together with those of the pods of its node that end at the same time."""
        self._unplugged.setdefault(node, []).append(running)
        await asyncio.sleep(0)
        together = self._unplugged.pop(node, [])
        disconnect([r.wiring for r in together if r.wiring], self._links[node])
        for each in together:
            netns.delete(each.place.netns)
            self._ranges[node].release(each.number)

    def _finalize(self, pod: Pod) -> None:
        """Nothing of the pod is left: its object may go."""
        if self._find(pod.metadata.uid, pod.key):
            self._store.finalize("Pod", pod.namespace, pod.name)

    def _find(self, uid: str, key: str) -> Raw | None:
        """The pod's object, unless it has gone meanwhile; another pod may have its name by now."""
        namespace, name = key.split("/")
        found = self._store.find("Pod", namespace, name)
        return found if found and found["metadata"]["uid"] == uid else None

    def _report(self, uid: str, running: Running, statuses: list[Raw]) -> None:
        """Put the containers' states into the status of a pod that still runs."""
        address = running.place.addresses[0]
        if uid in self._running and (pod := self._find(uid, running.place.name)):
            told = {
                **_status(pod, statuses),
                "podIP": address,
                "podIPs": [{"ip": address}],
                "hostIP": self._nodes[running.place.node].addresses[0],
                "containerStatuses": statuses,
            }
            self._update(pod, told)

    def _failed(self, uid: str, key: str, why: str) -> None:
        if pod := self._find(uid, key):
            ready = {"type": "Ready", "status": "False", "reason": "FailedCreatePodSandBox", "message": why}
            self._update(pod, {"phase": "Pending", "conditions": [ready]})

    def _update(self, pod: Raw, told: Raw) -> None:
        def change(raw: Raw) -> None:
            raw["status"] = {**raw.get("status", {}), **told}

        self._store.update("Pod", pod["metadata"]["namespace"], pod["metadata"]["name"], change)


def _running(container: Raw) -> Raw:
    """The status of a container that its role has started and has no more to say about."""
    return {
        "name": container["name"],
        "image": container["image"],
        "imageID": "",
        "ready": True,
        "started": True,
        "restartCount": 0,
        "state": {"running": {}},
    }


def _status(pod: Raw, statuses: list[Raw]) -> Raw:
    """Phase and conditions from the states of the containers (pkg/kubelet/status/generate.go, getPhase)."""
    spec = msgspec.convert(pod["spec"]["containers"], list[Container])
    ready = len(statuses) == len(spec) and all(s["ready"] for s in statuses)
    ended = [s["state"]["terminated"]["exitCode"] for s in statuses if "terminated" in s["state"]]
    policy = pod["spec"].get("restartPolicy", "Always")
    if len(ended) == len(spec) and (policy == "Never" or (policy == "OnFailure" and not any(ended))):
        phase = "Failed" if any(ended) else "Succeeded"
    elif any("running" in s["state"] for s in statuses):
        phase = "Running"
    else:
        phase = "Pending"
    waiting = [
        f"{s['name']}: {s['state']['waiting'].get('message') or s['state']['waiting']['reason']}"
        for s in statuses
        if "waiting" in s["state"]
    ]
    unready = [s["name"] for s in statuses if not s["ready"]]
    conditions: list[Raw] = [{"type": "PodScheduled", "status": "True"}, {"type": "Initialized", "status": "True"}]
    for kind in ("ContainersReady", "Ready"):
        condition: Raw = {"type": kind, "status": "True" if ready else "False"}
        if not ready:
            why = "; ".join(waiting) or f"containers with unready status: [{' '.join(unready)}]"
            condition |= {"reason": "ContainersNotReady", "message": why}
        conditions.append(condition)
    return {"phase": phase, "conditions": conditions}
