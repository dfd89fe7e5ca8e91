"""UDP flows that outlived their endpoint: conntrack would go on sending their packets to where nothing listens.

TCP notices by itself; a UDP client that keeps its source port never would. Source: Kubernetes v1.34,
pkg/proxy/conntrack/cleanup.go (`CleanStaleEntries`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from labkit.linux.conntrack import Flow
from labkit.net.packet import endpoint
from labkit.proxy.model import Port, PortKey


def udp_servers(port: Port | None) -> frozenset[str]:
    """Address and port of every serving UDP endpoint: only when one of them goes can a flow become stale."""
    if port is None or port.frontend.protocol != "udp":
        return frozenset()
    return frozenset(b.address for b in port.backends if b.serving)


def stale_flows(flows: Iterable[Flow], ports: Mapping[PortKey, Port]) -> list[Flow]:
    """The UDP flows to a Service address or NodePort whose server is not a serving endpoint of that Service.

    A Service without any serving endpoint keeps its flows. Policies and hints play no part: they are for new flows.
    """
    serving: dict[str, frozenset[str]] = {}
    for port in ports.values():
        front, servers = port.frontend, udp_servers(port)
        if not servers:
            continue
        for ip in (front.cluster_ip, *front.load_balancer_ips, *front.external_ips):
            serving[endpoint(ip, front.port)] = servers
        if front.node_port:
            serving[f"*:{front.node_port}"] = servers
    return [flow for flow in flows if flow.original.protocol == "UDP" and _is_stale(flow, serving)]


def _is_stale(flow: Flow, serving: Mapping[str, frozenset[str]]) -> bool:
    to, server = flow.original, endpoint(flow.reply.src, flow.reply.sport)
    found = (serving.get(endpoint(to.dst, to.dport)), serving.get(f"*:{to.dport}"))
    return any(servers is not None and server not in servers for servers in found)
