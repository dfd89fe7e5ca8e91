"""The DNS server on the wire, asked by real clients from another pod's namespace."""

from __future__ import annotations

import asyncio
import socket
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import dns.message
import dns.rcode
import pytest
from inside import in_sandbox

from labkit.api.objects import Pod, view
from labkit.dns import corefile, listen, resolv
from labkit.dns.server import Server
from labkit.errors import LabError, NotFound
from labkit.linux import execute, netns
from labkit.net.place import Place

DNS_IP, CLIENT_IP, UPSTREAM_IP = "10.244.1.2", "10.244.1.3", "10.244.1.4"
UID = "uid-of-coredns"
POD = {"kind": "Pod", "metadata": {"name": "coredns", "namespace": "kube-system", "uid": UID}}
WEB = {"clusterIP": "10.96.0.1", "ports": [{"name": "http", "port": 80}]}
BIG = 120  # backends of the Service `big`: more than 512 octets hold


def place(name: str, address: str, resolv_conf: str = "") -> Place:
    return Place(f"shop/{name}", "pod", f"/run/netns/{name}", name, addresses=(address,), resolv_conf=resolv_conf)


def wire_up(*pods: tuple[str, str]) -> None:
    """A namespace for each pod, on one bridge of the sandbox."""
    commands = ["link add br0 type bridge", "link set br0 up"]
    for number, (name, address) in enumerate(pods):
        netns.create(name)
        commands += [
            f"link add v{number} type veth peer name eth0 netns {name}",
            f"link set v{number} master br0 up",
            f"-n {name} addr add {address}/24 dev eth0",
            f"-n {name} link set eth0 up",
            f"-n {name} link set lo up",
        ]
    for command in commands:
        subprocess.run(["ip", *command.split()], check=True)


def tell(server: Server) -> None:
    """The cluster's objects, as control tells them."""
    server.event("ADDED", {"kind": "Namespace", "metadata": {"name": "shop"}})
    for name, spec in (
        ("web", WEB),
        ("big", {"clusterIP": "None"}),
        ("out", {"type": "ExternalName", "externalName": "www.example.com"}),
    ):
        server.event("ADDED", {"kind": "Service", "metadata": {"name": name, "namespace": "shop"}, "spec": spec})
    labels = {"kubernetes.io/service-name": "big"}
    endpoints = [{"addresses": [f"10.244.2.{n}"]} for n in range(BIG)]
    meta = {"name": "big-x", "namespace": "shop", "labels": labels}
    server.event("ADDED", {"kind": "EndpointSlice", "metadata": meta, "endpoints": endpoints})


@asynccontextmanager
async def running(resolv_conf: str = "") -> AsyncIterator[tuple[Server, Place, list[Any]]]:
    """(server, place of a client whose resolv.conf is the kubelet's, events that the server sent)."""
    wire_up(("dns", DNS_IP), ("client", CLIENT_IP), ("upstream", UPSTREAM_IP))
    events: list[Any] = []
    server = Server(lambda *event: events.append(event))
    tell(server)
    served = place("dns", DNS_IP, resolv_conf)
    await server.start_pod(
        {"name": served.name, "kind": "pod", "netns": served.netns, "addresses": [DNS_IP], "resolv_conf": resolv_conf},
        POD,
    )
    pod = view({"metadata": {"name": "client", "namespace": "shop"}}, Pod)
    client = place("client", CLIENT_IP, resolv.resolv_conf(pod, DNS_IP).text())
    yield server, client, events
    server.stop_pod(UID)


async def output(client: Place, command: str) -> str:
    done = await execute.run(client, command, timeout=20)
    assert done.code == 0, (command, done)
    return done.stdout


@in_sandbox
async def test_dig_getent_curl_and_python_find_services() -> None:
    async with running() as (server, client, _):
        assert await output(client, f"dig +short @{DNS_IP} web.shop.svc.cluster.local") == "10.96.0.1\n"
        assert await output(client, "dig +short +search web.shop") == "10.96.0.1\n"
        assert await output(client, "dig +short -x 10.96.0.1") == "web.shop.svc.cluster.local.\n"
        assert await output(client, "dig +short +tcp dns-version.cluster.local TXT") == '"1.1.0"\n'
        srv = await output(client, "dig +short _http._tcp.web.shop.svc.cluster.local SRV")
        assert srv == "0 100 80 web.shop.svc.cluster.local.\n"
        for name in ("web", "web.shop", "web.shop.svc", "web.shop.svc.cluster.local."):
            assert (await output(client, f"getent ahostsv4 {name}")).split()[0] == "10.96.0.1", name
        python = "import socket; print(socket.getaddrinfo('web', 80, type=socket.SOCK_STREAM)[0][4])"
        assert await output(client, f'python3 -c "{python}"') == "('10.96.0.1', 80)\n"
        curl = await execute.run(client, "curl -sv --max-time 2 http://web.shop/", timeout=10)
        assert "10.96.0.1" in curl.stderr
        asked = [(row["name"], row["type"], row["rcode"]) for row in server.queries(UID)]
        assert ("web.shop.shop.svc.cluster.local.", "A", "NXDOMAIN") in asked, "the search list at work"
        assert {row["client"] for row in server.queries(UID)} == {CLIENT_IP}


@in_sandbox
async def test_names_outside_fail_at_once_without_an_upstream() -> None:
    async with running() as (_, client, _events):
        found = await output(client, "dig www.example.com")
        assert "status: SERVFAIL" in found
        assert int(found.split("Query time: ")[1].split()[0]) < 100
        done = await execute.run(client, "getent ahosts www.example.com", timeout=20)
        assert done.code == 2 and done.seconds < 2


@in_sandbox
async def test_long_answers_are_cut_by_udp_and_whole_by_tcp() -> None:
    async with running() as (_, client, _events):
        cut = await output(client, "dig +ignore +noedns big.shop.svc.cluster.local")
        assert "flags: qr aa tc rd;" in cut
        assert "ANSWER: 29," in cut, "what 512 octets hold"
        whole = await output(client, "dig +short +noedns big.shop.svc.cluster.local")
        assert len(set(whole.split())) == BIG, "dig asks again by TCP"
        edns = await output(client, "dig +ignore +bufsize=4096 big.shop.svc.cluster.local")
        assert f"ANSWER: {BIG}," in edns and "tc" not in edns.split("flags: ")[1].split(";")[0]


async def exchange(data: bytes, wait: float = 1.0) -> bytes | None:
    """Send one datagram from the client's namespace; None where no answer comes."""
    loop = asyncio.get_running_loop()
    with netns.socket_in("/run/netns/client", socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setblocking(False)
        sock.connect((DNS_IP, 53))
        await loop.sock_sendall(sock, data)
        try:
            return await asyncio.wait_for(loop.sock_recv(sock, 65535), wait)
        except TimeoutError:
            return None


@in_sandbox
async def test_garbage_is_dropped_or_refused_and_the_server_lives() -> None:
    async with running():
        good = dns.message.make_query("web.shop.svc.cluster.local.", "A")
        assert await exchange(b"short", 0.2) is None
        assert await exchange(dns.message.make_response(good).to_wire(), 0.2) is None
        two = bytearray(good.to_wire())
        two[5] = 2
        for data, rcode in ((bytes(two), dns.rcode.FORMERR), (good.to_wire()[:-3], dns.rcode.FORMERR)):
            reply = await exchange(data)
            assert reply is not None and reply[3] & 0xF == rcode
        for size in range(12, 60):
            await exchange(bytes([7] * 5 + [1] + [0] * 6) + bytes(range(size)), 0.001)
        reply = await exchange(good.to_wire())
        assert reply is not None and dns.message.from_wire(reply).answer


async def connect() -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    sock = netns.socket_in("/run/netns/client", socket.AF_INET, socket.SOCK_STREAM)
    sock.setblocking(False)
    await asyncio.get_running_loop().sock_connect(sock, (DNS_IP, 53))
    return await asyncio.open_connection(sock=sock)


@in_sandbox
async def test_tcp_takes_several_queries_in_pieces_and_limits_its_clients() -> None:
    listen.MAX_CONNECTIONS, listen.IDLE_SECONDS = 3, 0.3
    async with running():
        reader, writer = await connect()
        names = ["web.shop.svc.cluster.local.", "big.shop.svc.cluster.local.", "no.shop.svc.cluster.local."]
        queries = [dns.message.make_query(name, "A").to_wire() for name in names]
        stream = b"".join(len(data).to_bytes(2, "big") + data for data in queries)
        writer.write(stream[:17])
        await writer.drain()
        await asyncio.sleep(0)
        writer.write(stream[17:])
        rcodes = []
        for _ in names:
            size = int.from_bytes(await reader.readexactly(2), "big")
            rcodes.append(dns.message.from_wire(await reader.readexactly(size)).rcode())
        assert rcodes == [dns.rcode.NOERROR, dns.rcode.NOERROR, dns.rcode.NXDOMAIN]
        others = [await connect() for _ in range(3)]
        closed = await asyncio.wait_for(
            asyncio.wait([asyncio.create_task(ended(r)) for r, _ in others], return_when="FIRST_COMPLETED"), 2
        )
        assert len(closed[0]) == 1, "the fourth connection is not taken"
        assert await asyncio.wait_for(ended(reader), 2), "and an idle one is closed"
        await asyncio.wait(closed[1])
        for _, other in (*others, (reader, writer)):
            other.close()


@in_sandbox
async def test_single_octets_keep_no_connection_open() -> None:
    listen.IDLE_SECONDS = 0.3
    async with running():
        reader, writer = await connect()
        end = asyncio.create_task(ended(reader))
        while not end.done():
            writer.write(b"\7")
            await asyncio.wait([end], timeout=0.05)
        assert end.result()
        writer.close()


@in_sandbox
async def test_pods_with_an_ipv6_address_are_served_by_ipv6_too() -> None:
    if not Path("/proc/net/if_inet6").exists():
        return
    async with running() as (server, client, _):
        for name, address in (("dns", "fd00::2"), ("client", "fd00::3")):
            subprocess.run(["ip", "-n", name, "addr", "add", f"{address}/64", "dev", "eth0", "nodad"], check=True)
        server.stop_pod(UID)
        both = {
            "name": "kube-system/coredns",
            "kind": "pod",
            "netns": "/run/netns/dns",
            "addresses": [DNS_IP, "fd00::2"],
        }
        await server.start_pod(both, POD)
        for address in (DNS_IP, "fd00::2"):
            assert await output(client, f"dig +short @{address} web.shop.svc.cluster.local") == "10.96.0.1\n"
        assert await output(client, "curl -s http://[fd00::2]:8080/health") == "OK"


async def ended(reader: asyncio.StreamReader) -> bool:
    try:
        return await reader.read(1) == b""
    except ConnectionResetError:
        return True


async def upstream() -> tuple[asyncio.DatagramTransport, list[str]]:
    """A DNS server for www.example.com, in a namespace of its own."""
    asked: list[str] = []

    class Answer(asyncio.DatagramProtocol):
        def datagram_received(self, data: bytes, addr: Any) -> None:
            query = dns.message.from_wire(data)
            asked.append(query.question[0].name.to_text())
            reply = dns.message.make_response(query)
            if query.question[0].rdtype == dns.rdatatype.A:
                reply.answer.append(dns.rrset.from_text(query.question[0].name, 60, "IN", "A", "203.0.113.10"))
            transport.sendto(reply.to_wire(), addr)

    sock = listen.bound("/run/netns/upstream", socket.AF_INET, socket.SOCK_DGRAM, 53)
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(Answer, sock=sock)
    return transport, asked


@in_sandbox
async def test_an_upstream_is_asked_from_the_pods_namespace() -> None:
    async with running(f"nameserver {UPSTREAM_IP}\n") as (_, client, _events):
        transport, asked = await upstream()
        assert await output(client, "dig +short www.example.com") == "203.0.113.10\n"
        assert await output(client, "dig +short www.example.com") == "203.0.113.10\n"
        assert asked == ["www.example.com."], "then the cache answers"
        assert await output(client, "dig +short out.shop.svc.cluster.local") == "www.example.com.\n203.0.113.10\n"
        transport.close()
        refused = await output(client, "dig other.example.com")
        assert "status: SERVFAIL" in refused
        assert int(refused.split("Query time: ")[1].split()[0]) < 1000, "an unreachable port is told by ICMP"


@in_sandbox
async def test_health_ready_and_metrics() -> None:
    async with running() as (server, client, _):
        page = f"curl -s -w ' %{{http_code}}' http://{DNS_IP}"
        assert await output(client, f"{page}:8080/health") == "OK 200"
        assert await output(client, f"{page}:8181/ready") == "kubernetes 503"
        server.synced()
        assert await output(client, f"{page}:8181/ready") == "OK 200"
        assert (await output(client, f"{page}:8181/health")).endswith("404")
        await output(client, "dig nope.shop.svc.cluster.local")
        metrics = await output(client, f"{page}:9153/metrics")
        assert 'coredns_dns_requests_total{proto="udp",server="dns://:53",type="A",zone="."} 1\n' in metrics
        assert 'coredns_dns_responses_total{rcode="NXDOMAIN",server="dns://:53",zone="."} 1\n' in metrics


@in_sandbox
async def test_a_new_corefile_is_taken_and_a_faulty_one_reported() -> None:
    async with running() as (server, client, events):
        text = corefile.default().replace("ttl 30", "ttl 7").replace(":9153", ":9154")
        meta = {"name": "coredns", "namespace": "kube-system"}
        for corefile_ in (text.replace("9154", "9155"), text):
            server.event("MODIFIED", {"kind": "ConfigMap", "metadata": meta, "data": {"Corefile": corefile_}})
        answer = await output(client, "dig +noall +answer web.shop.svc.cluster.local")
        assert answer.split()[1] == "7"
        await output(client, f"curl -sf http://{DNS_IP}:9154/metrics")
        assert (await execute.run(client, f"curl -s http://{DNS_IP}:9153/metrics", timeout=5)).code == 7
        server.event("MODIFIED", {"kind": "ConfigMap", "metadata": meta, "data": {"Corefile": ".:53 {\n x\n}"}})
        assert events[0][0] == "corefile" and "line 2: plugin `x`" in events[0][1]["error"]
        assert await output(client, "dig +short web.shop.svc.cluster.local") == "10.96.0.1\n"


@in_sandbox
async def test_start_and_stop() -> None:
    async with running() as (server, _, _events):
        again = {"name": "kube-system/coredns", "kind": "pod", "netns": "/run/netns/dns"}
        with pytest.raises(LabError, match="runs already"):
            await server.start_pod(again, POD)
        other = {"metadata": {"uid": "other"}}
        with pytest.raises(LabError, match=r"cannot listen: .*in use"):
            await server.start_pod(again, other)
        with pytest.raises(NotFound, match="no DNS server"):
            server.stop_pod("other")
        server.stop_pod(UID)
        with pytest.raises(ConnectionRefusedError):
            await exchange(dns.message.make_query("web.shop.svc.cluster.local.", "A").to_wire())
        await server.start_pod(again, POD)
        assert await exchange(dns.message.make_query("web.shop.svc.cluster.local.", "A").to_wire()) is not None
