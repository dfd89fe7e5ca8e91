"""The control plane: store, admission, controllers, and what a client may read and write."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterable, Sequence
from typing import Any

from labkit.api.problem import Problem, invalid
from labkit.apiserver.access import bootstrap
from labkit.apiserver.access.aggregation import Aggregation
from labkit.apiserver.discovery.registrations import Registrations
from labkit.cluster.kept import missing, restore
from labkit.cluster.work import Work
from labkit.control import plugins
from labkit.control.admission import Admission
from labkit.control.apply import Way, apply
from labkit.control.custom.controller import Definitions
from labkit.control.expiry import EventExpiry
from labkit.control.garbage import GarbageCollector
from labkit.control.namespaces import Namespaces, ServiceAccounts, create_initial
from labkit.control.plugins.pods import create_classes
from labkit.control.plugins.quota import ResourceQuotas
from labkit.control.reconcile import Controller, Failure, Loop
from labkit.control.root_ca import RootCertificates
from labkit.control.store import Raw, Store
from labkit.endpoints.controllers import EndpointSlices, LegacyEndpoints, Mirroring
from labkit.errors import LabError
from labkit.net.topology import balanced
from labkit.sandbox.channel import Handler
from labkit.services.admission import DEFAULT, ServiceAdmission
from labkit.services.allocator import Ranges
from labkit.services.cloud.controller import ServiceController
from labkit.workloads import controllers
from labkit.workloads.admission import register as register_pods
from labkit.workloads.nodes.eviction import PodGarbage, TaintEviction
from labkit.workloads.nodes.lifecycle import NodeLifecycle
from labkit.workloads.nodes.pace import Pace
from labkit.workloads.scheduler import Scheduler

SCALED = ("Deployment", "ReplicaSet", "StatefulSet")
MOST_REPLICAS = 5000  # a slip of the finger would else keep the lab busy until its memory is full


class Plane:
    """The store with its reconcile loop: whatever changes is settled before control does anything else."""

    def __init__(
        self,
        seed: int,
        work: Work,
        pace: Pace,
        kept: str = "",
        synchronous: str = "NORMAL",
        ranges: Ranges = DEFAULT,
    ) -> None:
        self.store = Store(seed)
        if kept:
            restore(self.store, kept, synchronous)
        self.admission = Admission(self.store)
        ServiceAdmission(self.store, ranges).register(self.admission)
        self._work = work
        self._due = False
        self._later: asyncio.TimerHandle | None = None
        register_pods(self.admission, self.store)
        plugins.register(self.admission, round(pace.toleration))
        for kind in (*SCALED, "Job"):
            self.admission.validate(kind, _affordable)
        self.root_certificates = RootCertificates(self.store)
        registrations = Registrations(self.store)
        every: list[Controller] = [
            Namespaces(self.store),
            Definitions(self.store),
            ServiceAccounts(self.store),
            self.root_certificates,
            Aggregation(self.store),
            registrations,
            ResourceQuotas(self.store),
            GarbageCollector(self.store),
            *controllers.workloads(self.store, self.admission.create),
            NodeLifecycle(self.store, pace),
            TaintEviction(self.store),
            PodGarbage(self.store, pace),
            Scheduler(self.store),
            EndpointSlices(self.store),
            LegacyEndpoints(self.store),
            Mirroring(self.store),
            ServiceController(self.store, balanced(len(ranges.cidrs) == 2)),
            EventExpiry(self.store),
        ]
        self._loop = Loop(self.store, every, _failed, self._changed)
        create_initial(self.admission)
        create_classes(self.admission)
        for raw in missing(self.store, bootstrap.objects()):
            self.store.create(raw)
        registrations.reconcile("all")

    def handlers(self) -> dict[str, Handler]:
        return {"apply": self.apply, "get": self.get, "list": self.list, "scale": self.scale}

    def apply(self, objects: Sequence[Raw], **way: Any) -> list[dict[str, str]]:
        """All of the objects, or none; `way`: the fields of `Way`. See `labkit.control.apply`."""
        return apply(self.admission, objects, Way(**way))

    def get(self, kind: str, namespace: str, name: str) -> Raw:
        return self.store.get(kind, self.namespace(kind, namespace), name)

    def list(self, kind: str, namespace: str | None) -> Sequence[Raw]:
        return self.store.list(kind, namespace)

    def scale(self, kind: str, namespace: str, name: str, replicas: int) -> None:
        """Set `spec.replicas`. Raises `LabError` for kinds that have none, `ApiError` for a number that is refused."""
        if kind not in SCALED:
            raise LabError(f"cannot scale {kind.lower()}/{name}: {', '.join(SCALED)} have replicas")
        raw = self.store.get(kind, namespace, name)
        self.admission.replace({**raw, "spec": {**raw["spec"], "replicas": replicas}})

    def namespace(self, kind: str, namespace: str) -> str:
        """`namespace`, or nothing for a kind that lives in none; `kind` is what the store keeps it under."""
        return namespace if self.store.catalogue.stored(kind).namespaced else ""

    async def settle(self) -> None:
        """Wait until no reconcile is due and no node agent has work: what the objects ask for is in the kernel."""
        while self._due or not self._work.still:
            await self._work.idle()
            await asyncio.sleep(0)

    async def reconciled(self) -> None:
        """Wait until no reconcile is due."""
        await asyncio.sleep(0)
        while self._due:
            await asyncio.sleep(0)

    def _changed(self) -> None:
        if not self._due:
            self._due = True
            asyncio.get_running_loop().call_soon(self._drain)

    def _drain(self) -> None:
        self._due = False
        self._loop.drain()
        if self._later:
            self._later.cancel()
        if (seconds := self._loop.next_due()) is not None:
            self._later = asyncio.get_running_loop().call_later(seconds, self._changed)


def _affordable(new: Raw, _old: Raw | None) -> Iterable[Problem]:
    field = "parallelism" if new["kind"] == "Job" else "replicas"
    wanted = new["spec"].get(field, 1)
    if wanted > MOST_REPLICAS:
        yield invalid(f"spec.{field}", wanted, f"this lab takes at most {MOST_REPLICAS}", "Choose fewer.")


def _failed(failure: Failure) -> None:
    print(f"a controller failed: {failure}", file=sys.stderr)  # noqa: T201 - the lab's log
