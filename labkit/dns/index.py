"""What the watch has told: Services, EndpointSlices, Namespaces and Pods, kept by the keys that questions need.

    watch event -> apply -> services, endpoints, namespaces, addresses -> kubernetes.answer

The content depends on the current objects only, not on the order of their events. Source: CoreDNS
plugin/kubernetes/controller.go and object/ (indexes by name, by cluster IP, by endpoint IP, by pod IP).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from socket import AF_INET, AF_INET6, inet_pton
from typing import Any, Literal

import msgspec

from labkit.api import objects

EventType = Literal["ADDED", "MODIFIED", "DELETED"]
NO_PORT = -1


class Port(msgspec.Struct, frozen=True):
    """`number` is NO_PORT for an endpoint without ports: it has addresses, but no SRV record."""

    name: str
    protocol: str
    number: int


class Backend(msgspec.Struct, frozen=True):
    """One ready address behind a Service. `pod` is the name of the pod that it belongs to, where known."""

    address: str
    hostname: str
    pod: str
    ports: tuple[Port, ...]

    def label(self, pod_names: bool = False) -> str:
        """The backend's own name below its Service: hostname, else pod name if wanted, else the dashed address."""
        if self.hostname:
            return self.hostname
        return self.pod if pod_names and self.pod else self.address.replace(".", "-").replace(":", "-")


class Index:
    """The objects that answers are made of. `serial` is the highest resourceVersion seen: the zone's SOA serial."""

    def __init__(self) -> None:
        self.namespaces: set[str] = set()
        self.services: dict[str, objects.Service] = {}
        self.serial = 0
        self._slices: dict[str, tuple[str, tuple[Backend, ...]]] = {}
        self._by_service: dict[str, dict[str, tuple[Backend, ...]]] = {}
        self._cluster_ips: dict[bytes, set[str]] = {}
        self._endpoint_ips: dict[bytes, set[str]] = {}
        self._pods: dict[str, tuple[str, ...]] = {}
        self._pod_ips: dict[bytes, set[str]] = {}

    def apply(self, event: EventType, raw: Mapping[str, Any]) -> None:
        """Take one watch event; kinds that answers do not depend on are passed over.

        Raises `msgspec.ValidationError` where the object is not of its kind's form; the index is then unchanged.
        """
        kind = raw.get("kind", "")
        if kind not in ("Namespace", "Service", "EndpointSlice", "Pod"):
            return
        obj = objects.view(raw, objects.KINDS[kind])
        if obj.metadata.resource_version.isdigit():
            self.serial = max(self.serial, int(obj.metadata.resource_version))
        gone = event == "DELETED"
        if isinstance(obj, objects.Service):
            self._set_service(obj.key, None if gone else obj)
        elif isinstance(obj, objects.EndpointSlice):
            self._set_slice(obj.key, None if gone else obj)
        elif isinstance(obj, objects.Pod):
            self._set_pod(obj.key, () if gone or obj.terminating else _pod_addresses(obj))
        elif gone:
            self.namespaces.discard(obj.name)
        else:
            self.namespaces.add(obj.name)

    def backends(self, service: str) -> list[Backend]:
        """The ready addresses of a Service (`namespace/name`), slice by slice in the order of their names."""
        slices = self._by_service.get(service, {})
        return [backend for name in sorted(slices) for backend in slices[name]]

    def services_at(self, address: bytes) -> list[str]:
        """Keys of the Services that have this cluster IP."""
        return sorted(self._cluster_ips.get(address, ()))

    def backends_at(self, address: bytes) -> list[tuple[str, Backend]]:
        """(Service key, backend) for every ready endpoint with this address."""
        found = []
        for slice_key in sorted(self._endpoint_ips.get(address, ())):
            service, backends = self._slices[slice_key]
            found += [(service, backend) for backend in backends if packed(backend.address) == address]
        return found

    def pod_at(self, address: bytes, namespace: str) -> bool:
        """Whether a pod of the namespace has this address."""
        return any(key.startswith(f"{namespace}/") for key in self._pod_ips.get(address, ()))

    def _set_service(self, key: str, service: objects.Service | None) -> None:
        before = self.services.pop(key, None)
        if before is not None:
            _unlink(self._cluster_ips, cluster_ips(before), key)
        if service is not None:
            self.services[key] = service
            _link(self._cluster_ips, cluster_ips(service), key)

    def _set_slice(self, key: str, slice_: objects.EndpointSlice | None) -> None:
        before = self._slices.pop(key, None)
        if before is not None:
            service, backends = before
            _unlink(self._endpoint_ips, (b.address for b in backends), key)
            del self._by_service[service][key]
            if not self._by_service[service]:
                del self._by_service[service]
        if slice_ is not None and slice_.service:
            service, backends = f"{slice_.namespace}/{slice_.service}", _ready(slice_)
            self._slices[key] = service, backends
            self._by_service.setdefault(service, {})[key] = backends
            _link(self._endpoint_ips, (b.address for b in backends), key)

    def _set_pod(self, key: str, addresses: tuple[str, ...]) -> None:
        _unlink(self._pod_ips, self._pods.pop(key, ()), key)
        if addresses:
            self._pods[key] = addresses
            _link(self._pod_ips, addresses, key)


def packed(address: str) -> bytes | None:
    """An IPv4 (4 bytes) or IPv6 (16 bytes) address in network order; None where the text is not an address."""
    try:
        return inet_pton(AF_INET6 if ":" in address else AF_INET, address)
    except (OSError, ValueError):
        return None


def cluster_ips(service: objects.Service) -> tuple[str, ...]:
    """The Service's virtual addresses; empty for headless and ExternalName Services."""
    if service.headless or service.spec.type == "ExternalName":
        return ()
    return service.spec.cluster_ips or ((service.spec.cluster_ip,) if service.spec.cluster_ip else ())


def _pod_addresses(pod: objects.Pod) -> tuple[str, ...]:
    return tuple(p.ip for p in pod.status.pod_ips) or ((pod.status.pod_ip,) if pod.status.pod_ip else ())


def _ready(slice_: objects.EndpointSlice) -> tuple[Backend, ...]:
    """Endpoints that are ready or of unknown readiness (publishNotReadyAddresses is in `ready` already)."""
    named = tuple(Port(p.name, p.protocol, NO_PORT if p.port is None else p.port) for p in slice_.ports)
    ports = named or (Port("", "", NO_PORT),)
    return tuple(
        Backend(address, endpoint.hostname, endpoint.target_ref.name if endpoint.target_ref else "", ports)
        for endpoint in slice_.endpoints
        if endpoint.conditions.ready is not False
        for address in endpoint.addresses
    )


def _link(table: dict[bytes, set[str]], addresses: Iterable[str], key: str) -> None:
    for address in filter(None, map(packed, addresses)):
        table.setdefault(address, set()).add(key)


def _unlink(table: dict[bytes, set[str]], addresses: Iterable[str], key: str) -> None:
    for address in filter(None, map(packed, addresses)):
        keys = table.get(address)
        if keys is not None:
            keys.discard(key)
            if not keys:
                del table[address]
