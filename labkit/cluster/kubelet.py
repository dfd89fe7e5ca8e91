"""Pods on their nodes: from a Pod bound to a node to a network namespace with servers in it, and back.

    Pod with nodeName ─> address ─> namespace + veth (cni) ─> containers (workload, dns) ─> status: Running, Ready

One object serves all nodes of the lab. Source: kubelet's pod lifecycle (pkg/kubelet/kubelet.go, status/generate.go).
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
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
    """A pod that this kubelet holds: where it runs, how it is wired, which role serves it."""

    place: Place
    role: str
    number: int = 0
    wiring: Wiring | None = None


class Kubelet:
    """Brings the pods of all nodes into being. `links` are the nodes' netlink sockets, `roles` the channels by name."""

    def __init__(
        self, store: Store, nodes: Mapping[str, Place], links: Mapping[str, Links], plugin: Plugin, roles: Mapping[str, Peer], work: Work
    ) -> None:
        self._store = store
        self._nodes = nodes
        self._links = links
        self._plugin = plugin
        self._roles = roles
        self._work = work
        self._ranges: dict[str, Range] = {}
        self._running: dict[str, Running] = {}  # by the pod's uid
        self._new: list[Pod] = []
        for node in store.list("Node"):
            name = node["metadata"]["name"]
            pods = self._ranges[name] = Range(node["spec"]["podCIDR"])
            plugin.setup(links[name], f"{pods.gateway}/{pods.subnet.split('/')[1]}")
        store.watch(["Pod"], self._heard)

    def places(self) -> list[Place]:
        return [running.place for running in self._running.values()]

    def cni_result(self, uid: str) -> dict[str, Any] | None:
        """What the CNI plugin reported for a pod; None for one in its node's own network."""
        wiring = self._running[uid].wiring
        return result(wiring) if wiring else None

    def container(self, uid: str, statuses: list[Raw]) -> None:
        """The role that serves the pod reports its containers' new states."""
        if running := self._running.get(uid):
            namespace, name = running.place.name.split("/")
            with suppress(LabError):  # deleted meanwhile
                self._report(namespace, name, statuses)

    def _heard(self, event: Event) -> None:
        pod = self._store.typed(Pod, event.object)
        if event.type == "DELETED" or not pod.spec.node_name:
            if event.type == "DELETED" and pod.metadata.uid in self._running:  # by force, without a grace period
                self._work.start(self._stop(pod, grace=0))
            return
        if pod.terminating:
            if pod.metadata.uid in self._running:
                self._work.start(self._stop(pod, grace=pod.spec.termination_grace_period_seconds))
        elif pod.metadata.uid not in self._running and pod not in self._new:
            if not self._new:
                self._work.start(self._start_new())
            self._new.append(pod)

    async def _start_new(self) -> None:
        """Start the pods that came together: their networks one by one, their containers side by side."""
        pods, self._new = self._new, []
        started = [pod for pod in pods if self._connect(pod)]
        answers = await asyncio.gather(*(self._start(pod) for pod in started), return_exceptions=True)
        with self._store.transaction():
            for pod, answer in zip(started, answers, strict=True):
                if isinstance(answer, BaseException):
                    self._failed(pod, str(answer))
                else:
                    self._report(pod.namespace, pod.name, answer)

    def _connect(self, pod: Pod) -> bool:
        """Give the pod its network. What fails is undone, and said in the pod's status."""
        node = self._nodes[pod.spec.node_name]
        role = "dns" if any(DNS_IMAGE in c.image.rpartition("/")[2] for c in pod.spec.containers) else "workload"
        if pod.spec.host_network:
            self._running[pod.metadata.uid] = Running(self._place(pod, node.netns, node.addresses[0]), role)
            return True
        pods = self._ranges[node.name]
        path, number = "", None
        try:
            address, number = pods.allocate()
            path = netns.create(f"cni-{pod.metadata.uid}")
            wiring = self._plugin.plan(
                Attachment(pod.metadata.uid, path, node.netns, address, pods.subnet, pods.gateway, number)
            )
            connect(wiring, self._links[node.name])
        except (LabError, OSError) as error:
            if path:
                netns.delete(path)  # a veth pair ends with either end
            if number is not None:
                pods.release(number)
            self._failed(pod, f"failed to set up the pod's network: {error}")
            return False
        self._running[pod.metadata.uid] = Running(self._place(pod, path, address), role, number, wiring)
        return True

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

    async def _start(self, pod: Pod) -> list[Raw]:
        running = self._running[pod.metadata.uid]
        raw = self._store.get("Pod", pod.namespace, pod.name)
        started = await self._roles[running.role].call(
            "start_pod", place=msgspec.to_builtins(running.place), pod=raw
        )
        return started or [_running(c) for c in raw["spec"]["containers"]]

    async def _stop(self, pod: Pod, grace: int) -> None:
        running = self._running.pop(pod.metadata.uid)
        await self._roles[running.role].call("stop_pod", uid=pod.metadata.uid, grace=grace)
        if running.wiring:
            disconnect(running.wiring, self._links[running.place.node])
            netns.delete(running.place.netns)
            self._ranges[running.place.node].release(running.number)
        if self._store.find("Pod", pod.namespace, pod.name):
            self._store.finalize("Pod", pod.namespace, pod.name)

    def _report(self, namespace: str, name: str, statuses: list[Raw]) -> None:
        def change(pod: Raw) -> None:
            running = self._running[pod["metadata"]["uid"]]
            address = running.place.addresses[0]
            pod["status"] = {
                **pod.get("status", {}),
                **_status(pod, statuses),
                "podIP": address,
                "podIPs": [{"ip": address}],
                "hostIP": self._nodes[running.place.node].addresses[0],
                "containerStatuses": statuses,
            }

        self._store.update("Pod", namespace, name, change)

    def _failed(self, pod: Pod, why: str) -> None:
        def change(raw: Raw) -> None:
            ready = {"type": "Ready", "status": "False", "reason": "FailedCreatePodSandBox", "message": why}
            raw["status"] = {**raw.get("status", {}), "phase": "Pending", "conditions": [ready]}

        self._store.update("Pod", pod.namespace, pod.name, change)


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
