"""The DNS server on the wire, asked by real clients from another pod's namespace."""

from __future__ import annotations

import asyncio
import socket
import subprocess
from pathlib import Path

import dns.message
import dns.rcode
from dns_bed import BIG, CLIENT_IP, DNS_IP, UID, exchange, output, running
from inside import in_sandbox

from labkit.dns import listen
from labkit.linux import execute, netns


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
        await server.start_pod(both, UID)
        for address in (DNS_IP, "fd00::2"):
            assert await output(client, f"dig +short @{address} web.shop.svc.cluster.local") == "10.96.0.1\n"
        assert await output(client, "curl -s http://[fd00::2]:8080/health") == "OK"


async def ended(reader: asyncio.StreamReader) -> bool:
    try:
        return await reader.read(1) == b""
    except ConnectionResetError:
        return True
