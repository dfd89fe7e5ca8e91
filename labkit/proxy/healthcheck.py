"""What kube-proxy says of a node to load balancers: is it well, and has a Service endpoints here? Pure.

    :healthCheckNodePort  any path   200 with an endpoint on this node, else 503
    :10256                /healthz   200, or 503 while the node is about to go (KEP-3836); /livez: 200

Source: Kubernetes v1.34, pkg/proxy/healthcheck/{service_health,proxy_health}.go.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

import msgspec

from labkit.api.objects import EndpointSlice, Node, Service

HEALTHZ_PORT = 10256
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


def of_node(path: str, node: Node | None, updated: datetime, now: datetime, well: bool = True) -> Answer:
    """The answer at port 10256; `updated`: when kube-proxy last was in step."""
    if path not in ("/healthz", "/livez"):
        return Answer(404, "404 page not found\n", {"X-Content-Type-Options": "nosniff"})
    fit = node is not None and stays(node)
    eligible = f', "nodeEligible": {str(fit).lower()}' if path == "/healthz" else ""
    text = f'{{"lastUpdated": "{_go(updated)}","currentTime": "{_go(now)}"{eligible}}}'
    good = well and (fit or path == "/livez")
    return Answer(200 if good else 503, text, {"X-Content-Type-Options": "nosniff"})


def stays(node: Node) -> bool:
    """Whether a node is to get new connections: it is not being deleted."""
    leaving = any(taint.key == LEAVING for taint in node.spec.taints)
    return not (node.metadata.deletion_timestamp or leaving)


def _go(moment: datetime) -> str:
    """As Go's time.Time prints itself, in microseconds."""
    return f"{moment:%Y-%m-%d %H:%M:%S.%f} +0000 UTC"
