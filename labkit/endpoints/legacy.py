"""The Endpoints object of a Service, as the older API shows its pods (deprecated since v1.33, still written).

Source: kubernetes/pkg/controller/endpoint/endpoints_controller.go, pkg/api/v1/endpoints/util.go (RepackSubsets) of
v1.34. Addresses are sorted as there; ports and subsets, which it sorts by a hash of Go's memory layout, by value.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil
from typing import Any

from labkit.api import objects
from labkit.api.objects import TRIGGER_TIME, EndpointAddress, EndpointPort, EndpointSubset, Pod, Service
from labkit.endpoints.pods import addresses, endpoint_ports, family, hostname, reachable, reference, selects

MAX_ADDRESSES = 1000
OVER_CAPACITY = "endpoints.kubernetes.io/over-capacity"
MANAGED_BY = "endpoints.kubernetes.io/managed-by"
HEADLESS = "service.kubernetes.io/headless"
OWN = (OVER_CAPACITY, TRIGGER_TIME)
"""The annotations that the controller writes."""

Raw = dict[str, Any]

Place = tuple[EndpointAddress, bool]  # an address, and whether it is ready


def plan(service: Service, pods: Sequence[Pod]) -> Raw:
    """The Endpoints object, as JSON, for a Service that has a selector."""
    packed = subsets(service, pods)
    kept = truncated(packed)
    labels = {**service.metadata.labels, MANAGED_BY: "endpoint-controller"}
    labels.pop(HEADLESS, None)
    if service.spec.cluster_ip in ("", "None"):
        labels[HEADLESS] = ""
    metadata: Raw = {"name": service.name, "namespace": service.namespace, "labels": labels}
    if kept != packed:
        metadata["annotations"] = {OVER_CAPACITY: "truncated"}
    planned: Raw = {"apiVersion": "v1", "kind": "Endpoints", "metadata": metadata}
    if kept:
        planned["subsets"] = [_to_raw(subset) for subset in kept]
    return planned


def same(planned: Raw, current: Raw) -> bool:
    """Whether the Endpoints that there are say what is planned; other annotations than the plan's do not count."""

    def told(raw: Raw) -> tuple[object, ...]:
        metadata = raw["metadata"]
        return raw.get("subsets"), metadata.get("labels"), metadata.get("annotations", {}).get(OVER_CAPACITY)

    return told(planned) == told(current)


def noted(planned: Raw, current: Raw, since: str) -> Raw:
    """The plan with the annotations that others gave what there is, and the time at which the change began, if any."""
    metadata = planned["metadata"]
    others = {k: v for k, v in current.get("metadata", {}).get("annotations", {}).items() if k not in OWN}
    annotations = {**others, **metadata.get("annotations", {}), **({TRIGGER_TIME: since} if since else {})}
    return {**planned, "metadata": {**metadata, **({"annotations": annotations} if annotations else {})}}


def subsets(service: Service, pods: Sequence[Pod]) -> tuple[EndpointSubset, ...]:
    """Addresses grouped by the ports that they share. A pod that is terminating is left out."""
    by_port: dict[EndpointPort | None, set[Place]] = {}
    everyone = service.spec.publish_not_ready_addresses
    for pod in pods:
        address = _address(service, pod)
        if address is None or not selects(service, pod) or not reachable(pod) or (pod.terminating and not everyone):
            continue
        ports: Sequence[EndpointPort | None] = endpoint_ports(service, pod)
        if not service.spec.ports and service.headless:
            ports = [None]
        for port in ports:
            by_port.setdefault(port, set()).add((address, pod.ready or everyone))

    by_places: dict[frozenset[Place], list[EndpointPort]] = {}
    for port, places in by_port.items():
        by_places.setdefault(frozenset(places), []).extend([port] if port else [])
    packed = [_subset(places, ports) for places, ports in by_places.items()]
    return tuple(sorted(packed, key=lambda s: ([_port_order(p) for p in s.ports], _first(s))))


def truncated(packed: Sequence[EndpointSubset], limit: int = MAX_ADDRESSES) -> tuple[EndpointSubset, ...]:
    """At most `limit` addresses: ready ones first, taken from the subsets in proportion."""
    ready = sum(len(subset.addresses) for subset in packed)
    waiting = sum(len(subset.not_ready_addresses) for subset in packed)
    if ready + waiting <= limit:
        return tuple(packed)
    only_ready = ready > limit
    room = most = limit if only_ready else limit - ready
    kept = []
    for subset in packed:
        candidates = subset.addresses if only_ready else subset.not_ready_addresses
        taken = candidates[: min(room, ceil(len(candidates) / (ready if only_ready else waiting) * most))]
        room -= len(taken)
        kept.append(
            EndpointSubset(
                addresses=taken if only_ready else subset.addresses,
                not_ready_addresses=() if only_ready else taken,
                ports=subset.ports,
            )
        )
    return tuple(kept)


def _address(service: Service, pod: Pod) -> EndpointAddress | None:
    """The pod's address of the Service's first family."""
    wanted = service.spec.ip_families[0] if service.spec.ip_families else "IPv4"
    ip = next((address for address in addresses(pod) if family(address) == wanted), None)
    if ip is None:
        return None
    return EndpointAddress(
        ip=ip, hostname=hostname(service, pod), node_name=pod.spec.node_name, target_ref=reference(pod)
    )


def _subset(places: frozenset[Place], ports: Sequence[EndpointPort]) -> EndpointSubset:
    def sort(ready: bool) -> tuple[EndpointAddress, ...]:
        return tuple(sorted((a for a, is_ready in places if is_ready is ready), key=_order))

    return EndpointSubset(
        addresses=sort(True), not_ready_addresses=sort(False), ports=tuple(sorted(ports, key=_port_order))
    )


def _order(address: EndpointAddress) -> tuple[str, str]:
    return address.ip, address.target_ref.uid if address.target_ref else ""


def _port_order(port: EndpointPort) -> tuple[str, int, str]:
    return port.name, port.port or 0, port.protocol


def _first(subset: EndpointSubset) -> tuple[str, str]:
    return _order((subset.addresses + subset.not_ready_addresses)[0])


def _to_raw(subset: EndpointSubset) -> Raw:
    raw = objects.raw(subset)
    if subset.ports:
        raw["ports"] = [{"protocol": port.protocol, **objects.raw(port)} for port in subset.ports]
    return raw
