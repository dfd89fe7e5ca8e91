"""One node between clients and servers that answer at every address: for a proxy that takes connections itself.

    clients == veth == node (the proxy) == veth == servers: each says the address it was reached at, and by whom

What the proxy leaves alone is routed to the servers too, and is answered there from the very address it was for.
"""

from __future__ import annotations

import asyncio
import socket
import subprocess
from collections.abc import Iterable

from packet_bed import Fate

from labkit.linux import netns
from labkit.net.packet import Packet, endpoint

_NODE = ("198.18.1.2", "fd99:1::2")  # towards the servers: what they see of a proxy there
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
        self._address("clients", "c", ["198.18.0.1/24", "fd99::1/64"])
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
            self._serve(port)

    async def fates(self, packet: Packet, from_node: bool, expected: int) -> set[Fate]:
        """As `PacketBed.fates`; a connection that was taken and closed without a word is PASSED to nowhere."""
        if not from_node and packet.src != self._client:
            self._become(packet.src)
        tries = 1 if expected < 2 else 2 * expected
        return {await self._fate(packet, from_node, 20000 + n) for n in range(tries)}

    def _become(self, address: str) -> None:
        """Give the clients this address, in the place of the one before."""
        for change, each in (("del", self._client), ("add", address)):
            if each:
                self._ip("clients", [f"addr {change} {_whole(each)} dev c{' nodad' * (':' in each)}"])
                self._ip("node", [f"route {change} {_whole(each)} via {_via(each, '198.18.0.1', 'fd99::1')}"])
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

    def _serve(self, port: int) -> None:
        loop = asyncio.get_running_loop()
        for family in (socket.AF_INET, socket.AF_INET6):
            sock = netns.socket_in(self._servers, family, socket.SOCK_STREAM)
            if family == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            sock.bind(("", port))
            sock.listen()
            sock.setblocking(False)
            loop.add_reader(sock, _answer, sock)

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


def _whole(address: str) -> str:
    return f"{address}/{128 if ':' in address else 32}"


def _via(address: str, v4: str, v6: str) -> str:
    return v6 if ":" in address else v4
