"""The kernel's IPVS and ipset, spoken to by netlink: what was asked for is what `ipvsadm` and `ipset` print, and each
scheduler picks the servers that the model of it picks, connection by connection."""

import asyncio
import contextlib
import random
import socket
import subprocess
from pathlib import Path

import msgspec
import pytest
from inside import in_sandbox

from labkit.errors import NetlinkError, RuleError
from labkit.linux import netns
from labkit.linux.ipset import Sets
from labkit.linux.ipvs import Table
from labkit.linux.rtnetlink import Links
from labkit.net.ipset import AddressSet, Element
from labkit.net.ipvs import SCHEDULERS, RealServer, VirtualServer
from labkit.net.packet import Packet
from labkit.trace.model.schedulers import Spread

pytestmark = pytest.mark.sandbox("uml")  # most machines' own kernels have no IPVS

SERVERS = [f"10.1.0.{n}" for n in (1, 2, 3, 4)]
CLIENTS = [f"10.2.0.{n}" for n in range(1, 25)]
SETS = (
    (AddressSet("ADDRESSES", "hash:ip"), Element("192.0.2.1")),
    (AddressSet("PORTS", "hash:ip,port"), Element("192.0.2.1", "sctp", 80)),
    (AddressSet("HAIRPIN", "hash:ip,port,ip"), Element("192.0.2.1", "udp", 53, "192.0.2.1")),
    (AddressSet("RANGES", "hash:ip,port,net"), Element("192.0.2.1", "tcp", 80, "10.1.2.0/24")),
    (AddressSet("RANGE-OF-ONE", "hash:ip,port,net"), Element("192.0.2.1", "tcp", 80, "10.1.2.3/32")),
    (AddressSet("NODE-PORTS", "bitmap:port"), Element(port=30080)),
    (AddressSet("SIX", "hash:ip,port,ip", "IPv6"), Element("fd00::1", "tcp", 80, "fd00::1")),
)


def said(path: str, *command: str) -> str:
    with netns.entered(path):
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def machine(name: str) -> str:
    path = netns.create(name)
    with Links(path) as links:
        links.set_link("lo", up=True)
    return path


@in_sandbox
def test_tables_and_sets_are_what_the_tools_print() -> None:
    path = machine("node")
    servers_are_what_ipvsadm_prints(path)
    sets_are_what_ipset_prints(path)


def servers_are_what_ipvsadm_prints(path: str) -> None:
    wanted = [
        VirtualServer("10.96.0.10", 80, "tcp", persistent=10800),
        VirtualServer("10.96.0.10", 53, "udp", "wrr"),
        VirtualServer("10.96.0.10", 53, "sctp", "mh", hash_port=True),
        VirtualServer("fd00:96::1", 53, "tcp", "sh"),
    ]
    made = []
    with Table(path) as table:
        for virtual in wanted:
            ends = ("fd00::1", "fd00::2", "fd00::3") if ":" in virtual.ip else SERVERS[:3]
            servers = tuple(RealServer(ip, 8080, weight) for weight, ip in enumerate(ends))
            made.append(msgspec.structs.replace(virtual, servers=servers))
            table.add(virtual)
            with table.batch():
                for server in reversed(servers):
                    table.add_server(virtual, server)
        assert sorted(map(str, table.virtual_servers())) == sorted(map(str, made))
        assert sorted(said(path, "ipvsadm-save", "-n").splitlines()) == sorted("".join(map(str, made)).splitlines())

        changed = VirtualServer("10.96.0.10", 53, "udp", "lc", persistent=60)
        table.change(changed)
        table.change_server(changed, RealServer(SERVERS[0], 8080, 7))
        table.delete_server(changed, RealServer(SERVERS[1], 8080))
        table.delete(wanted[0])
        lines = said(path, "ipvsadm-save", "-n").splitlines()
        assert [line for line in lines if "-u" in line] == [
            "-A -u 10.96.0.10:53 -s lc -p 60",
            f"-a -u 10.96.0.10:53 -r {SERVERS[0]}:8080 -m -w 7",
            f"-a -u 10.96.0.10:53 -r {SERVERS[2]}:8080 -m -w 2",
        ]
        assert not [line for line in lines if "10.96.0.10:80" in line]
        with pytest.raises(NetlinkError, match=r"add virtual server -t 10.96.0.11:80 -s best .*No such file"):
            table.add(VirtualServer("10.96.0.11", 80, "tcp", "best"))
        with pytest.raises(NetlinkError, match=r"add virtual server .*File exists"):
            table.add(wanted[1])
        with pytest.raises(NetlinkError, match=r"delete real server 10.1.0.2:8080 of -u 10.96.0.10:53"):
            table.delete_server(changed, RealServer(SERVERS[1], 8080))


def sets_are_what_ipset_prints(path: str) -> None:
    with Sets(path) as sets:
        for one, element in SETS:
            assert sets.elements(one.name) is None
            sets.create(one)
            sets.add(one.name, element)
            assert sets.elements(one.name) == {element}
        made = [msgspec.structs.replace(one, elements=frozenset({element})) for one, element in SETS]
        assert said(path, "ipset", "save") == "".join(map(str, made))
        with pytest.raises(NetlinkError, match=r"create the set ADDRESSES .*File exists"):
            sets.create(SETS[0][0])
        with pytest.raises(NetlinkError, match=r"add 192.0.2.1,tcp:80,0.0.0.0/0 to the set RANGES"):
            sets.add("RANGES", Element("192.0.2.1", "tcp", 80, "0.0.0.0/0"))
        for one, element in SETS:
            sets.delete(one.name, element)
            assert sets.elements(one.name) == frozenset()
            sets.destroy(one.name)
        assert said(path, "ipset", "save") == ""


class Bed:
    """client -- node, which balances -- server, which has all real servers' addresses."""

    def __init__(self) -> None:
        self.client, self.node, self.server = (machine(name) for name in ("client", "node", "server"))
        with Links(self.node) as links:
            for name, path, gateway in (("c", self.client, "10.2.255.1"), ("s", self.server, "10.1.255.1")):
                links.add_veth(name, "eth0", path, index=100 + ord(name))
                links.set_link(name, up=True)
                links.add_address(name, f"{gateway}/16")
            links.add_link("vips", "dummy")
        for path, addresses, gateway in ((self.client, CLIENTS, "10.2.255.1"), (self.server, SERVERS, "10.1.255.1")):
            with Links(path) as links:
                links.set_link("eth0", up=True)
                for address in addresses:
                    links.add_address("eth0", f"{address}/16")
                links.add_route("default", via=gateway)
        with netns.entered(self.node):
            Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
        self._opened: list[tuple[socket.socket, RealServer]] = []

    async def serve(self) -> None:
        listening = netns.socket_in(self.server, socket.AF_INET, socket.SOCK_STREAM)
        listening.bind(("", 8080))
        await asyncio.start_server(_name, sock=listening)

    async def connect(self, source: str, virtual: VirtualServer) -> tuple[socket.socket, Packet, str]:
        """A connection that the server has answered; who it was, "" where the connection was refused."""
        loop = asyncio.get_running_loop()
        sock = netns.socket_in(self.client, socket.AF_INET, socket.SOCK_STREAM)
        sock.setblocking(False)
        sock.bind((source, 0))
        packet = Packet(source, virtual.ip, "TCP", sock.getsockname()[1], virtual.port)
        with contextlib.suppress(ConnectionRefusedError):
            await loop.sock_connect(sock, (virtual.ip, virtual.port))
            return sock, packet, (await loop.sock_recv(sock, 64)).decode()
        return sock, packet, ""


async def _name(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(writer.get_extra_info("sockname")[0].encode())
    await reader.read()
    writer.close()


async def closed(sock: socket.socket) -> None:
    """Close it, the server first having seen so."""
    sock.shutdown(socket.SHUT_WR)
    while await asyncio.get_running_loop().sock_recv(sock, 64):
        pass
    sock.close()


WEIGHTS = ((1, 1, 1, 1), (3, 1, 0, 2), (4, 8, 6, 2))


@in_sandbox
async def test_every_scheduler_picks_as_its_model() -> None:
    """Connections from many clients to several addresses, some of which end on the way."""
    bed, chance, number = Bed(), random.Random(4), 0
    await bed.serve()
    used: dict[str, set[str]] = {}
    for scheduler in SCHEDULERS:
        for weights in WEIGHTS:
            for persistent in (0, 300) if weights[2] else (0,):
                number += 1
                virtual = VirtualServer(
                    f"10.96.0.{number}", 80, "tcp", scheduler, persistent, hash_port=scheduler == "mh"
                )
                with Links(bed.node) as links, Table(bed.node) as table:
                    links.add_address("vips", f"{virtual.ip}/32")
                    table.add(virtual)
                    for ip, weight in zip(SERVERS, weights, strict=True):
                        table.add_server(virtual, RealServer(ip, 8080, weight))
                    virtual = msgspec.structs.replace(virtual, servers=table.servers(virtual))
                    spread, opened, picked = Spread(virtual), [], []
                    for _ in range(20):
                        sock, packet, who = await bed.connect(chance.choice(CLIENTS), virtual)
                        chosen = spread.connect(packet)
                        assert who == (chosen.ip if chosen else ""), (virtual, packet, picked)
                        picked.append(who)
                        if chosen is None:
                            continue
                        spread.established(chosen)
                        opened.append((sock, chosen))
                        if chance.random() < 0.3:
                            sock, chosen = opened.pop(chance.randrange(len(opened)))
                            await closed(sock)
                            spread.closed(chosen)
                    counted = {s.ip: (s.active, s.inactive) for s in table.servers(virtual)}
                    assert counted == {load.server.ip: (load.active, load.inactive) for load in spread.loads}
                    used[scheduler] = used.get(scheduler, set()) | set(picked)
    assert {scheduler for scheduler, servers in used.items() if len(servers - {""}) == len(SERVERS)} >= {
        *SCHEDULERS
    } - {"dh"}
    with pytest.raises(RuleError, match="does not know the scheduler 'best'"):
        Spread(VirtualServer("10.96.0.1", 80, "tcp", "best"))
