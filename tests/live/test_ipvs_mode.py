"""kube-proxy's ipvs mode on a node: the kernel has what the plan says, however it came about and whoever meddled."""

import asyncio
import socket
import subprocess
from pathlib import Path

import msgspec
import pytest
from inside import in_sandbox
from test_proxy_rules import EVERY_KIND, NODE, SERVICE, THEIR_SLICES, changes, endpoint_slice, same, service

from labkit.api.objects import EndpointSlice, Service, view
from labkit.errors import RuleError
from labkit.linux import iptables, netns
from labkit.linux.ipset import Sets
from labkit.linux.iptables import Variant
from labkit.linux.ipvs import Table
from labkit.linux.rtnetlink import Links
from labkit.net.ipset import Element
from labkit.net.ipvs import RealServer, VirtualServer
from labkit.net.rules import parse
from labkit.proxy.config import IpvsConfig, ProxyConfig
from labkit.proxy.ipvs.mode import IpvsMode
from labkit.proxy.ipvs.plan import IpvsPlan, plan
from labkit.proxy.mode import View, seen

pytestmark = pytest.mark.sandbox("uml")  # most machines' own kernels have no IPVS

LEGACY = Variant.LEGACY


def node(name: str, *addresses: str) -> str:
    path = netns.create(name)
    with Links(path) as links:
        links.set_link("lo", up=True)
        links.add_link("eth0", "dummy")
        links.set_link("eth0", up=True)
        for address in addresses or ("172.18.1.2/24", "10.244.1.1/24"):
            links.add_address("eth0", address)
    return path


def said(path: str, command: str) -> str:
    with netns.entered(path):
        return subprocess.run(command.split(), capture_output=True, text=True, check=True).stdout


def own(path: str, plan_: IpvsPlan) -> None:
    """The node has exactly what the plan says, in the words of the tools."""
    servers = "".join(map(str, plan_.servers))
    assert sorted(said(path, "ipvsadm-save -n").splitlines()) == sorted(servers.splitlines())
    sets = "".join(map(str, plan_.sets))
    assert sorted(said(path, "ipset save").splitlines()) == sorted(sets.splitlines())
    family = plan_.rules.family
    assert same(parse(iptables.save(path, LEGACY, family=family), family), plan_.rules)
    device = [line.split()[3] for line in said(path, "ip -o addr show dev kube-ipvs0").splitlines()]
    length = 128 if family == "IPv6" else 32
    assert sorted(device) == sorted(f"{ip}/{length}" for ip in plan_.bound)


def everything() -> View:
    return seen(EVERY_KIND, THEIR_SLICES, NODE)


LOCAL = frozenset({"172.18.1.2", "10.244.1.1"})


@in_sandbox
async def test_kernel_has_what_was_planned_character_by_character() -> None:
    path = node("node-1")
    mode = IpvsMode(path, variant=LEGACY, fresh=True)
    await mode.start()
    await mode.sync(everything(), None)
    assert mode.plan == plan(everything(), local=LOCAL)
    own(path, mode.plan)
    assert await mode.sync(everything(), None) == ""
    assert " state DOWN " in said(path, "ip link show kube-ipvs0")
    assert "NOARP" in said(path, "ip link show kube-ipvs0")
    with netns.entered(path):
        for name in ("conntrack", "expire_nodest_conn", "expire_quiescent_template"):
            assert Path(f"/proc/sys/net/ipv4/vs/{name}").read_text() == "1\n"

    with Links(path) as links:  # an address that the node gets later
        links.add_address("eth0", "192.168.7.7/24")
    text = await mode.sync(everything(), frozenset())
    assert "-A -t 192.168.7.7:30002 -s rr -p 10800" in text.splitlines()
    own(path, plan(everything(), local=LOCAL | {"192.168.7.7"}))

    with Table(path) as table:  # somebody else's meddling
        table.delete(VirtualServer("10.96.1.1", 80, "tcp"))
        table.delete_server(VirtualServer("10.96.1.2", 80, "tcp"), RealServer("10.244.1.2", 8080))
        table.change_server(VirtualServer("10.96.1.2", 80, "tcp"), RealServer("10.244.1.12", 8080, 9))
        table.change(VirtualServer("10.96.1.4", 80, "tcp", "lc"))
        table.add(VirtualServer("10.99.9.9", 80, "tcp"))
    with Sets(path) as sets:
        sets.delete("KUBE-CLUSTER-IP", Element("10.96.1.1", "tcp", 80))
        sets.add("KUBE-CLUSTER-IP", Element("10.99.9.9", "tcp", 80))
    said(path, "ip addr del 10.96.1.1/32 dev kube-ipvs0")
    said(path, "iptables-legacy -t nat -F KUBE-SERVICES")
    await mode.sync(everything(), None)
    own(path, plan(everything(), local=LOCAL | {"192.168.7.7"}))
    said(path, "ipvsadm -C")
    said(path, "ip link del kube-ipvs0")
    await mode.sync(everything(), None)
    own(path, plan(everything(), local=LOCAL | {"192.168.7.7"}))

    said(path, "iptables-legacy -N MINE")
    await mode.stop()
    assert said(path, "ipvsadm-save -n") + said(path, "ipset save") == ""
    assert "kube-ipvs0" not in said(path, "ip link")
    assert "KUBE" not in iptables.save(path, LEGACY)
    assert "MINE" in iptables.save(path, LEGACY)


@in_sandbox
async def test_changes_in_any_sequence_leave_what_a_fresh_start_has() -> None:
    path = node("changed")
    mode = IpvsMode(path, variant=LEGACY, fresh=True)
    await mode.start()
    before: View | None = None
    for services, slices in changes(3, 5):
        now = seen(services, slices, NODE)
        known = before.ports if before else {}
        changed = {k for k in known.keys() | now.ports.keys() if known.get(k) != now.ports.get(k)}
        await mode.sync(now, changed if before else None)
        before = now
        own(path, plan(now, local=LOCAL))


@in_sandbox
async def test_ipv6_and_other_settings() -> None:
    path = node("node-2", "fd00:18::2/64")
    labels = {SERVICE: "web"}
    one = view(
        {
            "metadata": {"namespace": "shop", "name": "web"},
            "spec": {
                "type": "NodePort",
                "clusterIP": "fd00:10:96::1",
                "sessionAffinity": "ClientIP",
                "ports": [{"port": 80, "nodePort": 30080}],
            },
        },
        Service,
    )
    ends = view(
        {
            "metadata": {"namespace": "shop", "name": "web-1", "labels": labels},
            "addressType": "IPv6",
            "endpoints": [{"addresses": ["fd00:10:244::5"], "nodeName": "node-1"}, {"addresses": ["fd00:10:244::6"]}],
            "ports": [{"port": 8080}],
        },
        EndpointSlice,
    )
    config = ProxyConfig(cluster_cidr="fd00:10:244::/56", family="IPv6")
    mode, other = IpvsMode(path, config, LEGACY), IpvsMode(path, variant=LEGACY, fresh=True)
    await asyncio.gather(mode.start(), other.start())
    await mode.sync(seen([one], [ends], NODE, "IPv6"), None)
    await other.sync(everything(), None)
    assert "-A -t [fd00:10:96::1]:80 -s rr -p 10800\n" in said(path, "ipvsadm-save -n")
    await other.stop()
    await mode.sync(seen([one], [ends], NODE, "IPv6"), None)  # the device was both families'
    own(path, plan(seen([one], [ends], NODE, "IPv6"), config, frozenset({"fd00:18::2"})))

    path = node("node-1")
    config = ProxyConfig(ipvs=IpvsConfig(scheduler="best"))
    with pytest.raises(
        RuleError,
        match=r"can't use the IPVS proxier: .*-s best.*No such file or directory. The schedulers are rr, wrr, ",
    ):
        await IpvsMode(path, config, LEGACY).start()
    config = ProxyConfig(ipvs=IpvsConfig(strict_arp=True, tcp_timeout=1000, exclude_cidrs=("10.99.0.0/16",)))
    mode = IpvsMode(path, config, LEGACY)
    await mode.start()
    assert said(path, "ipvsadm -L --timeout") == "Timeout (tcp tcpfin udp): 1000 120 300\n"
    with netns.entered(path):
        assert Path("/proc/sys/net/ipv4/conf/all/arp_ignore").read_text() == "1\n"
        assert Path("/proc/sys/net/ipv4/conf/all/arp_announce").read_text() == "2\n"
    with Table(path) as table:
        table.add(VirtualServer("10.99.9.9", 80, "tcp"))
        table.add(VirtualServer("10.98.9.9", 80, "tcp"))
    await mode.sync(everything(), None)
    found = said(path, "ipvsadm-save -n")
    assert "10.99.9.9" in found
    assert "10.98.9.9" not in found


@in_sandbox
async def test_a_server_leaves_with_its_last_connection() -> None:
    """A long connection outlives its endpoint; new ones go elsewhere; then the server goes."""
    path = node("node-1")
    peer = netns.create("pods")
    with Links(path) as links:
        links.add_veth("pods", "eth0", peer, index=50)
        links.set_link("pods", up=True)
        links.add_address("pods", "10.244.9.1/24")
    with Links(peer) as links:
        links.set_link("eth0", up=True)
        for byte in (2, 3):
            links.add_address("eth0", f"10.244.9.{byte}/24")
        links.add_route("default", via="10.244.9.1")
    listening = netns.socket_in(peer, socket.AF_INET, socket.SOCK_STREAM)
    listening.bind(("", 8080))
    await asyncio.start_server(_named, sock=listening)

    def ends(*bytes_: int) -> View:
        found = endpoint_slice(1, [])
        made = msgspec.to_builtins(found)
        made["endpoints"] = [{"addresses": [f"10.244.9.{b}"]} for b in bytes_]
        return seen([service(1)], [msgspec.convert(made, EndpointSlice)], NODE)

    mode = IpvsMode(path, variant=LEGACY, fresh=True, interval=0.05)
    await mode.start()
    await mode.sync(ends(2, 3), None)
    loop = asyncio.get_running_loop()

    async def connect() -> tuple[socket.socket, str]:
        sock = netns.socket_in(path, socket.AF_INET, socket.SOCK_STREAM)
        sock.setblocking(False)
        await loop.sock_connect(sock, ("10.96.1.1", 80))
        return sock, (await loop.sock_recv(sock, 64)).decode()

    first, who = await connect()
    stays = 2 if who.endswith(".3") else 3
    changed = seen([service(1)], [], NODE).keys
    await mode.sync(ends(stays), set(changed))
    assert f"-r {who}:8080 -m -w 0" in said(path, "ipvsadm-save -n")
    for _ in range(3):
        sock, other = await connect()
        assert other != who
        sock.close()
    first.send(b"still there?")
    assert await loop.sock_recv(first, 64) == b"still there?"
    await mode.sync(ends(stays), None)  # looked at as a whole, it still leaves
    assert f"-r {who}:8080 -m -w 0" in said(path, "ipvsadm-save -n")
    await mode.sync(ends(2, 3), set(changed))  # it is wanted again
    assert f"-r {who}:8080 -m -w 1" in said(path, "ipvsadm-save -n")
    await mode.sync(ends(stays), set(changed))
    with Table(path) as table:
        virtual = VirtualServer("10.96.1.1", 80, "tcp")
        table.change_server(
            virtual, RealServer(who, 8080, 5)
        )  # somebody takes it back: a proxy that came after this one
        async with asyncio.timeout(10):
            while mode.leaving:
                await asyncio.sleep(0.01)
        assert f"-r {who}:8080 -m -w 5" in said(path, "ipvsadm-save -n")
        await mode.sync(ends(stays), None)
        assert f"-r {who}:8080 -m -w 0" in said(path, "ipvsadm-save -n")
        table.set_timeouts(1, 1, 1)  # the connection ends a second after its next packet, for the kernel
        first.send(b"goodbye")
        async with asyncio.timeout(10):
            while who in [server.ip for virtual in table.virtual_servers() for server in virtual.servers]:
                await asyncio.sleep(0.1)


async def _named(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(writer.get_extra_info("sockname")[0].encode())
    while data := await reader.read(64):
        writer.write(data)
    writer.close()
