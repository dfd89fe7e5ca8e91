"""UDP flows that outlived their endpoint: conntrack would go on sending their packets to where nothing listens.

TCP notices by itself; a UDP client that keeps its source port never would. Source: Kubernetes v1.34,
pkg/proxy/conntrack/cleanup.go (`CleanStaleEntries`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from labkit.api.objects import EndpointSlice, Service
from labkit.linux.conntrack import Flow
from labkit.net.packet import endpoint
from labkit.net.rules import Family
from labkit.proxy.model import backends, frontends


def udp_servers(slices: Sequence[EndpointSlice], family: Family = "IPv4") -> frozenset[str]:
    """Address and port of every serving UDP endpoint: only when one of them goes can a flow become stale."""
    known = backends(slices, "", family)
    return frozenset(b.address for (_, protocol), ends in known.items() if protocol == "udp" for b in ends if b.serving)


def stale_flows(
    flows: Iterable[Flow], services: Sequence[Service], slices: Sequence[EndpointSlice], family: Family = "IPv4"
) -> list[Flow]:
    """The UDP flows to a Service address or NodePort whose server is not a serving endpoint of that Service.

    A Service without any serving endpoint keeps its flows. Policies and hints play no part: they are for new flows.
    """
    known = backends(slices, "", family)
    serving: dict[str, set[str]] = {}
    for port in frontends(services, family):
        servers = {b.address for b in known.get((port.name, port.protocol), ()) if b.serving}
        if port.protocol != "udp" or not servers:
            continue
        for ip in (port.cluster_ip, *port.load_balancer_ips, *port.external_ips):
            serving[endpoint(ip, port.port)] = servers
        if port.node_port:
            serving[f"*:{port.node_port}"] = servers
    return [flow for flow in flows if flow.original.protocol == "UDP" and _is_stale(flow, serving)]


def _is_stale(flow: Flow, serving: dict[str, set[str]]) -> bool:
    to, server = flow.original, endpoint(flow.reply.src, flow.reply.sport)
    found = (serving.get(endpoint(to.dst, to.dport)), serving.get(f"*:{to.dport}"))
    return any(servers is not None and server not in servers for servers in found)
