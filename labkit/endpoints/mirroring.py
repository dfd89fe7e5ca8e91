"""EndpointSlices for Endpoints that somebody wrote by hand, for a Service without a selector.

Source: kubernetes/pkg/controller/endpointslicemirroring (reconciler.go, utils.go) of v1.34.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

import msgspec

from labkit.api.objects import (
    TRIGGER_TIME,
    Endpoint,
    EndpointAddress,
    EndpointConditions,
    EndpointPort,
    Endpoints,
    EndpointSlice,
    ObjectMeta,
    Service,
)
from labkit.endpoints.packing import controlled_by, identity

MANAGER = "endpointslicemirroring-controller.k8s.io"
MAX_PER_SUBSET = 1000
SKIP = "endpointslice.kubernetes.io/skip-mirror"
LEADER = "control-plane.alpha.kubernetes.io/leader"
NOT_MIRRORED = (
    TRIGGER_TIME,
    "kubectl.kubernetes.io/last-applied-configuration",
)

Group = tuple[str, frozenset[EndpointPort]]


def wanted(endpoints: Endpoints, service: Service | None) -> bool:
    """Whether these Endpoints are mirrored: they belong to a Service that selects no pods, and nobody says no."""
    skipped = endpoints.metadata.labels.get(SKIP) == "true" or LEADER in endpoints.metadata.annotations
    return service is not None and not service.spec.selector and not skipped


def plan(endpoints: Endpoints, existing: Sequence[EndpointSlice]) -> tuple[EndpointSlice, ...]:
    """The slices that should exist, one for each address family and set of ports; one without a name is new."""
    groups: dict[Group, tuple[tuple[EndpointPort, ...], dict[object, Endpoint]]] = {}
    for subset in endpoints.subsets:
        ready = [(address, True) for address in subset.addresses]
        waiting = [(address, False) for address in subset.not_ready_addresses]
        for address, is_ready in (ready + waiting)[:MAX_PER_SUBSET]:
            family, endpoint = _endpoint(address, is_ready)
            _, found = groups.setdefault((family, frozenset(subset.ports)), (subset.ports, {}))
            found.setdefault(identity(endpoint), endpoint)

    spare = sorted(existing, key=lambda s: s.name)
    planned = []
    for (family, key), (ports, found) in groups.items():
        base = next((s for s in spare if (s.address_type, frozenset(s.ports)) == (family, key)), None)
        base = base or next((s for s in spare if s.address_type == family), None)
        if base:
            spare.remove(base)
        content = tuple(found.values())
        if base and _by_identity(base.endpoints) == _by_identity(content):
            content = base.endpoints  # the order is of no meaning, so it is no change
        planned.append(_slice(endpoints, base, family, ports, content))
    return tuple(planned)


def skipped(endpoints: Endpoints) -> int:
    """How many addresses are left out: those of a subset that has too many."""
    sizes = (len(subset.addresses) + len(subset.not_ready_addresses) for subset in endpoints.subsets)
    return sum(max(0, size - MAX_PER_SUBSET) for size in sizes)


def _slice(
    endpoints: Endpoints,
    base: EndpointSlice | None,
    family: str,
    ports: tuple[EndpointPort, ...],
    content: tuple[Endpoint, ...],
) -> EndpointSlice:
    owner = controlled_by("Endpoints", endpoints)
    metadata = msgspec.structs.replace(
        base.metadata if base else ObjectMeta(generate_name=f"{endpoints.name}-", namespace=endpoints.namespace),
        labels={
            **endpoints.metadata.labels,
            "kubernetes.io/service-name": endpoints.name,
            "endpointslice.kubernetes.io/managed-by": MANAGER,
        },
        annotations={k: v for k, v in endpoints.metadata.annotations.items() if k not in NOT_MIRRORED},
        owner_references=(owner,),
    )
    return EndpointSlice(
        api_version="discovery.k8s.io/v1",
        kind="EndpointSlice",
        metadata=metadata,
        address_type=family,
        endpoints=content,
        ports=ports,
    )


def _endpoint(address: EndpointAddress, ready: bool) -> tuple[str, Endpoint]:
    ip = ipaddress.ip_address(address.ip)
    return f"IPv{ip.version}", Endpoint(
        addresses=(str(ip),),
        conditions=EndpointConditions(ready=ready),
        hostname=address.hostname,
        target_ref=address.target_ref,
        node_name=address.node_name,
    )


def _by_identity(content: Sequence[Endpoint]) -> dict[object, Endpoint]:
    return {identity(endpoint): endpoint for endpoint in content}
