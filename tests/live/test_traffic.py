"""Requests through a node's real NAT, and who the kernel says answered them."""

from __future__ import annotations

import asyncio
import socket
import ssl
import subprocess
import tempfile
from collections import Counter
from collections.abc import Callable
from typing import Any

import dns.message
import dns.rcode
import dns.rrset
import msgspec
from inside import in_sandbox
from pods import load, node_with_pods

from labkit.errors import LabError
from labkit.linux import conntrack, netns
from labkit.net.place import Place
from labkit.traffic.traffic import Traffic
from labkit.workloads.images import Serve
from labkit.workloads.netexec import Netexec
from labkit.workloads.server import Server

Raw = dict[str, Any]

VIP = "10.96.0.20"
RULES = f"""
:KUBE-SVC - [0:0]
-A PREROUTING -d {VIP}/32 -p tcp --dport 80 -j KUBE-SVC
-A PREROUTING -d {VIP}/32 -p udp --dport 81 -j DNAT --to-destination 10.244.1.3:81
-A PREROUTING -d {VIP}/32 -p tcp --dport 90 -j DNAT --to-destination 10.244.1.3:9
-A PREROUTING -d {VIP}/32 -p tcp --dport 91 -j DNAT --to-destination 10.244.1.5:91
-A PREROUTING -d 10.96.0.10/32 -p udp --dport 53 -j DNAT --to-destination 10.244.1.5:53
-A PREROUTING -d 10.96.0.10/32 -p tcp --dport 53 -j DNAT --to-destination 10.244.1.5:53
-A KUBE-SVC -p tcp -m statistic --mode random --probability 0.5 -j DNAT --to-destination 10.244.1.3:80
-A KUBE-SVC -p tcp -j DNAT --to-destination 10.244.1.4:80
"""


class Cluster:
    """A client, two servers behind a virtual address, and a pod for the name server."""

    def __init__(self) -> None:
        self.node, self.pods = node_with_pods(4)
        load(self.node, "nat", RULES)
        load(self.pods[3].netns, "filter", "-A INPUT -p tcp --dport 91 -j DROP\n")  # a backend that hangs
        serve = Serve((80,), (81,))
        self.servers = [
            Server(pod, serve, Netexec(pod, serve, lambda _: None, lambda _: None)) for pod in self.pods[1:3]
        ]
        self.traffic = Traffic(lambda *_: None)

    async def request(self, url: str, **options: Any) -> list[Raw]:
        client = msgspec.to_builtins(self.pods[0])
        return await self.traffic.request(client, url, nat=[self.node], **options)

    async def one(self, url: str, **options: Any) -> Raw:
        [row] = await self.request(url, **options)
        return row


async def name_server(pod: Place, records: dict[str, list[str]], asked: list[str], tcp_only: bool = False) -> None:
    """A name server in a pod: A records by name, each answer turned by one; NXDOMAIN for the rest."""
    loop = asyncio.get_running_loop()

    def answer(data: bytes, cut: bool) -> bytes:
        query = dns.message.from_wire(data)
        response = dns.message.make_response(query)
        name = str(query.question[0].name)
        asked.append(name)
        if name not in records:
            response.set_rcode(dns.rcode.NXDOMAIN)
        elif cut:
            response.flags |= dns.flags.TC
        elif records[name]:
            records[name].append(records[name].pop(0))
            response.answer.append(dns.rrset.from_text(name, 5, "IN", "A", *records[name]))
        return response.to_wire()

    with netns.entered(pod.netns):
        datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        stream = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    datagrams.bind(("", 53))
    stream.bind(("", 53))
    stream.listen()

    def read() -> None:
        data, peer = datagrams.recvfrom(4096)
        datagrams.sendto(answer(data, tcp_only), peer)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        size = int.from_bytes(await reader.readexactly(2), "big")
        wire = answer(await reader.readexactly(size), cut=False)
        writer.write(len(wire).to_bytes(2, "big") + wire)
        writer.close()

    loop.add_reader(datagrams, read)
    await asyncio.start_server(serve, sock=stream)


@in_sandbox
async def test_every_request_is_a_connection_and_the_kernel_knows_who_answered() -> None:
    c = Cluster()
    rows = await c.request(f"http://{VIP}/hostname", n=400)
    assert [row["i"] for row in rows] == list(range(400))
    assert {row["status"] for row in rows} == {200} and {row["error"] for row in rows} == {""}
    assert len({row["local"] for row in rows}) == 400
    assert {row["remote"] for row in rows} == {f"{VIP}:80"}
    pairs = Counter((row["body"], row["server"]) for row in rows)
    assert set(pairs) == {("pod-1", "10.244.1.3:80"), ("pod-2", "10.244.1.4:80")}
    assert min(pairs.values()) > 120  # of 400 at one half: 8 standard deviations


@in_sandbox
async def test_keepalive_stays_with_one_server() -> None:
    c = Cluster()
    rows = await c.request(f"http://{VIP}/hostname", n=50, concurrency=1, keepalive=True)
    assert len({row["local"] for row in rows}) == 1 and len({row["server"] for row in rows}) == 1
    assert {row["status"] for row in rows} == {200}
    direct = await c.one("http://10.244.1.3/clientip")
    assert direct["server"] == direct["remote"] == "10.244.1.3:80" and direct["body"] == direct["local"]


@in_sandbox
async def test_every_failure_is_a_row() -> None:
    c = Cluster()
    refused = await c.one(f"http://{VIP}:90/")
    assert (refused["error"], refused["status"]) == ("connection refused", None)
    assert refused["remote"] == f"{VIP}:90" and refused["server"] == ""  # the kernel has forgotten it
    lost = await c.one(f"http://{VIP}:91/", timeout=0.2)
    assert lost["error"] == "timed out after 0.2 s" and lost["server"] == "10.244.1.5:91"
    gone = await c.one("http://10.244.1.77/", timeout=0.2)
    assert gone["error"] in ("timed out after 0.2 s", "network is unreachable"), gone
    slow = await c.one("http://10.244.1.3/shell?cmd=sleep+5", timeout=0.2)
    assert slow["error"] == "timed out after 0.2 s" and 150 < slow["ms"] < 2000
    assert (await c.one("https://10.244.1.4:80/"))["error"].startswith("TLS failed")
    for wrong in ("ftp://web", "tcp://web", "http://", "http://web:99999"):
        try:
            await c.request(wrong)
        except LabError as error:
            assert "write for example" in error.message
        else:
            raise AssertionError(wrong)


@in_sandbox
async def test_tcp_and_udp_probes() -> None:
    c = Cluster()
    assert (await c.one(f"tcp://{VIP}:80"))["error"] == ""
    answer = await c.one(f"tcp://{VIP}:80", body="GET /hostname HTTP/1.0\r\n\r\n")
    assert answer["body"].startswith("HTTP/1.1 200 OK")
    udp = await c.one(f"udp://{VIP}:81")
    assert udp["body"] == "pod-1" and udp["server"] == "10.244.1.3:81" and udp["remote"] == f"{VIP}:81"
    assert (await c.one(f"udp://{VIP}:81", body=b"echo hi"))["body"] == "hi"
    assert (await c.one("udp://10.244.1.3:9"))["error"] == "connection refused"


@in_sandbox
async def test_methods_headers_bodies_and_framings() -> None:
    c = Cluster()
    echoed = await c.one("http://10.244.1.3/header?key=X-A", headers={"X-A": "b", "Host": "other"})
    assert echoed["body"] == "b"
    posted = await c.one(
        "http://10.244.1.3/echo", method="POST", body="msg=hi&code=201",
        headers={"Content-Type": "application/x-www-form-urlencoded"},
    )  # fmt: skip
    assert (posted["status"], posted["body"]) == (201, "hi")
    assert (await c.one("http://10.244.1.3/hostname", method="HEAD"))["status"] == 200
    big = await c.one("http://10.244.1.3/shell?cmd=head+-c+9000+/etc/services")
    assert len(big["body"]) == 4096
    chunks = b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
    answers: dict[int, tuple[bytes, Callable[[Raw], bool]]] = {
        7001: (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks, lambda r: r["body"] == "abcde"),
        7002: (b"HTTP/1.0 200 OK\r\n\r\nuntil the end", lambda r: r["body"] == "until the end"),
        7003: (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n", lambda r: r["status"] == 204),
        7004: (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort", lambda r: "in the middle" in r["error"]),
        7006: (b"", lambda r: r["error"] == "the server closed the connection without an answer"),
        7005: (b"SSH-2.0-x\r\n", lambda r: "not HTTP" in r["error"]),
    }
    for port, (text, good) in answers.items():
        sock = netns.socket_in(c.pods[3].netns, socket.AF_INET, socket.SOCK_STREAM)
        sock.bind(("", port))
        sock.listen()

        def serve(text: bytes = text) -> Callable[..., Any]:
            async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                await reader.readuntil(b"\r\n\r\n")
                writer.write(text)
                writer.close()

            return answer

        await asyncio.start_server(serve(), sock=sock)
        row = await c.one(f"http://10.244.1.5:{port}/")
        assert good(row), (port, row)


@in_sandbox
async def test_https_verifies_unless_told_not_to() -> None:
    c = Cluster()
    with tempfile.TemporaryDirectory() as folder:
        key, certificate = f"{folder}/key.pem", f"{folder}/cert.pem"
        command = f"openssl req -x509 -newkey rsa:2048 -nodes -keyout {key} -out {certificate} -subj /CN=web -days 1"
        subprocess.run(command.split(), check=True, capture_output=True)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
    sock = netns.socket_in(c.pods[3].netns, socket.AF_INET, socket.SOCK_STREAM)
    sock.bind(("", 443))
    sock.listen()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecret")
        await writer.drain()
        writer.close()

    await asyncio.start_server(answer, sock=sock, ssl=context)
    row = await c.one("https://10.244.1.5/", verify=False)
    assert (row["status"], row["body"]) == (200, "secret")
    assert "certificate not trusted" in (await c.one("https://10.244.1.5/"))["error"]


@in_sandbox
async def test_names_are_found_as_glibc_finds_them() -> None:
    c = Cluster()
    asked: list[str] = []
    web = "web.shop.svc.cluster.local."
    await name_server(
        c.pods[3], {web: [VIP], "example.com.": ["10.244.1.3"], "empty.shop.svc.cluster.local.": []}, asked
    )
    assert (await c.one("http://web/hostname"))["status"] == 200
    assert asked == [web]
    asked.clear()
    assert (await c.one("http://example.com/hostname"))["status"] == 200
    assert asked == [
        "example.com.shop.svc.cluster.local.",
        "example.com.svc.cluster.local.",
        "example.com.cluster.local.",
        "example.com.",
    ]
    assert (await c.one("http://web.nowhere/"))["error"] == "could not resolve web.nowhere: NXDOMAIN"
    lookup = await c.traffic.resolve(msgspec.to_builtins(c.pods[0]), "empty")
    assert lookup["error"] == "empty.shop.svc.cluster.local. exists but has no address"
    asked.clear()
    assert (await c.one("http://pod-0/"))["error"] == "connection refused"  # its own name, from /etc/hosts
    assert asked == []


@in_sandbox
async def test_a_headless_name_is_asked_for_each_request() -> None:
    c = Cluster()
    await name_server(c.pods[3], {"web.shop.svc.cluster.local.": ["10.244.1.3", "10.244.1.4"]}, [])
    rows = await c.request("http://web/hostname", n=20, concurrency=2)
    assert Counter(row["body"] for row in rows).keys() == {"pod-1", "pod-2"}
    assert {row["status"] for row in rows} == {200}


@in_sandbox
async def test_a_cut_answer_is_asked_for_again_by_tcp() -> None:
    c = Cluster()
    asked: list[str] = []
    await name_server(c.pods[3], {"web.shop.svc.cluster.local.": [VIP]}, asked, tcp_only=True)
    assert (await c.one("http://web/hostname"))["status"] == 200
    assert len(asked) == 2


@in_sandbox
async def test_a_name_server_that_is_not_there() -> None:
    c = Cluster()
    row = await c.one("http://web/")  # the rules lead to a pod where nothing listens on port 53
    assert row["error"] == "could not resolve web: name server 10.96.0.10 cannot be reached"


@in_sandbox
async def test_three_thousand_requests_and_their_conntrack_entries() -> None:
    c = Cluster()
    rows = await c.request(f"http://{VIP}/hostname", n=3000)
    assert {row["status"] for row in rows} == {200}
    assert len({row["local"] for row in rows}) == 3000
    flows = conntrack.dump(c.node, 6)
    translated = [flow for flow in flows if flow.translated]
    assert len(translated) == 3000
    assert {flow.original.dst for flow in translated} == {VIP}
    assert {flow.state for flow in translated} <= {"TIME_WAIT", "CLOSE", "LAST_ACK", "FIN_WAIT", "CLOSE_WAIT"}
