"""One node between clients and servers that answer at every address: for a proxy that takes connections itself.

    clients == veth == node (the proxy) == veth == servers: each says the address it was reached at, and by whom

What the proxy leaves alone is routed to the servers too, and is answered there from the very address it was for. The
clients answer as well: one of them may be the endpoint. A client that has the address which it asks for sends from
another, and is given that one on its way to the node.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import subprocess
from collections.abc import Iterable
from ipaddress import ip_address

from packet_bed import Fate

from labkit.linux import netns
from labkit.net.packet import Packet, endpoint

_NODE = ("198.18.1.2", "fd99:1::2")  # towards the servers: what they see of a proxy there
_CLIENT = "198.18.0.1"
_IP_PKTINFO, _IPV6_RECVPKTINFO = 8, 49
_SETTINGS = ("net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1", "net.ipv4.conf.all.rp_filter=0")


class AnswerBed:
    """`path` is the node's namespace. To be made in a loop; the servers listen at `ports`."""

    def __init__(self, addresses: Iterable[str], ports: Iterable[int]) -> None:
        self.path, self._clients, self._servers = (netns.create(f"bed-{n}") for n in ("node", "clients", "servers"))
        self._ip("node", ["link add c type veth peer name c netns bed-clients", "link set lo up", "link set c up"])
        self._ip("node", ["link add s type veth peer name s netns bed-servers", "link set s up"])
        for name, link in (("clients", "c"), ("servers", "s")):
            self._ip(name, ["link set lo up", f"link set {link} up"])
        own = list(addresses)
        self._address("node", "c", ["198.18.0.2/24", "fd99::2/64"])
        self._address("node", "s", [*(f"{a}/{64 if ':' in a else 24}" for a in _NODE), *map(_whole, own)])
        self._address("clients", "c", [f"{_CLIENT}/24", "fd99::1/64"])
        self._address("servers", "s", ["198.18.1.1/24", "fd99:1::1/64"])
        for way in ("198.18.1.1", "fd99:1::1"):
            self._ip("node", [f"-{6 if ':' in way else 4} route add default via {way}"])
        for way in ("198.18.0.2", "fd99::2"):
            self._ip("clients", [f"-{6 if ':' in way else 4} route add default via {way}"])
        back = [f"route add {_whole(a)} via {_via(a, *_NODE)}" for a in own]
        anywhere = ["route add local 0.0.0.0/0 dev lo table main", "-6 route add local ::/0 dev lo table main"]
        self._ip("servers", [*back, *anywhere])
        for path in (self.path, self._servers):
            with netns.entered(path):
                subprocess.run(["sysctl", "-qw", *_SETTINGS], check=True)
        self._client = ""
        for port in ports:
            for path in (self._servers, self._clients):
                self._serve(path, port)

    async def fates(self, packet: Packet, from_node: bool, expected: int) -> set[Fate]:
        """As `PacketBed.fates`; a connection that was taken and closed without a word is PASSED to nowhere."""
        if not from_node and packet.src == packet.dst:
            return {await self._disguised(packet)}
        if not from_node and packet.src != self._client:
            self._become(packet.src)
        tries = 1 if expected < 2 else 2 * expected
        return {await self._fate(packet, from_node, 20000 + n) for n in range(tries)}

    async def _disguised(self, packet: Packet) -> Fate:
        """The fate of a packet that has its destination's address as its source: no socket sends one over a wire."""
        rule = f"-d {packet.dst} -j SNAT --to-source {packet.src}".split()
        with netns.entered(self._clients):
            subprocess.run(["iptables-legacy", "-t", "nat", "-A", "POSTROUTING", *rule], check=True)
        self._ip("node", [f"route add {_whole(packet.src)} via {_CLIENT}"])
        sent = Packet(_CLIENT, packet.dst, packet.protocol, packet.sport, packet.dport)
        fate = await self._fate(sent, False, 20000)
        self._ip("node", [f"route del {_whole(packet.src)} via {_CLIENT}"])
        with netns.entered(self._clients):
            subprocess.run(["iptables-legacy", "-t", "nat", "-D", "POSTROUTING", *rule], check=True)
        return fate

    def _become(self, address: str) -> None:
        """Give the clients this address, in the place of the one before."""
        for change, each in (("del", self._client), ("add", address)):
            if each:
                self._ip("clients", [f"addr {change} {_whole(each)} dev c{' nodad' * (':' in each)}"])
                self._ip("node", [f"route {change} {_whole(each)} via {_via(each, _CLIENT, 'fd99::1')}"])
                self._ip("servers", [f"route {change} {_whole(each)} via {_via(each, *_NODE)}"])
        self._client = address

    async def _fate(self, packet: Packet, from_node: bool, port: int) -> Fate:
        loop = asyncio.get_running_loop()
        family = socket.AF_INET6 if ":" in packet.dst else socket.AF_INET
        kind = socket.SOCK_STREAM if packet.protocol == "TCP" else socket.SOCK_DGRAM
        with netns.socket_in(self.path if from_node else self._clients, family, kind) as sock:
            sock.setblocking(False)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, bytes([1, 0, 0, 0, 0, 0, 0, 0]))  # no TIME_WAIT
            sock.bind((packet.src, port))
            try:
                async with asyncio.timeout(3):
                    await loop.sock_connect(sock, (packet.dst, packet.dport))
                    if packet.protocol == "UDP":
                        await loop.sock_sendall(sock, b"?")
                    told = (await loop.sock_recv(sock, 200)).decode().split()
            except ConnectionError as error:
                return Fate("PASSED") if isinstance(error, ConnectionRefusedError) else Fate("TAKEN")
            except TimeoutError:
                return Fate("DROP")
            except OSError as error:
                raise AssertionError(f"{packet}: {error}") from error
        if not told:
            return Fate("TAKEN")
        server, client = told
        if server == endpoint(packet.dst, packet.dport):
            return Fate("PASSED")
        return Fate("DNAT", server, client != packet.src)

    @staticmethod
    def _serve(path: str, port: int) -> None:
        loop = asyncio.get_running_loop()
        for family in (socket.AF_INET, socket.AF_INET6):
            stream, datagrams = (netns.socket_in(path, family, k) for k in (socket.SOCK_STREAM, socket.SOCK_DGRAM))
            for sock in (stream, datagrams):
                if family == socket.AF_INET6:
                    sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                sock.setblocking(False)
                sock.bind(("", port))
            if family == socket.AF_INET:
                datagrams.setsockopt(socket.IPPROTO_IP, _IP_PKTINFO, 1)
            else:
                datagrams.setsockopt(socket.IPPROTO_IPV6, _IPV6_RECVPKTINFO, 1)
            stream.listen()
            loop.add_reader(stream, _answer, stream)
            loop.add_reader(datagrams, _reply, datagrams)

    @staticmethod
    def _ip(name: str, lines: list[str]) -> None:
        for line in lines:
            subprocess.run(["ip", "-n", f"bed-{name}", *line.split()], check=True)

    def _address(self, name: str, link: str, addresses: list[str]) -> None:
        self._ip(name, [f"addr add {a} dev {link}{' nodad' * (':' in a)}" for a in addresses])


def _answer(listening: socket.socket) -> None:
    try:
        connection, client = listening.accept()
    except BlockingIOError:
        return
    with connection:
        name = endpoint(*connection.getsockname()[:2])
        connection.send(f"{name} {client[0]}".encode())


def _reply(bound: socket.socket) -> None:
    """Say to a datagram's sender at which address it was received, from that address."""
    try:
        _, told, _, client = bound.recvmsg(100, 100)
    except BlockingIOError:
        return
    (level, kind, info), *_ = told
    four = level == socket.IPPROTO_IP
    own = info[8:12] if four else info[:16]  # in_pktinfo has it behind two other fields, in6_pktinfo first
    text = f"{endpoint(str(ip_address(own)), bound.getsockname()[1])} {client[0]}"
    source = struct.pack("=i4s4s", 0, own, b"") if four else struct.pack("=16si", own, 0)
    bound.sendmsg([text.encode()], [(level, kind, source)], 0, client)


def _whole(address: str) -> str:
    return f"{address}/{128 if ':' in address else 32}"


def _via(address: str, v4: str, v6: str) -> str:
    return v6 if ":" in address else v4
