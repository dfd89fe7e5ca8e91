"""As many Services as asked for, on a node that has a client and a server beside it. To be used inside a sandbox."""

from __future__ import annotations

from pathlib import Path

from labkit.api.objects import (
    Endpoint,
    EndpointPort,
    EndpointSlice,
    Node,
    NodeAddress,
    NodeStatus,
    ObjectMeta,
    Service,
    ServicePort,
    ServiceSpec,
)
from labkit.linux import netns
from labkit.linux.rtnetlink import Links

NODE = Node(
    metadata=ObjectMeta(name="node-1"),
    status=NodeStatus(addresses=(NodeAddress(type="InternalIP", address="10.244.1.1"),)),
)
CLIENT, SERVER, PORT = "10.244.1.2", "10.244.2.2", 8080


def services(n: int, first: int = 0, alone: bool = False) -> tuple[list[Service], list[EndpointSlice]]:
    """`n` Services on port 80, in the order of their names, with two endpoints each.

    The second endpoint is on this node's server; alone: it is the only one.
    """
    made, slices = [], []
    for i in range(first, first + n):
        name = f"app-{i:05}"
        port = ServicePort(name="http", port=80, target_port=PORT, protocol="TCP")
        spec = ServiceSpec(cluster_ip=f"10.{96 + i // 62500}.{i // 250 % 250}.{i % 250 + 1}", ports=(port,))
        made.append(Service(metadata=ObjectMeta(name=name, namespace="bench"), spec=spec))
        labels = {"kubernetes.io/service-name": name}
        other = f"10.244.{i // 250 % 200 + 3}.{i % 250 + 1}"
        ips = (SERVER,) if alone else (other, SERVER)
        ends = tuple(Endpoint(addresses=(ip,), node_name=NODE.name) for ip in ips)
        meta = ObjectMeta(name=f"{name}-1", namespace="bench", labels=labels)
        into = (EndpointPort(name="http", protocol="TCP", port=PORT),)
        slices.append(EndpointSlice(metadata=meta, endpoints=ends, ports=into))
    return made, slices


def wired(name: str) -> tuple[str, str, str]:
    """Paths of a node, and of its client and its server behind cables of their own; one more leads to the world."""
    node, client, server, world = (netns.create(f"{name}-{part}") for part in ("node", "client", "server", "world"))
    with Links(node) as links:
        links.add_veth("eth0", "eth0", world)
        links.set_link("eth0", up=True)
    for part, path, address in (("client", client, CLIENT), ("server", server, SERVER)):
        gateway = f"{address.rpartition('.')[0]}.1"
        with Links(node) as links:
            links.add_veth(part, "eth0", path)
            links.set_link(part, up=True)
            links.add_address(part, f"{gateway}/24")
        with Links(path) as links:
            links.set_link("lo", up=True)
            links.set_link("eth0", up=True)
            links.add_address("eth0", f"{address}/24")
            links.add_route("default", via=gateway)
    with netns.entered(node):
        Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
    return node, client, server
