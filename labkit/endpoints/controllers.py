"""The three controllers that keep endpoints: each reads the store, asks its pure `plan`, and writes what differs.

    EndpointSlices   Service with selector, pods, nodes -> EndpointSlices
    LegacyEndpoints  Service with selector, pods        -> Endpoints
    Mirroring        Endpoints written by hand          -> EndpointSlices

All keys are `namespace/name` of a Service.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from labkit.api.objects import Endpoints, EndpointSlice, Node, Service
from labkit.control.store import Raw, Store
from labkit.control.watch import Event
from labkit.endpoints import legacy, lookup, mirroring, slices


class EndpointSlices:
    """Source: kubernetes/pkg/controller/endpointslice/endpointslice_controller.go."""

    name = "endpointslice"
    kinds = frozenset({"EndpointSlice", "Node", "Pod", "Service"})

    def __init__(self, store: Store) -> None:
        self._store = store
        lookup.add_indexes(store)
        store.add_index("service", _service_of_slice)

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
        return ()

    def reconcile(self, key: str) -> None:
        namespace, _, name = key.partition("/")
        service = self._store.view(Service, namespace, name)
        if service is None or not service.spec.selector or service.spec.type == "ExternalName":
            return
        pods = lookup.pods_of(self._store, service)
        nodes = {node.name: node for node in self._store.views(Node)}
        existing = _slices(self._store, key, slices.MANAGER)
        _write(self._store, existing, slices.plan(service, pods, nodes, existing))


class LegacyEndpoints:
    """Source: kubernetes/pkg/controller/endpoint/endpoints_controller.go."""

    name = "endpoint"
    kinds = frozenset({"Endpoints", "Pod", "Service"})

    def __init__(self, store: Store) -> None:
        self._store = store
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
            if current is not None:
                self._store.delete("Endpoints", namespace, name)
        elif service.spec.selector and service.spec.type != "ExternalName":
            planned = legacy.plan(service, lookup.pods_of(self._store, service))
            if current is None:
                self._store.create(planned)
            else:
                self._store.replace(planned)


class Mirroring:
    """Source: kubernetes/pkg/controller/endpointslicemirroring/endpointslicemirroring_controller.go."""

    name = "endpointslicemirroring"
    kinds = frozenset({"Endpoints", "EndpointSlice", "Service"})

    def __init__(self, store: Store) -> None:
        self._store = store

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


def _key(raw: Raw) -> str:
    return f"{raw['metadata']['namespace']}/{raw['metadata']['name']}"
