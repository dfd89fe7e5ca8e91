"""The three controllers that keep endpoints: each reads the store, asks its pure `plan`, and writes what differs.

    EndpointSlices   Service with selector, pods, nodes -> EndpointSlices
    LegacyEndpoints  Service with selector, pods        -> Endpoints
    Mirroring        Endpoints written by hand          -> EndpointSlices

All keys are `namespace/name` of a Service.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from labkit.api.objects import Endpoints, EndpointSlice, Node, Service
from labkit.control.recorder import Recorder
from labkit.control.store import Raw, Store, copy
from labkit.control.watch import Event
from labkit.endpoints import legacy, lookup, mirroring, slices, topology
from labkit.endpoints.triggers import TriggerTimes, noted


class EndpointSlices:
    """Source: kubernetes/pkg/controller/endpointslice/endpointslice_controller.go."""

    name = "endpointslice"
    kinds = frozenset({"EndpointSlice", "Node", "Pod", "Service"})

    def __init__(self, store: Store) -> None:
        self._store = store
        self._recorder = Recorder(store, "endpoint-slice-controller")
        self._hinted: set[tuple[str, str]] = set()  # Services, with IP family, whose slices have topology hints
        self._triggers = TriggerTimes()
        lookup.add_indexes(store)
        store.add_index("service", _service_of_slice, "EndpointSlice")

    def keys(self, event: Event) -> Iterable[str]:
        match event.object["kind"]:
            case "Service":
                return [_key(event.object)]
            case "Pod":
                return lookup.services_of(self._store, event)
            case "EndpointSlice":
                versions = [event.object, event.old or event.object]
                return {key for raw in versions if _manager(raw) == slices.MANAGER for key in _service_of_slice(raw)}
            case _ if event.old is None or _labels(event.old) != _labels(event.object) or event.type == "DELETED":
                return [service.key for service in self._store.views(Service) if service.spec.selector]
            case _ if _capacity(event.old) != _capacity(event.object):
                return [service.key for service in self._store.views(Service) if topology.auto(service)]
        return ()

    def reconcile(self, key: str) -> None:
        namespace, _, name = key.partition("/")
        service = self._store.view(Service, namespace, name)
        if service is None:
            self._triggers.forget(key)
            return
        if not service.spec.selector or service.spec.type == "ExternalName":
            return
        pods = lookup.pods_of(self._store, service)
        since = self._triggers.take(service, pods)  # also where nothing is written: it counts once
        nodes = {node.name: node for node in self._store.views(Node)}
        existing = _slices(self._store, key, slices.MANAGER)
        planned = slices.plan(service, pods, nodes, existing)
        _write(self._store, existing, noted(existing, planned, since))
        self._tell(service, slices.obstacles(planned, nodes) if topology.auto(service) else {})

    def _tell(self, service: Service, obstacles: Mapping[str, str]) -> None:
        """Say what became of topology hints. Nothing for a Service that neither wants nor had any."""
        raw = self._store.get("Service", service.namespace, service.name)
        for family in service.spec.ip_families or ("IPv4",):
            had, why = (service.key, family) in self._hinted, obstacles.get(family)
            if why == "":
                self._hinted.add((service.key, family))
                if not had:
                    said = f"Topology Aware Hints has been enabled, addressType: {family}"
                    self._recorder.event(raw, "Normal", "TopologyAwareHintsEnabled", said)
            elif why or had:
                self._hinted.discard((service.key, family))
                said = f"{why or 'Topology Aware Hints has been disabled'}, addressType: {family}"
                self._recorder.event(raw, "Warning", "TopologyAwareHintsDisabled", said)


class LegacyEndpoints:
    """Source: kubernetes/pkg/controller/endpoint/endpoints_controller.go."""

    name = "endpoint"
    kinds = frozenset({"Endpoints", "Pod", "Service"})

    def __init__(self, store: Store) -> None:
        self._store = store
        self._triggers = TriggerTimes()
        lookup.add_indexes(store)

    def keys(self, event: Event) -> Iterable[str]:
        if event.object["kind"] == "Pod":
            return lookup.services_of(self._store, event)
        # Endpoints that come or change are somebody else's; what this controller wrote and lost comes again.
        return [_key(event.object)] if event.object["kind"] == "Service" or event.type == "DELETED" else []

    def reconcile(self, key: str) -> None:
        namespace, _, name = key.partition("/")
        service = self._store.view(Service, namespace, name)
        current = self._store.find("Endpoints", namespace, name)
        if service is None:
            self._triggers.forget(key)
            if current is not None:
                self._store.delete("Endpoints", namespace, name)
        elif service.spec.selector and service.spec.type != "ExternalName":
            pods = lookup.pods_of(self._store, service)
            since = self._triggers.take(service, pods)
            planned = copy(legacy.plan(service, pods))  # as what it is compared with
            if current is None:
                self._store.create(legacy.noted(planned, {}, since))
            elif not legacy.same(planned, current):
                self._store.replace(legacy.noted(planned, current, since))


class Mirroring:
    """Source: kubernetes/pkg/controller/endpointslicemirroring/endpointslicemirroring_controller.go."""

    name = "endpointslicemirroring"
    kinds = frozenset({"Endpoints", "EndpointSlice", "Service"})

    def __init__(self, store: Store) -> None:
        self._store = store
        self._recorder = Recorder(store, "endpoint-slice-mirroring-controller")

    def keys(self, event: Event) -> Iterable[str]:
        if event.object["kind"] != "EndpointSlice":
            return [_key(event.object)]
        return _service_of_slice(event.object) if _manager(event.object) == mirroring.MANAGER else []

    def reconcile(self, key: str) -> None:
        namespace, _, name = key.partition("/")
        endpoints = self._store.view(Endpoints, namespace, name)
        existing = _slices(self._store, key, mirroring.MANAGER)
        planned: Sequence[EndpointSlice] = ()
        if endpoints and mirroring.wanted(endpoints, self._store.view(Service, namespace, name)):
            planned = mirroring.plan(endpoints, existing)
            if left := mirroring.skipped(endpoints):
                most = f"A max of {mirroring.MAX_PER_SUBSET} addresses can be mirrored to EndpointSlices per Endpoints"
                said = f"{most} subset. {left} addresses were skipped"
                about = self._store.get("Endpoints", namespace, name)
                self._recorder.event(about, "Warning", "TooManyAddressesToMirror", said)
        _write(self._store, existing, planned)


def _write(store: Store, existing: Sequence[EndpointSlice], planned: Sequence[EndpointSlice]) -> None:
    """Bring the store from the existing slices to the planned ones."""
    by_name = {s.name: s for s in existing}
    for wanted in planned:
        if not wanted.name:
            store.create(slices.to_raw(wanted))
        elif by_name.pop(wanted.name) != wanted:
            store.replace(slices.to_raw(wanted))
    for gone in by_name.values():
        store.delete("EndpointSlice", gone.namespace, gone.name)


def _slices(store: Store, key: str, manager: str) -> list[EndpointSlice]:
    found = store.indexed("service", key)
    return [store.typed(EndpointSlice, raw) for raw in found if _manager(raw) == manager]


def _service_of_slice(raw: Raw) -> list[str]:
    name = _labels(raw).get(slices.SERVICE_NAME)
    return [f"{raw['metadata']['namespace']}/{name}"] if name and raw["kind"] == "EndpointSlice" else []


def _manager(raw: Raw) -> str | None:
    return _labels(raw).get(slices.MANAGED_BY)


def _labels(raw: Raw) -> dict[str, str]:
    labels: dict[str, str] = raw["metadata"].get("labels", {})
    return labels


def _capacity(node: Raw) -> tuple[object, object]:
    """What of a node counts for topology hints."""
    status = node.get("status", {})
    ready = [each["status"] for each in status.get("conditions", ()) if each["type"] == "Ready"]
    return ready, status.get("allocatable", {}).get("cpu")


def _key(raw: Raw) -> str:
    return f"{raw['metadata']['namespace']}/{raw['metadata']['name']}"
