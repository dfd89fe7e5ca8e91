"""A control plane in memory, with a kubelet that runs every pod at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from labkit.control.admission import Admission
from labkit.control.apply import apply
from labkit.control.garbage import GarbageCollector
from labkit.control.namespaces import Namespaces, ServiceAccounts, create_initial
from labkit.control.reconcile import Failure, Loop
from labkit.control.store import Store, key_of
from labkit.endpoints.controllers import EndpointSlices, LegacyEndpoints, Mirroring
from labkit.services.admission import ServiceAdmission
from labkit.workloads import controllers
from labkit.workloads.admission import register
from labkit.workloads.scheduler import Scheduler

Raw = dict[str, Any]


class Kubelet:
    """Gives each pod on a node an address and makes it ready, where `healthy` says so; finalizes deleted ones."""

    name = "kubelet"
    kinds = frozenset({"Pod"})

    def __init__(self, plane: Plane) -> None:
        self._plane = plane
        self._last = 0

    def keys(self, event: Any) -> Iterable[str]:
        _, namespace, name = key_of(event.object)
        return [f"{namespace}/{name}"] if event.object["spec"].get("nodeName") else []

    def reconcile(self, key: str) -> None:
        store = self._plane.store
        pod = store.find("Pod", *key.split("/"))
        if pod is None or pod["spec"].get("nodeName") in (None, *self._plane.silent):
            return
        if "deletionTimestamp" in pod["metadata"]:
            if self._plane.finalizing:
                store.finalize(*key_of(pod))
            return
        status = dict(pod["status"])
        if not status.get("podIP"):
            self._last += 1
            ip = f"10.244.{self._last // 250}.{self._last % 250 + 1}"
            status |= {"podIP": ip, "podIPs": [{"ip": ip}], "phase": "Running"}
        conditions = [c for c in status.get("conditions", []) if c["type"] != "Ready"]
        ready = next((c for c in status.get("conditions", []) if c["type"] == "Ready"), {})
        healthy = str(self._plane.healthy(pod))
        since = ready.get("lastTransitionTime") if ready.get("status") == healthy else self._plane.timestamp()
        status["conditions"] = [*conditions, {"type": "Ready", "status": healthy, "lastTransitionTime": since}]
        store.replace_status({**pod, "status": status})


class Plane:
    def __init__(self, seed: int = 1, nodes: Iterable[str] = ("a", "a", "b")) -> None:
        self.time = datetime(2025, 1, 31, 12, 0, tzinfo=UTC)
        self.failures: list[Failure] = []
        self.healthy: Callable[[Raw], bool] = lambda pod: True
        self.finalizing = True
        self.silent: set[str] = set()
        self.store = Store(seed, now=lambda: self.time)
        self.admission = Admission(self.store)
        ServiceAdmission(self.store).register(self.admission)
        register(self.admission, self.store)
        create_initial(self.admission)
        self.kubelet = Kubelet(self)
        for number, zone in enumerate(nodes, 1):
            labels = {"topology.kubernetes.io/zone": zone, "kubernetes.io/hostname": f"node-{number}"}
            self.admission.create(
                {"apiVersion": "v1", "kind": "Node", "metadata": {"name": f"node-{number}", "labels": labels}}
            )
        self.start()

    def start(self) -> None:
        """Controllers that know nothing yet; a plane that had some goes on without those."""
        self.loop = Loop(
            self.store,
            [
                Namespaces(self.store),
                GarbageCollector(self.store),
                ServiceAccounts(self.store),
                *controllers.workloads(self.store, self.admission.create),
                Scheduler(self.store),
                self.kubelet,
                EndpointSlices(self.store),
                LegacyEndpoints(self.store),
                Mirroring(self.store),
            ],
            self.failures.append,
            clock=lambda: self.time.timestamp(),
        )
        self.loop.drain()

    def timestamp(self) -> str:
        return self.time.strftime("%Y-%m-%dT%H:%M:%SZ")

    def wait(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)
        self.loop.drain()

    def apply(self, *objects: Raw) -> list[str]:
        """Apply and settle; any failure of a controller is the test's."""
        results = [entry["result"] for entry in apply(self.admission, objects)]
        self.loop.drain()
        assert self.failures == []
        return results

    def settle(self) -> None:
        """Let the kubelet look at every pod again."""
        for pod in self.store.list("Pod"):
            self.kubelet.reconcile(f"{pod['metadata']['namespace']}/{pod['metadata']['name']}")
        self.loop.drain()
        assert self.failures == []

    def pods(self, **labels: str) -> list[Raw]:
        return [p for p in self.store.list("Pod") if labels.items() <= p["metadata"].get("labels", {}).items()]

    def get(self, kind: str, name: str, namespace: str = "default") -> Raw:
        return self.store.get(kind, namespace, name)

    def sizes(self) -> dict[str, int]:
        """Replicas of the ReplicaSets, by image."""
        sets = self.store.list("ReplicaSet")
        return {rs["spec"]["template"]["spec"]["containers"][0]["image"]: rs["spec"]["replicas"] for rs in sets}


def deployment(name: str = "web", replicas: int = 3, image: str = "nginx:1", **spec: Any) -> Raw:
    labels = {"app": name}
    container = {"name": "web", "image": image, "ports": [{"name": "http", "containerPort": 8080}]}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container], **spec.pop("pod", {})}}
    spec = {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template, **spec}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": spec}


def service(name: str = "web", **spec: Any) -> Raw:
    spec = {"selector": {"app": name}, "ports": [{"port": 80, "targetPort": "http"}], **spec}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec}


def bare_pod(name: str, labels: dict[str, str] | None = None, **spec: Any) -> Raw:
    spec = {"containers": [{"name": "c", "image": "busybox:1"}], **spec}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": labels or {}}, "spec": spec}


@pytest.fixture
def plane() -> Plane:
    return Plane()
