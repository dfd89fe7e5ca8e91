"""The control plane alone, with hollow nodes: their kubelets write all that a kubelet writes, and run nothing.

    Deployment ─> ReplicaSet ─> Pods ─> scheduler ─> hollow kubelet: Events, status ─> EndpointSlices

Source: kubemark, kubernetes/pkg/kubemark/hollow_kubelet.go.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

from labkit.cluster.kubelet.reports import Reports
from labkit.cluster.kubelet.status import Told, creating
from labkit.cluster.nodes import registered
from labkit.cluster.plane import Plane
from labkit.cluster.work import Work
from labkit.control.deletion import timestamp
from labkit.control.store import Raw, Store
from labkit.control.watch import Event
from labkit.lab.bench import manifests
from labkit.net.topology import plan
from labkit.workloads.nodes.pace import Pace

NAME = "many"


class Kubelets:
    """The kubelets of all hollow nodes: `done` is set when as many pods as wanted are Ready."""

    def __init__(self, store: Store, work: Work, nodes: Sequence[str], wanted: int) -> None:
        self._store = store
        self._reports = Reports(store, work, nodes)
        self._wanted = wanted
        self._seen: set[str] = set()
        self.done = asyncio.Event()
        store.watch(["Pod"], self._pod)
        store.watch(["Deployment"], self._deployment)

    def _pod(self, event: Event) -> None:
        raw = event.object
        uid, name = raw["metadata"]["uid"], raw["metadata"]["name"]
        if not raw["spec"].get("nodeName") or uid in self._seen:
            return
        self._seen.add(uid)
        key, container = f"default/{name}", raw["spec"]["containers"][0]
        said = {
            "Pulled": f'Container image "{container["image"]}" already present on machine',
            "Created": f"Created container: {container['name']}",
            "Started": f"Started container {container['name']}",
        }
        for reason, message in said.items():
            self._reports.event(uid, key, container["name"], "Normal", reason, message)
        number = len(self._seen)
        running = _running(raw, timestamp(self._store.now()))
        self._reports.status(uid, key, Told(running, (f"10.244.{number // 250}.{number % 250 + 1}",), ("192.168.1.1",)))

    def _deployment(self, event: Event) -> None:
        if event.object.get("status", {}).get("readyReplicas") == self._wanted:
            self.done.set()


def measure(pods: str, nodes: str, folder: str) -> dict[str, float]:
    """CPU seconds of a Deployment's way to `pods` Ready pods, and the writes that it took; state is in `folder`."""
    return asyncio.run(_measured(int(pods), int(nodes), folder))


async def _measured(pods: int, nodes: int, folder: str) -> dict[str, float]:
    errors: list[BaseException] = []
    work = Work(errors.append)
    plane = Plane(0, work, Pace(5.0), folder)
    site = plan(nodes, ["a", "b"])
    for machine in site.machines:
        plane.store.create(registered(machine, 0, plane.store.now()))
    kubelets = Kubelets(plane.store, work, [machine.name for machine in site.machines], pods)
    web: list[Raw] = [manifests.deployment(NAME, pods), manifests.service(NAME)]
    await plane.settle()
    writes, began = int(plane.store.version), time.process_time()
    plane.apply(web)
    async with asyncio.timeout(120):
        await kubelets.done.wait()
        await plane.settle()
    if errors:
        raise errors[0]
    return {"hollow": time.process_time() - began, "writes": int(plane.store.version) - writes}


def _running(pod: Raw, now: str) -> Raw:
    """The statuses of containers that have been started, as a kubelet's."""
    found = creating(pod)
    for status in found["containerStatuses"]:
        status |= {"state": {"running": {"startedAt": now}}, "ready": True, "started": True, "imageID": status["image"]}
    return found
