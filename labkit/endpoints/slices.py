"""The EndpointSlices of a Service: a pure function of the Service, its pods, the nodes and the slices that exist.

    pods --by family, by ports they have--> endpoints --pack--> slices of at most 100

Source: k8s.io/endpointslice (reconciler.go, utils.go, trafficdist/trafficdist.go) of v1.34.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from labkit.api import objects, own
from labkit.api.objects import (
    Endpoint,
    EndpointConditions,
    EndpointHints,
    EndpointPort,
    EndpointSlice,
    ForNode,
    ForZone,
    Node,
    ObjectMeta,
    Pod,
    Service,
)
from labkit.endpoints import topology
from labkit.endpoints.packing import MAX_ENDPOINTS, controlled_by, pack
from labkit.endpoints.pods import addresses, endpoint_ports, family, hostname, reachable, reference, selects

MANAGER = "endpointslice-controller.k8s.io"
SERVICE_NAME = "kubernetes.io/service-name"
MANAGED_BY = "endpointslice.kubernetes.io/managed-by"
HEADLESS = "service.kubernetes.io/headless"

Ports = tuple[EndpointPort, ...]


def plan(
    service: Service,
    pods: Sequence[Pod],
    nodes: Mapping[str, Node],
    existing: Sequence[EndpointSlice],
    limit: int = MAX_ENDPOINTS,
) -> tuple[EndpointSlice, ...]:
    """The slices that should exist; one without a name is new, one of `existing` that is not among them should go.

    existing: the slices of this Service that this controller manages. A Service whose pods give no endpoint has one
    slice without endpoints and ports.
    """
    members = [pod for pod in pods if selects(service, pod) and reachable(pod)]
    owned = sorted((s for s in existing if _owned(s, service)), key=lambda s: s.name)
    auto = topology.auto(service)
    planned: list[EndpointSlice] = []
    for address_type in service.spec.ip_families or ("IPv4",):
        of_family = [s for s in owned if s.address_type == address_type]
        there = [topology.bare(s) for s in of_family] if auto else of_family
        wanted = _family(service, members, nodes, there, address_type, limit)
        planned += topology.hinted(wanted, of_family, topology.ratios(nodes.values())) if auto else wanted
    return tuple(planned)


def obstacles(planned: Sequence[EndpointSlice], nodes: Mapping[str, Node]) -> dict[str, str]:
    """Why slices have no hints though the Service's annotation asks for them, by IP family; empty where they do."""
    of_zones = topology.ratios(nodes.values())
    families = dict.fromkeys(s.address_type for s in planned)
    return {f: topology.obstacle([s for s in planned if s.address_type == f], of_zones) for f in families}


def to_raw(planned: EndpointSlice) -> dict[str, Any]:
    """A slice as JSON, with the fields that the API writes though they have their default."""
    raw = objects.raw(planned)
    raw |= {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": planned.address_type}
    raw.setdefault("endpoints", [])
    raw["ports"] = [{"name": port.name, "protocol": port.protocol, **objects.raw(port)} for port in planned.ports]
    return raw


def _family(
    service: Service,
    pods: Sequence[Pod],
    nodes: Mapping[str, Node],
    existing: Sequence[EndpointSlice],
    address_type: str,
    limit: int,
) -> list[EndpointSlice]:
    groups: dict[frozenset[EndpointPort], tuple[Ports, list[Endpoint]]] = {}
    for pod in pods:
        found = tuple(address for address in addresses(pod) if family(address) == address_type)
        # A pod of an unknown node is about to go, unless the Service wants every address there is.
        if found and (pod.spec.node_name in nodes or service.spec.publish_not_ready_addresses):
            ports = endpoint_ports(service, pod)
            group = groups.setdefault(frozenset(ports), (ports, []))
            group[1].append(_endpoint(service, pod, nodes.get(pod.spec.node_name), found))

    said = ((pod, pod.metadata.annotations.get(own.WEIGHT, "")) for pod in pods)
    weights = {address: weight for pod, weight in said if weight.isdecimal() for address in addresses(pod)}
    planned: list[EndpointSlice] = []
    spare = list(existing)
    for key, (ports, endpoints) in groups.items():
        slices = [s for s in existing if frozenset(s.ports) == key]
        packed = pack(endpoints, [s.endpoints for s in slices], limit)
        for place, content in enumerate(packed):
            if place < len(slices) and content:
                spare.remove(slices[place])
                planned.append(_filled(service, slices[place], slices[place].ports, content, weights))
            elif content:
                planned.append(_filled(service, _blank(service, address_type), ports, content, weights))
    planned = planned or [_filled(service, _blank(service, address_type), (), (), {})]
    # A slice that would go is used again for one that would come: one update instead of two changes.
    return [_renamed(s, spare.pop(0)) if not s.name and spare else s for s in planned]


def _endpoint(service: Service, pod: Pod, node: Node | None, found: tuple[str, ...]) -> Endpoint:
    zone = node.zone if node else ""
    ready = service.spec.publish_not_ready_addresses or (pod.ready and not pod.terminating)
    return Endpoint(
        addresses=found,
        conditions=EndpointConditions(ready=ready, serving=pod.ready, terminating=pod.terminating),
        hostname=hostname(service, pod),
        target_ref=reference(pod),
        node_name=pod.spec.node_name,
        zone=zone,
        hints=preferred(_distribution(service), pod.spec.node_name, zone) if ready else None,
    )


def _distribution(service: Service) -> str | None:
    return None if topology.auto(service) else service.spec.traffic_distribution


def preferred(distribution: str | None, node: str, zone: str) -> EndpointHints | None:
    """For whom an endpoint is meant: its own zone, or with PreferSameNode its own node too (KEP-4444, KEP-3015)."""
    if distribution not in ("PreferClose", "PreferSameZone", "PreferSameNode"):
        return None
    for_nodes = (ForNode(name=node),) if node and distribution == "PreferSameNode" else ()
    for_zones = (ForZone(name=zone),) if zone else ()
    return EndpointHints(for_zones=for_zones, for_nodes=for_nodes) if for_zones or for_nodes else None


def _labels(service: Service) -> dict[str, str]:
    labels = {**service.metadata.labels, SERVICE_NAME: service.name, MANAGED_BY: MANAGER}
    labels.pop(HEADLESS, None)
    return {**labels, HEADLESS: ""} if service.spec.cluster_ip in ("", "None") else labels


def _blank(service: Service, address_type: str) -> EndpointSlice:
    owner = controlled_by("Service", service)
    metadata = ObjectMeta(generate_name=f"{service.name}-", namespace=service.namespace, owner_references=(owner,))
    return EndpointSlice(
        api_version="discovery.k8s.io/v1", kind="EndpointSlice", metadata=metadata, address_type=address_type
    )


def _filled(
    service: Service,
    base: EndpointSlice,
    ports: Ports,
    endpoints: tuple[Endpoint, ...],
    weights: Mapping[str, str],
) -> EndpointSlice:
    annotations = {key: value for key, value in base.metadata.annotations.items() if key != own.WEIGHT}
    given = [f"{address}={weights[address]}" for e in endpoints for address in e.addresses if address in weights]
    if given:
        annotations[own.WEIGHT] = ", ".join(given)
    metadata = msgspec.structs.replace(base.metadata, labels=_labels(service), annotations=annotations)
    return msgspec.structs.replace(base, metadata=metadata, ports=ports, endpoints=endpoints)


def _renamed(new: EndpointSlice, old: EndpointSlice) -> EndpointSlice:
    own_part = {"labels": new.metadata.labels, "annotations": new.metadata.annotations}
    return msgspec.structs.replace(new, metadata=msgspec.structs.replace(old.metadata, **own_part))


def _owned(existing: EndpointSlice, service: Service) -> bool:
    return any(ref.uid == service.metadata.uid for ref in existing.metadata.owner_references)
