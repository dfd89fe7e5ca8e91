"""Waiting for objects to be ready, and saying why they are not."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from labkit.api import selectors
from labkit.api.objects import EndpointSlice, Pod, Service
from labkit.cluster import readiness
from labkit.cluster.plane import Plane
from labkit.control.store import Raw
from labkit.control.watch import Event
from labkit.errors import WaitTimeout
from labkit.sandbox.channel import Handler
from labkit.services.cloud import balancer

READY_KINDS = ("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Pod")


class Waiting:
    """Answers `wait`: an object is ready, and nothing is under way in the reconcile loop and the node agents.

    `known` returns once those who merely hear of changes have heard of all.
    """

    def __init__(self, plane: Plane, known: Callable[[], Awaitable[object]]) -> None:
        self._plane = plane
        self._known = known
        self._store = plane.store
        self._warnings: dict[str, str] = {}  # read only where a wait has failed: they are many
        self._changed = asyncio.Event()
        self._store.watch(None, self._heard, initial=False)

    def handlers(self) -> dict[str, Handler]:
        return {"wait": self.wait, "delete": self.delete}

    async def wait(self, kind: str, namespace: str, name: str, timeout: float) -> None:
        """Return once the object (or, without a kind, every workload and pod) is ready and every node knows.

        A Job is ready when it is complete.

        Raises `NotFound` where there is no such object, `WaitTimeout` with the reasons after `timeout`.
        """
        if kind:
            self._exists(kind, namespace, name)
        try:
            async with asyncio.timeout(timeout):
                while self._missing(kind, namespace, name):
                    await self._change()
                await self._settle()
        except TimeoutError:
            what = f"{kind.lower()}/{name}" if kind else "the cluster"
            self._warnings = self._latest_warnings()
            reasons = self._missing(kind, namespace, name) or ["its nodes are still being set up"]
            raise WaitTimeout(
                f"{what} is not ready after {timeout:g} s: {'; '.join(reasons[:5])}", reasons=reasons
            ) from None

    async def delete(self, kind: str, namespace: str, name: str, timeout: float) -> None:
        """Delete an object; return once it and what it owned are gone, and every node knows.

        One that a controller makes anew under the same name is another: a StatefulSet does so within milliseconds.
        """
        key = kind, self._plane.namespace(kind, namespace), name
        uid = self._store.delete(*key)["metadata"]["uid"]
        try:
            async with asyncio.timeout(timeout):
                while (found := self._store.find(*key)) and found["metadata"]["uid"] == uid:
                    await self._change()
                await self._settle()
        except TimeoutError:
            raise WaitTimeout(f"{kind.lower()}/{name} is not gone after {timeout:g} s") from None

    async def _settle(self) -> None:
        await self._plane.settle()
        await self._known()

    def _heard(self, _: Event) -> None:
        self._changed.set()

    async def _change(self) -> None:
        self._changed.clear()
        await self._changed.wait()

    def _exists(self, kind: str, namespace: str, name: str) -> None:
        self._store.get(kind, self._plane.namespace(kind, namespace), name)

    def _missing(self, kind: str, namespace: str, name: str) -> list[str]:
        """What is not ready, one sentence each."""
        if not kind:
            return [
                reason
                for each in READY_KINDS
                for raw in self._store.list(each)
                for reason in self._missing(each, raw["metadata"].get("namespace", ""), raw["metadata"]["name"])
            ]
        raw = self._store.find(kind, self._plane.namespace(kind, namespace), name)
        if raw is None:
            return [f"{kind.lower()}/{name} was deleted"]
        if kind == "Pod":
            return self._pod(namespace, name)
        if kind == "Service":
            return self._service(namespace, name)
        if short := readiness.missing(raw):
            return [short, *self._pods(raw)]
        return []

    def _pod(self, namespace: str, name: str) -> list[str]:
        pod = self._store.view(Pod, namespace, name)
        if pod is None or pod.ready or pod.terminating or pod.status.phase == "Succeeded":
            return []
        if pod.status.phase == "Failed" and any(ref.kind == "Job" for ref in pod.metadata.owner_references):
            return []  # the Job says what that means
        return [f"pod {name}: {_why(pod, self._warnings.get(pod.metadata.uid, ''))}"]

    def _latest_warnings(self) -> dict[str, str]:
        """What was last complained of, by the uid of the object that it is about."""
        warnings = [e for e in self._store.list("Event") if e.get("type") == "Warning"]
        warnings.sort(key=lambda e: (e.get("lastTimestamp") or "", self._store.created(e)))
        return {e["involvedObject"].get("uid", ""): e.get("message", "") for e in warnings}

    def _pods(self, owner: Raw) -> list[str]:
        """What keeps the pods of a workload from being ready."""
        selector, namespace = owner["spec"].get("selector"), owner["metadata"].get("namespace", "")
        pods = [p for p in self._store.list("Pod", namespace) if selectors.matches(selector, readiness.labels(p))]
        return [reason for p in pods for reason in self._pod(namespace, p["metadata"]["name"])]

    def _service(self, namespace: str, name: str) -> list[str]:
        service = self._store.view(Service, namespace, name)
        if service is None or service.spec.type == "ExternalName":
            return []
        if balancer.wants(service) and not balancer.addresses(service):
            why = self._warnings.get(service.metadata.uid) or "the cloud has not given it one yet"
            return [f"Service {name} has no load balancer: {why}"]
        slices = [s for s in self._store.views(EndpointSlice, namespace) if s.service == name]
        if any(e.conditions.ready is not False for s in slices for e in s.endpoints):
            return []
        selector = ",".join(f"{k}={v}" for k, v in service.spec.selector.items())
        pods = [
            p for p in self._store.views(Pod, namespace) if service.spec.selector.items() <= p.metadata.labels.items()
        ]
        if not selector:
            return [f"Service {name} has no selector: it needs EndpointSlices made by hand"]
        if not pods:
            return [f"Service {name} selects {selector}, and no pod of namespace {namespace} has these labels"]
        return [f"Service {name} has no ready endpoint", *(r for p in pods for r in self._pod(namespace, p.name))]


def _why(pod: Pod, warning: str) -> str:
    """Why a pod is not ready: what was last complained of says most, the conditions what is left."""
    reasons = {c.type: c.message for c in pod.status.conditions if c.status == "False" and c.message}
    return reasons.get("PodScheduled") or warning or reasons.get("Ready") or "it has not been started yet"
