"""A small cluster network for the tracer's live tests: real wiring and kube-proxy rules, tiny servers.

node-1 (zone a): client, near     node-3 (zone a): far     node-2 (zone b): abroad     internet
"""

from __future__ import annotations

import asyncio
import random
import socket
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

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
from labkit.cluster.datacenter import DataCenter
from labkit.cni import masquerade, routes
from labkit.cni.plugins import PLUGINS
from labkit.cni.wiring import Attachment, connect
from labkit.linux import iptables, netns
from labkit.linux.iptables import Variant
from labkit.net.path import PacketPath
from labkit.net.place import Place
from labkit.net.topology import POD_NETWORK, plan
from labkit.proxy.config import ProxyConfig
from labkit.proxy.mode import Mode, seen
from labkit.proxy.modes import MODES
from labkit.proxy.restore import diff
from labkit.trace.tracer import Tracer

PODS = {"client": "node-1", "near": "node-1", "far": "node-3", "abroad": "node-2"}
SERVICES = {"near": "10.96.0.21", "far": "10.96.0.22", "abroad": "10.96.0.23", "client": "10.96.0.24"}
EMPTY = "10.96.0.30"
NODE_PORT = 30080


class Bed:
    """Everything up when made; servers run in the asyncio loop that calls `serve`."""

    def __init__(self, cni: str, variant: Variant, mode: str = "iptables") -> None:
        random.seed(1)
        self.variant, self.mode = variant, mode
        self.modes: dict[str, Mode] = {}
        self.site = plan(3, ["a", "b"])
        self.datacenter = DataCenter(self.site, {})
        for name, ways in routes.plan(self.site).items():
            routes.apply(self.datacenter.net[name].links, ways)
        self.places = dict(self.datacenter.places)
        for machine in self.site.machines:
            _no_redirects(self.places[machine.name].netns)
        self._machines = {m.name: m for m in self.site.machines}
        plugin = PLUGINS[cni]
        for machine in self.site.machines:
            plugin.setup(self.datacenter.net[machine.name].links, [machine.pod_cidr.replace(".0/", ".1/")])
        for number, (name, node) in enumerate(PODS.items(), 2):
            self._pod(plugin, name, node, number)
        self._servers: list[asyncio.AbstractServer | asyncio.DatagramTransport] = []

    def _pod(self, plugin: Any, name: str, node: str, number: int) -> None:
        machine = self._machines[node]
        prefix = machine.pod_cidr.removesuffix("0/24")
        address = f"{prefix}{number}"
        path = netns.create(f"cni-{name}")
        where = self.places[node].netns
        attachment = Attachment(name, path, where, address, machine.pod_cidr, f"{prefix}1", number)
        connect(plugin.plan(attachment), self.datacenter.net[node].links)
        self.places[name] = Place(name, "pod", path, name, node, machine.zone, (address,))

    async def serve(self, masquerading: bool = True) -> None:
        """Rules on all nodes, HTTP and UDP servers in all pods and outside.

        `masquerading`: pods reach the outside.
        """
        text = diff(None, masquerade.plan(POD_NETWORK))
        for machine in self.site.machines:
            path = self.places[machine.name].netns
            if masquerading:
                iptables.restore(path, text, self.variant)
            node = Node(
                metadata=ObjectMeta(name=machine.name, labels={"topology.kubernetes.io/zone": machine.zone}),
                status=NodeStatus(addresses=(NodeAddress(type="InternalIP", address=machine.address),)),
            )
            proxy = self.modes[machine.name] = MODES[self.mode](path, ProxyConfig(), self.variant, True)
            await proxy.start()
            await proxy.sync(seen(*self._objects(), node), None)
        loop = asyncio.get_running_loop()
        for place in [self.places[name] for name in (*PODS, "internet")]:
            listening = netns.socket_in(place.netns, socket.AF_INET, socket.SOCK_STREAM)
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind(("", 8080))
            self._servers.append(await asyncio.start_server(_answer, sock=listening))
            datagrams = netns.socket_in(place.netns, socket.AF_INET, socket.SOCK_DGRAM)
            datagrams.bind(("", 8080))
            datagrams.setblocking(False)
            transport, _ = await loop.create_datagram_endpoint(_Echo, sock=datagrams)
            self._servers.append(transport)

    def close(self) -> None:
        for server in self._servers:
            server.close()

    def request(
        self, source: str, address: str, port: int, kind: str = "tcp", timeout: float = 1.0
    ) -> Callable[[], Awaitable[Mapping[str, Any]]]:
        """A request function as the tracer takes it: one connection or one datagram."""
        stream = kind == "tcp"

        async def once() -> Mapping[str, Any]:
            loop = asyncio.get_running_loop()
            path = self.places[source].netns
            with netns.socket_in(path, socket.AF_INET, socket.SOCK_STREAM if stream else socket.SOCK_DGRAM) as sock:
                sock.setblocking(False)
                local = ""
                try:
                    async with asyncio.timeout(timeout):
                        await loop.sock_connect(sock, (address, port))
                        local = "{}:{}".format(*sock.getsockname())
                        await loop.sock_sendall(sock, b"GET / HTTP/1.0\r\n\r\n" if stream else b"hello")
                        data = await loop.sock_recv(sock, 4096)
                except TimeoutError:
                    return {"status": None, "error": f"timed out after {timeout:g} s", "local": local}
                except OSError as error:
                    return {"status": None, "error": f"connection refused ({error})", "local": local}
            if not data:
                return {"status": None, "error": "closed without an answer", "local": local}
            return {"status": int(data.split()[1]) if stream else None, "error": "", "local": local}

        return once

    def _objects(self) -> tuple[list[Service], list[EndpointSlice]]:
        services, slices = [], []
        for name, address in (*SERVICES.items(), ("empty", EMPTY)):
            kind = "NodePort" if name == "abroad" else "ClusterIP"
            ports = tuple(
                ServicePort(
                    port=80,
                    name=protocol.lower(),
                    protocol=protocol,
                    target_port=8080,
                    node_port=NODE_PORT if kind == "NodePort" and protocol == "TCP" else 0,
                )
                for protocol in ("TCP", "UDP")
            )
            meta = ObjectMeta(name=name, namespace="default")
            services.append(Service(metadata=meta, spec=ServiceSpec(type=kind, cluster_ip=address, ports=ports)))
            if name == "empty":
                continue
            place = self.places[name]
            meta = ObjectMeta(name=name, namespace="default", labels={"kubernetes.io/service-name": name})
            endpoints = (Endpoint(addresses=place.addresses, node_name=place.node),)
            into = tuple(EndpointPort(name=p.name, protocol=p.protocol, port=8080) for p in ports)
            slices.append(EndpointSlice(metadata=meta, endpoints=endpoints, ports=into))
        return services, slices


def _no_redirects(path: str) -> None:
    """A redirect (to a pod that reached itself) uses up its budget of ICMP errors: the next REJECT would be silent."""
    with netns.entered(path):
        for setting in Path("/proc/sys/net/ipv4/conf").glob("*/send_redirects"):
            setting.write_text("0")


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n")
    await writer.drain()
    writer.close()


class _Echo(asyncio.DatagramProtocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self._transport.sendto(data, addr)  # type: ignore[attr-defined]


async def taken(
    bed: Bed, tracer: Tracer, source: str, address: str, port: int = 80, kind: str = "tcp", timeout: float = 1.0
) -> PacketPath:
    """A trace of one request in the bed."""
    request = bed.request(source, address, port, kind, timeout)
    return await tracer.trace(list(bed.places.values()), bed.places[source], f"{kind}://{address}:{port}", request)
