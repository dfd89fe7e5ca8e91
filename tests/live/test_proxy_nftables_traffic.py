"""Packets through kube-proxy's nftables table while it changes, and clients that keep their endpoint."""

import asyncio
from typing import Any

from inside import NFT, in_sandbox
from packet_bed import PacketBed

from labkit.linux.nftables.kernel import NfTables
from labkit.linux.nftables.read import elements
from labkit.net.nft import NamedSet
from labkit.net.packet import Packet
from labkit.proxy.config import ProxyConfig
from labkit.proxy.mode import View
from labkit.proxy.model import Backend, Frontend, Port
from labkit.proxy.nftables.mode import NftablesMode
from labkit.trace.model.predict import predict

pytestmark = NFT  # User-Mode Linux has no nf_tables for IP packets

NODE = "192.168.0.2"
LAST = ("ns/svc-021", "tcp")  # comes and goes
CONFIG = ProxyConfig(service_cidrs=("10.96.0.0/12",))


def ports(ends: range, others: int = 0, **more: Any) -> View:
    """A Service with these endpoints, and others beside it."""
    found = {}
    for number in range(others + 1):
        frontend = Frontend(
            f"ns/svc-{number:03}", "tcp", f"10.96.0.{number + 20}", 80, node_port=30080 + number, **more
        )
        known = tuple(Backend(f"10.244.{number}.{n}:80", f"10.244.{number}.{n}", "elsewhere") for n in ends)
        found[frontend.key] = Port(frontend, known)
    return View(found, [*found], len(found) * len(ends), "this-node", "", (NODE,))


def packet(client: int, port: int, dport: int = 80, service: int = 0) -> Packet:
    to = f"10.96.0.{service + 20}" if dport == 80 else NODE
    return Packet(f"10.244.99.{client}", to, "TCP", port, dport)


@in_sandbox
async def test_every_packet_finds_an_endpoint_while_endpoints_are_replaced() -> None:
    """In many transactions, as where a small buffer allows no large ones: each of them leaves all Services whole."""
    bed, sent = PacketBed([NODE]), 0
    mode = NftablesMode(bed.path, CONFIG, most=2500)
    await mode.sync(ports(range(1, 11), others=20), None)
    for step in range(8):
        view = ports(range(1 + 5 * step, 11 + 5 * step), others=20 + step % 2)
        changing = asyncio.create_task(mode.sync(view, None if step % 4 == 3 else view.ports.keys() | {LAST}))
        while not changing.done() or sent < 10:
            which = sent % 20
            for one in (packet(2, 10000 + sent, service=which), packet(3, 10000 + sent, 30080 + which)):
                fate = bed.fate(one, from_node=False)
                assert fate.verdict == "DNAT", (step, one, fate)
                assert fate.to.startswith(f"10.244.{which}."), fate
            sent += 1
            await asyncio.sleep(0)
        await changing
    assert sent > 20


@in_sandbox
async def test_a_client_keeps_its_endpoint() -> None:
    bed = PacketBed([NODE])
    mode, view = NftablesMode(bed.path, CONFIG), ports(range(1, 7), affinity_seconds=10800)
    await mode.sync(view, None)
    first = {client: bed.fate(packet(client, 10000), from_node=False).to for client in range(100, 130)}
    assert len(set(first.values())) > 1, "other clients may get other endpoints"
    for client, to in first.items():
        for port in (10001, 10002):
            assert bed.fate(packet(client, port), from_node=False).to == to
        assert bed.fate(packet(client, 10003, 30080), from_node=False).to == to, "by whichever address"
    held = {one.name: _clients(bed.path, one.name) for one in mode.plan.sets if one.name.startswith("affinity-")}
    assert sum(map(len, held.values())) == len(first)
    for client, to in first.items():
        remembered = {name for name, clients in held.items() if f"10.244.99.{client}" in clients}
        assert predict(mode.plan, packet(client, 10004), remembered=remembered).to == {to: 1.0}
    assert await mode.sync(view, None) == "", "whom packets remember is not kube-proxy's to change"
    assert await mode.sync(view, view.ports.keys()) == ""
    assert bed.fate(packet(100, 10005), from_node=False).to == first[100]
    # Its endpoint goes: it gets another one, and keeps that.
    gone = int(first[100].rpartition(".")[2].partition(":")[0])
    fewer = ports(range(gone + 1, gone + 5), affinity_seconds=10800)
    await mode.sync(fewer, fewer.ports.keys())
    other = bed.fate(packet(100, 10006), from_node=False).to
    assert other != first[100]
    assert {bed.fate(packet(100, 10007 + n), from_node=False).to for n in range(8)} == {other}


def _clients(path: str, name: str) -> set[str]:
    """Who is in a set."""
    with NfTables(path, "ip") as kernel:
        found = elements(kernel, "kube-proxy", [NamedSet(name, ("ipv4_addr",))])
    return {client for _, (client,) in found}
