"""A node in ebpf mode with all that packet-flow cases ask for: pods, the world behind its cable, servers on both sides.

pods ── veth ── node ── eth0 ── world        local endpoints and pods as clients | remote endpoints, the outside
"""

from __future__ import annotations

import asyncio
import ctypes
import errno
import fcntl
import socket
import struct
import time
from collections.abc import Iterable, Set
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from itertools import product
from pathlib import Path
from typing import Self

from differences import expected
from packetflow import NODE_ADDRESSES, Case

from labkit.linux import netns
from labkit.linux.rtnetlink import Links
from labkit.net.packet import Packet, endpoint
from labkit.proxy.config import DEFAULT, ProxyConfig
from labkit.proxy.ebpf.mode import EbpfMode
from labkit.proxy.model import of_family

PODS = (ip_network("10.0.0.0/8"), ip_network("fd00:10::/32"))
GATEWAY = {"IPv4": "169.254.1.1", "IPv6": "fd00:169::1"}
ROUTER = {"IPv4": "192.168.0.1", "IPv6": "2001:db8::fe"}
NODE = {"IPv4": "192.168.0.2", "IPv6": "2001:db8::1"}
PREFIX = {"IPv4": 24, "IPv6": 64}  # of the network that they share
FORWARDING = {"IPv4": "ipv4/ip_forward", "IPv6": "ipv6/conf/all/forwarding"}
ENOUGH, MOST = 6, 60  # attempts: those that are made anyhow, and until all endpoints have answered
ANSWER, SILENCE = 5.0, 0.5  # seconds to wait for what is expected
REFUSED = (errno.ECONNREFUSED, errno.EHOSTUNREACH)
RTF_LOCAL = 0x80000000
SIOCETHTOOL, ETHTOOL_STXCSUM, ETHTOOL_SRXCSUM = 0x8946, 0x17, 0x15
KIND = {"TCP": socket.SOCK_STREAM, "UDP": socket.SOCK_DGRAM}


@dataclass(frozen=True)
class Seen:
    """What became of a flow: `to`: the endpoints that answered; `sources`: as they saw the client."""

    verdict: str
    to: frozenset[str]
    sources: frozenset[str]


class Bed:
    """A network of these addresses, some of them endpoints; `mode` is to be started, and knows no Service yet.

    here, there  endpoints on the node, and elsewhere, by `ports` (number and protocol)
    inside, outside  further addresses
    """

    def __init__(
        self,
        here: Iterable[str],
        there: Iterable[str],
        ports: Iterable[tuple[int, str]],
        inside: Iterable[str] = (),
        outside: Iterable[str] = (),
        config: ProxyConfig = DEFAULT,
    ) -> None:
        self.node, self.pods, self.world = (netns.create(n) for n in ("node", "pods", "world"))
        self._family = config.family
        self._wire({*here, *inside}, {*there, *outside})
        self._servers: list[socket.socket] = []
        self._ends = {self.pods: here, self.world: there}
        self._ports = sorted(ports)
        self.mode = EbpfMode(self.node, config)
        self.mode.join(self.pods)

    @classmethod
    def of(cls, flows: list[Case]) -> Self:
        """That of a suite. An endpoint that is a client as well is a pod of the node."""
        ends = {e["address"]: e["node"] for s in flows[0].suite["endpointslices"] for e in s["endpoints"]}
        sources = {f.flow["sourceIP"] for f in flows}
        clients = {ip for ip in sources if is_pod(ip)}
        here = {ip for ip, node in ends.items() if node == "test-node" or ip in clients}
        ports = {(p["port"], p["protocol"]) for s in flows[0].suite["endpointslices"] for p in s["ports"]}
        outside = sources - clients - NODE_ADDRESSES - {"127.0.0.1", "::1"}
        return cls(here, ends.keys() - here, ports, clients, outside, flows[0].config)

    def _wire(self, inside: Iterable[str], outside: Iterable[str]) -> None:
        family, alone = self._family, 128 if self._family == "IPv6" else 32
        gateway = GATEWAY[family]
        for path in (self.node, self.pods, self.world):
            netns.skip_detection(path)
        with Links(self.node) as node, Links(self.pods) as pods, Links(self.world) as world:
            node.add_veth("pods", "eth0", self.pods, index=50)
            node.add_veth("eth0", "eth0", self.world, index=51)
            for links in (node, pods, world):
                links.set_link("lo", up=True)
                links.set_link("eth0", up=True)
            node.set_link("pods", up=True)
            for ip in sorted(NODE_ADDRESSES):
                if of_family(ip, family):
                    node.add_address("eth0", f"{ip}/{PREFIX[family] if ip == NODE[family] else alone}")
            node.add_address("pods", f"{gateway}/{alone}")
            node.add_route("default", via=ROUTER[family])
            world.add_address("eth0", f"{ROUTER[family]}/{PREFIX[family]}")
            world.add_route("default", via=NODE[family])
            pods.add_route(f"{gateway}/{alone}", dev="eth0")
            for ip in sorted(inside):
                pods.add_address("eth0", f"{ip}/{alone}")  # where neighbours ask for it
                node.add_route(f"{ip}/{alone}", dev="pods")
            pods.add_route("default", via=gateway, dev="eth0")
            for ip in sorted(outside):
                world.add_address("lo", f"{ip}/{alone}")
        for path, own in ((self.node, NODE_ADDRESSES), (self.pods, inside), (self.world, outside)):
            settled(path, {ip for ip in own if of_family(ip, family)})
        for path in (self.pods, self.world):
            heed_checksums(path, "eth0")
        with netns.entered(self.node):
            Path("/proc/sys/net", FORWARDING[family]).write_text("1")

    def serve(self) -> None:
        """Each endpoint answers with its own address and its client's."""
        loop = asyncio.get_running_loop()
        for path, ips in self._ends.items():
            for ip, (port, protocol) in product(ips, self._ports):
                if protocol not in KIND:
                    continue
                sock = netns.socket_in(path, inet(ip), KIND[protocol] | socket.SOCK_NONBLOCK)
                sock.bind((ip, port))
                self._servers.append(sock)
                if protocol == "TCP":
                    sock.listen(64)
                loop.add_reader(sock, _accept if protocol == "TCP" else _echo, sock, endpoint(ip, port))

    async def run(self, case: Case) -> Seen:
        """What becomes of a flow."""
        source = case.flow["sourceIP"]
        path = self.node if case.from_node else self.pods if is_pod(source) else self.world
        chosen = "" if ip_address(source).is_loopback else source  # the kernel chooses once it knows where to go
        wanted = set(expected("ebpf", case).get("to", ()))
        return await self.tried(path, case.packet, chosen, wanted)

    async def tried(self, path: str, packet: Packet, source: str, wanted: Set[str]) -> Seen:
        """Connect until all endpoints that are wanted have answered, and some times more."""
        to: set[str] = set()
        sources: set[str] = set()
        patience = ANSWER if wanted else SILENCE
        for attempt in range(MOST):
            if attempt >= ENOUGH and to >= wanted:
                break
            try:
                async with asyncio.timeout(patience):
                    answer = await ask(path, (packet.dst, packet.dport or 0), packet.protocol, source)
            except TimeoutError:
                return Seen("DROP", frozenset(to), frozenset(sources))
            except OSError as error:
                verdict = "REJECT" if error.errno in REFUSED else str(error)
                return Seen(verdict, frozenset(to), frozenset(sources))
            server, client = answer.split(" ")
            to.add(server)
            sources.add(client)
        return Seen("DNAT", frozenset(to), frozenset(sources))

    async def close(self) -> None:
        for server in self._servers:
            asyncio.get_running_loop().remove_reader(server)
            server.close()
        await self.mode.stop()
        for path in (self.node, self.pods, self.world):
            netns.delete(path)


def settled(path: str, own: set[str]) -> None:
    """Wait until the namespace knows these IPv6 addresses as its own: its kernel does so some time after it got them,
    and looks for them on the wire before.
    """
    wanted = {ip_address(ip).packed.hex() for ip in own if ":" in ip}
    patience = time.monotonic() + ANSWER
    while wanted:
        with netns.entered(path):
            routes = Path("/proc/thread-self/net/ipv6_route").read_text().splitlines()
        wanted -= {line.split()[0] for line in routes if int(line.split()[8], 16) & RTF_LOCAL}
        assert time.monotonic() < patience, f"{path} does not know its addresses {wanted}"
        time.sleep(0.001)


def heed_checksums(path: str, name: str) -> None:
    """Let packets have checksums when they leave by an interface, and be looked at when they come, as real ones are."""
    with netns.socket_in(path, socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for command in (ETHTOOL_STXCSUM, ETHTOOL_SRXCSUM):
            value = ctypes.create_string_buffer(struct.pack("=II", command, 0))
            fcntl.ioctl(sock, SIOCETHTOOL, struct.pack("16sP16x", name.encode(), ctypes.addressof(value)))


def is_pod(ip: str) -> bool:
    return any(ip_address(ip) in pods for pods in PODS)


def inet(ip: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in ip else socket.AF_INET


async def ask(path: str, to: tuple[str, int], protocol: str = "TCP", source: str = "", port: int = 0) -> str:
    """What the server says: its own address and the client's."""
    loop = asyncio.get_running_loop()
    with netns.socket_in(path, inet(to[0]), KIND[protocol] | socket.SOCK_NONBLOCK) as sock:
        if source or port:
            sock.bind((source, port))
        await loop.sock_connect(sock, to)
        if protocol == "UDP":
            await loop.sock_sendall(sock, b"?")
        return (await loop.sock_recv(sock, 200)).decode()


def _accept(sock: socket.socket, name: str) -> None:
    connection, peer = sock.accept()
    with connection:
        connection.sendall(f"{name} {peer[0]}".encode())


def _echo(sock: socket.socket, name: str) -> None:
    _, peer = sock.recvfrom(100)
    sock.sendto(f"{name} {peer[0]}".encode(), peer)
