"""A node and three pods that serve, for tests of one proxy mode in the kernel: who answers, and whom they saw."""

from __future__ import annotations

import asyncio
import socket
import subprocess
from collections.abc import Mapping
from typing import Any

from pods import node_with_pods

from labkit.api.objects import EndpointSlice, Node, Service, view
from labkit.linux import netns
from labkit.net.rules import BUILT_IN, Ruleset
from labkit.proxy.mode import View, seen

NODE_IP, GATEWAY = "172.18.1.11", "10.244.1.1"
CLIENT = "10.244.1.2"
SERVERS = ("10.244.1.3", "10.244.1.4", "10.244.1.5")
NODE = view(
    {"metadata": {"name": "node-1"}, "status": {"addresses": [{"type": "InternalIP", "address": NODE_IP}]}}, Node
)


class Bed:
    """`node` is the path of its namespace. Each server says its own address and the client's that it sees."""

    def __init__(self) -> None:
        self.node, self.pods = node_with_pods(4)
        way_out = f"route add default dev v0 src {NODE_IP}"  # a packet that the node sends is routed before its NAT
        for command in (f"address add {NODE_IP}/32 dev lo", "link set lo up", way_out):
            subprocess.run(["ip", "-n", "node", *command.split()], check=True)
        self._servers: list[asyncio.AbstractServer | asyncio.DatagramTransport] = []

    async def serve(self) -> None:
        loop = asyncio.get_running_loop()
        for pod in self.pods[1:]:
            name = pod.addresses[0]
            sock = netns.socket_in(pod.netns, socket.AF_INET, socket.SOCK_STREAM)
            sock.bind(("", 8080))

            async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter, name: str = name) -> None:
                writer.write(f"{name} {writer.get_extra_info('peername')[0]}".encode())
                writer.close()

            self._servers.append(await asyncio.start_server(answer, sock=sock))
            datagrams = netns.socket_in(pod.netns, socket.AF_INET, socket.SOCK_DGRAM)
            datagrams.bind(("", 8080))
            datagrams.setblocking(False)
            transport, _ = await loop.create_datagram_endpoint(lambda name=name: _Answer(name), sock=datagrams)
            self._servers.append(transport)

    async def ask(self, path: str, address: str, port: int, udp: bool = False, source: int = 0) -> tuple[str, ...]:
        """The server and the client as it saw it; nothing where the connection was closed without a word."""
        loop = asyncio.get_running_loop()
        with netns.socket_in(path, socket.AF_INET, socket.SOCK_DGRAM if udp else socket.SOCK_STREAM) as sock:
            sock.setblocking(False)
            if source:
                sock.bind(("", source))
            async with asyncio.timeout(5):
                await loop.sock_connect(sock, (address, port))
                if udp:
                    await loop.sock_sendall(sock, b"?")
                return tuple((await loop.sock_recv(sock, 100)).decode().split())

    async def asks(self, n: int, *way: Any, **options: Any) -> list[tuple[str, ...]]:
        return [await self.ask(*way, **options) for _ in range(n)]

    @property
    def client(self) -> str:
        return self.pods[0].netns

    def run(self, *command: str) -> str:
        with netns.entered(self.node):
            return subprocess.run(command, check=True, capture_output=True, text=True).stdout


class _Answer(asyncio.DatagramProtocol):
    def __init__(self, name: str) -> None:
        self._name = name

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self._transport.sendto(f"{self._name} {addr[0]}".encode(), addr)  # type: ignore[attr-defined]


def service(name: str, ip: str, protocol: str = "TCP", node_port: int = 0, **spec: Any) -> Service:
    port = {"port": 80, "targetPort": 8080, "protocol": protocol, "nodePort": node_port}
    kind = "NodePort" if node_port else "ClusterIP"
    spec = {"type": kind, "clusterIP": ip, "ports": [port], **spec}
    return view({"metadata": {"namespace": "shop", "name": name}, "spec": spec}, Service)


def slice_of(name: str, ends: Mapping[str, str], protocol: str = "TCP") -> EndpointSlice:
    """`ends`: address -> node."""
    meta = {"namespace": "shop", "name": f"{name}-1", "labels": {"kubernetes.io/service-name": name}}
    endpoints = [{"addresses": [ip], "nodeName": node} for ip, node in ends.items()]
    return view(
        {"metadata": meta, "endpoints": endpoints, "ports": [{"port": 8080, "protocol": protocol}]}, EndpointSlice
    )


def sees(services: list[Service], slices: list[EndpointSlice]) -> View:
    return seen(services, slices, NODE)


def same(found: Ruleset, wanted: Ruleset) -> bool:
    """Equal but for empty built-in chains, which the kernel always has, and the order of the tables."""

    def chains(rules: Ruleset) -> dict[tuple[str, str], list[str]]:
        return {
            (t.name, c.name): [r.text for r in c.rules]
            for t in rules.tables
            for c in t.chains
            if c.rules or c.name not in BUILT_IN.get(t.name, ())
        }

    return chains(found) == chains(wanted)
