"""The DNS server around its answers: upstreams, health, a new Corefile, start and stop."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import dns.message
import dns.rcode
import pytest
from dns_bed import DNS_IP, UID, UPSTREAM_IP, exchange, output, running
from inside import ONCE, in_sandbox

from labkit.dns import corefile, listen
from labkit.errors import LabError, NotFound
from labkit.linux import execute

pytestmark = ONCE


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
        async with asyncio.timeout(10):  # the pages follow the names
            while (await execute.run(client, f"curl -sf http://{DNS_IP}:9154/metrics", timeout=5)).code:
                pass
        assert (await execute.run(client, f"curl -s http://{DNS_IP}:9153/metrics", timeout=5)).code == 7
        server.event("MODIFIED", {"kind": "ConfigMap", "metadata": meta, "data": {"Corefile": ".:53 {\n x\n}"}})
        (refused,) = [params["error"] for name, params in events if name == "corefile"]
        assert "line 2: plugin `x`" in refused
        written = "".join(params["text"] for name, params in events if name == "output" and params["uid"] == UID)
        assert written.startswith(".:53\n[INFO] plugin/reload: Running configuration SHA512 = ")
        assert written.count("[INFO] Reloading complete\n") == 2
        assert written.endswith(f"[ERROR] plugin/reload: Corefile changed but reload failed: {refused}\n")
        assert await output(client, "dig +short web.shop.svc.cluster.local") == "10.96.0.1\n"


@in_sandbox
async def test_start_and_stop() -> None:
    async with running() as (server, _, _events):
        again = {"name": "kube-system/coredns", "kind": "pod", "netns": "/run/netns/dns"}
        with pytest.raises(LabError, match="runs already"):
            await server.start_pod(again, UID)
        with pytest.raises(LabError, match=r"cannot listen: .*in use"):
            await server.start_pod(again, "other")
        with pytest.raises(NotFound, match="no DNS server"):
            server.queries("other")
        server.stop_pod("other")
        server.stop_pod(UID)
        with pytest.raises(ConnectionRefusedError):
            await exchange(dns.message.make_query("web.shop.svc.cluster.local.", "A").to_wire())
        await server.start_pod(again, UID)
        assert await exchange(dns.message.make_query("web.shop.svc.cluster.local.", "A").to_wire()) is not None
