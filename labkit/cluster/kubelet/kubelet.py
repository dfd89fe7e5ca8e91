"""Pods on their nodes: from a Pod bound to a node to a network namespace with servers in it, and back.

    Pod with nodeName ─> network ─> containers (workload, dns) ─> reports: Running, Ready ─> … ─> Succeeded, Failed
    deletionTimestamp ─> containers end ─> network away ─> last status ─> the object goes

One object serves all nodes of the lab. Source: kubelet's pod lifecycle (pkg/kubelet/kubelet.go, pod_workers.go).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import msgspec

from labkit.api.objects import Pod
from labkit.cluster.kubelet.networks import Networks
from labkit.cluster.kubelet.reports import Reports
from labkit.cluster.kubelet.running import Proxies, Running, place, unprobed
from labkit.cluster.kubelet.status import Told, Why, creating
from labkit.cluster.work import Work
from labkit.cni.plugins import Plugin
from labkit.control.store import Raw, Store
from labkit.control.watch import Event
from labkit.errors import LabError
from labkit.linux.rtnetlink import Links
from labkit.net.place import Place
from labkit.sandbox.channel import Peer
from labkit.workloads.pods import is_terminating

ENDED = ("Succeeded", "Failed")
DEADLINE: Why = ("DeadlineExceeded", "Pod was active on the node longer than the specified deadline")


class Kubelet:
    """Brings the pods of all nodes into being. `roles` are the channels by name.

    silent     whether a node is cut off: nothing reaches its pods, and they report nothing, until `rejoin`
    withdrawn  returns when every node knows of all changes so far: none sends connections to what has left meanwhile
    proxies    told of the pods that are their nodes' kube-proxies
    """

    def __init__(
        self,
        store: Store,
        nodes: Mapping[str, Place],
        links: Mapping[str, Links],
        plugin: Plugin,
        roles: Mapping[str, Peer],
        work: Work,
        withdrawn: Callable[[], Awaitable[None]],
    ) -> None:
        self._store = store
        self._nodes = nodes
        self._roles = roles
        self._work = work
        self._withdrawn = withdrawn
        self.silent: Callable[[str], bool] = lambda node: False
        self.proxies: Proxies | None = None
        self.networks = Networks(store, nodes, links, plugin)
        self._reports = Reports(store, work, list(nodes))
        self._reports.written = self._written
        # A pod is in one of these, by its uid, from the moment it is bound to a node until it is gone.
        self._new: dict[str, Pod] = {}  # to be started
        self._refused: dict[str, Pod] = {}  # without a network; tried again when an address comes free
        self._running: dict[str, Running] = {}
        self._leaving: list[str] = []
        store.watch(["Pod"], self._heard)

    def places(self) -> list[Place]:
        return [running.place for running in self._running.values() if not running.over]

    def place(self, pod: str) -> Place | None:
        """Where a pod (`namespace/name`) runs."""
        return next((place for place in self.places() if place.name == pod), None)

    def pod(self, uid: str) -> Pod | None:
        """A pod that has been started and has not gone."""
        running = self._running.get(uid)
        return running.pod if running else None

    def cni_result(self, uid: str) -> dict[str, Any] | None:
        """What the CNI plugin reported for a pod; None for one in its node's own network, or without a network yet."""
        running = self._running.get(uid)
        return running.network.cni_result() if running and running.network else None

    def report(self, pods: Sequence[Raw], events: Sequence[Raw]) -> None:
        """The role that serves the pods tells of their containers' new states, and what has happened to them."""
        for each in events:
            if (running := self._running.get(each["uid"])) and not self.silent(running.place.node):
                said = each["container"], each["type"], each["reason"], each["message"]
                self._reports.event(each["uid"], running.place.name, *said)
        for each in pods:
            if running := self._running.get(each["uid"]):
                running.statuses = each["statuses"]
                self._tell(each["uid"], running)
                if self.proxies and running.proxy:
                    (own,) = [s for s in each["statuses"]["containerStatuses"] if s["name"] == running.proxy]
                    self.proxies.ran(running.place.node, each["uid"], own)

    def rejoin(self, node: str) -> None:
        """A node is no longer cut off: it hears what has become of its pods, and tells of them."""
        mine = [each for each in self._running.items() if each[1].place.node == node]
        for uid, running in mine:
            self._tell(uid, running)
        self._reports.flush()
        here = {raw["metadata"]["uid"]: raw for raw in self._store.indexed("node", node)}
        for uid, running in mine:
            if running.over:
                del self._running[uid]
            if uid not in here:
                self._end(running.pod, 0, gone=True)
        for raw in here.values():
            self._heard(Event("ADDED", raw))

    def _heard(self, event: Event) -> None:
        raw = event.object
        if not raw["spec"].get("nodeName") and event.type != "DELETED" and not is_terminating(raw):
            return  # nobody's yet
        pod = self._store.typed(Pod, raw)
        uid = pod.metadata.uid
        if self.silent(pod.spec.node_name):
            pass
        elif event.type == "DELETED":
            self._end(pod, 0, gone=True)
        elif pod.terminating:
            self._end(pod, raw["metadata"].get("deletionGracePeriodSeconds") or 0)
        elif running := self._running.get(uid):
            self._changed(running, pod, event)
        elif uid not in self._refused and pod.spec.node_name in self._nodes and pod.status.phase not in ENDED:
            self._add(pod)

    def _changed(self, running: Running, pod: Pod, event: Event) -> None:
        """Something else than its end is new about a pod that runs."""
        before, running.pod = running.pod, pod
        if (before.metadata.labels, before.metadata.annotations) != (pod.metadata.labels, pod.metadata.annotations):
            self._work.start(self._update(event.object))
        if pod.spec.readiness_gates and before.status.conditions != pod.status.conditions:
            self._tell(pod.metadata.uid, running)

    async def _update(self, pod: Raw) -> None:
        await self._roles["workload"].call("update_pod", pod=pod)

    def _add(self, pod: Pod) -> None:
        if not self._new:
            self._work.start(self._start_new())
        self._new[pod.metadata.uid] = pod

    def _end(self, pod: Pod, grace: int, gone: bool = False) -> None:
        uid = pod.metadata.uid
        running = self._running.get(uid)
        if running is None:  # nothing of it was made, or nothing is left
            self._new.pop(uid, None)
            self._refused.pop(uid, None)
            if gone:
                self._roles["workload"].notify("forget_pod", uid=uid)
            else:
                self._finalize(pod)
        elif running.grace is None:
            running.grace = grace
            self._work.start(self._finish(running, grace))
        elif grace < running.grace:
            running.grace = grace
            self._work.start(self._stop_sooner(running, grace))

    async def _start_new(self) -> None:
        """Start the pods that came together: their networks one by one, their containers side by side."""
        pods, self._new = list(self._new.values()), {}
        started = [running for pod in pods if (running := self._connect(pod))]
        await asyncio.gather(*(self._start(running) for running in started))

    def _connect(self, pod: Pod) -> Running | None:
        """Give the pod its network. What fails is said in the pod's status and in an Event."""
        uid, node = pod.metadata.uid, self._nodes[pod.spec.node_name]
        network = None
        try:
            if not pod.spec.host_network:
                network = self.networks.attach(uid, node.name)
        except (LabError, OSError) as error:
            self._refused[uid] = pod
            message = f"Failed to create pod sandbox: failed to set up the pod's network: {error}"
            self._reports.event(uid, pod.key, "", "Warning", "FailedCreatePodSandBox", message)
            if raw := self._reports.find(uid, pod.key):
                self._reports.status(uid, pod.key, Told(creating(raw), (), node.addresses))
            return None
        running = self._running[uid] = Running(pod, place(pod, node, network), network)
        return running

    async def _start(self, running: Running) -> None:
        uid, pod = running.pod.metadata.uid, running.pod
        raw = self._reports.find(uid, pod.key)
        if raw is None:
            return
        node = self._store.find("Node", "", running.place.node) or {}
        facts = {
            "address": running.place.addresses[0],
            "host": self._nodes[running.place.node].addresses[0],
            "allocatable": node.get("status", {}).get("allocatable") or {},
        }
        where = msgspec.to_builtins(running.place)
        if seconds := pod.spec.active_deadline_seconds:
            running.deadline = asyncio.get_running_loop().call_later(seconds, self._overdue, running)
        try:
            await self._roles["workload"].call(
                "start_pod", place=where, pod=unprobed(raw) if running.dns else raw, facts=facts
            )
            if running.dns:
                await self._start_dns(running, where)
        except LabError as error:
            running.statuses = creating(raw)
            self._reports.event(uid, pod.key, "", "Warning", "Failed", f"Error: {error}")
        self._tell(uid, running)

    async def _start_dns(self, running: Running, where: Raw) -> None:
        """Let CoreDNS serve in the pod; where it cannot, nothing of the pod is left running."""
        uid = running.pod.metadata.uid
        try:
            await self._roles["dns"].call("start_pod", place=where, uid=uid)
        except LabError:
            await self._roles["workload"].call("stop_pod", uid=uid, grace=0)
            raise

    def _overdue(self, running: Running) -> None:
        """The pod has had all the time that it may take."""
        uid = running.pod.metadata.uid
        if running.grace is None:
            running.failure = DEADLINE
            running.grace = running.pod.spec.termination_grace_period_seconds
            if not self.silent(running.place.node):
                self._reports.event(uid, running.place.name, "", "Normal", *DEADLINE)
            self._tell(uid, running)
            self._work.start(self._finish(running, running.grace))

    def _written(self, uid: str, pod: Raw) -> None:
        """A status is in the store: a pod that has come to its end needs no network any more."""
        running = self._running.get(uid)
        if running and running.grace is None and pod["status"]["phase"] in ENDED:
            running.grace = 0
            self._work.start(self._finish(running, 0))

    async def _finish(self, running: Running, grace: int) -> None:
        """The end of a pod. Where its object stays, its logs stay as well."""
        await self._take_down(running, grace)
        pod = running.pod
        if (raw := self._reports.find(pod.metadata.uid, pod.key)) is None:
            self._roles["workload"].notify("forget_pod", uid=pod.metadata.uid)
        elif "deletionTimestamp" in raw["metadata"]:
            self._finalize(pod)

    async def _stop_sooner(self, running: Running, grace: int) -> None:
        await self._roles["workload"].call("stop_pod", uid=running.pod.metadata.uid, grace=grace)

    async def _take_down(self, running: Running, grace: int) -> None:
        """End the containers, take the network away, write the last status."""
        uid, node = running.pod.metadata.uid, running.place.node
        if running.deadline:
            running.deadline.cancel()
        self._withdraw(uid)
        if running.dns:
            await self._roles["dns"].call("stop_pod", uid=uid)
        if self.proxies and running.proxy:
            await self.proxies.leaves(node, uid)
        await self._roles["workload"].call("stop_pod", uid=uid, grace=grace)
        running.over = True
        if running.network:
            await self.networks.detach(running.network)
        if not self.silent(node):  # what became of it is still to be told
            self._tell(uid, running)
            self._reports.flush()
            self._running.pop(uid, None)
        if waiting := next((p for p in self._refused.values() if p.spec.node_name == node), None):
            del self._refused[waiting.metadata.uid]
            self._add(waiting)

    def _withdraw(self, uid: str) -> None:
        """Tell the pod's servers when no connections come any more."""
        if not self._leaving:
            self._work.start(self._tell_withdrawn())
        self._leaving.append(uid)

    async def _tell_withdrawn(self) -> None:
        uids, self._leaving = self._leaving, []
        await self._withdrawn()
        # A request, not an event: events overtake the requests before them, such as the pod's start.
        await self._roles["workload"].call("withdrawn", uids=uids)

    def _finalize(self, pod: Pod) -> None:
        """Nothing of the pod is left: its object may go."""
        if not self.silent(pod.spec.node_name) and self._reports.find(pod.metadata.uid, pod.key):
            self._store.finalize("Pod", pod.namespace, pod.name)

    def _tell(self, uid: str, running: Running) -> None:
        if running.statuses and not self.silent(running.place.node):
            hosts = self._nodes[running.place.node].addresses
            told = Told(running.statuses, running.place.addresses, hosts, running.over, running.failure)
            self._reports.status(uid, running.place.name, told)
