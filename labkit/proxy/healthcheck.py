"""What kube-proxy says of a Service on a node to load balancers. Pure.

    :healthCheckNodePort  any path   200 with an endpoint on this node, else 503

Source: Kubernetes v1.34, pkg/proxy/healthcheck/service_health.go.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from labkit.api.objects import EndpointSlice, Node, Service

LEAVING = "ToBeDeletedByClusterAutoscaler"


class Answer(msgspec.Struct, frozen=True):
    """One answer over HTTP."""

    status: int
    body: str
    headers: Mapping[str, str] = {}


def ports(services: Iterable[Service]) -> dict[str, int]:
    """The Services whose health is asked for: `namespace/name` -> port."""
    return {
        service.key: service.spec.health_check_node_port
        for service in services
        if service.spec.type == "LoadBalancer"
        and service.spec.external_traffic_policy == "Local"
        and service.spec.health_check_node_port
    }


def local_endpoints(slices: Iterable[EndpointSlice], node: str) -> int:
    """How many addresses of a Service's slices are ready on a node."""
    ready = (
        end for one in slices for end in one.endpoints if end.node_name == node and end.conditions.ready is not False
    )
    return len({address for end in ready for address in end.addresses[:1]})


def of_service(key: str, endpoints: int, well: bool = True) -> Answer:
    """The answer at a `healthCheckNodePort`; `well`: whether kube-proxy itself is."""
    namespace, _, name = key.partition("/")
    text = (
        f'{{\n\t"service": {{\n\t\t"namespace": "{namespace}",\n\t\t"name": "{name}"\n\t}},\n'
        f'\t"localEndpoints": {endpoints},\n\t"serviceProxyHealthy": {str(well).lower()}\n}}'
    )
    headers = {"X-Content-Type-Options": "nosniff", "X-Load-Balancing-Endpoint-Weight": str(endpoints)}
    return Answer(200 if endpoints and well else 503, text, headers)


def stays(node: Node) -> bool:
    """Whether a node is to get new connections: it is not being deleted."""
    leaving = any(taint.key == LEAVING for taint in node.spec.taints)
    return not (node.metadata.deletion_timestamp or leaving)
