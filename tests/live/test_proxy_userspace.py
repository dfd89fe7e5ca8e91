"""kube-proxy's userspace mode on one node: its rules in the kernel, its process, and connections through both."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections import Counter
from pathlib import Path

import pytest
from inside import VARIANTS, in_sandbox
from proxy_bed import CLIENT, GATEWAY, NODE_IP, SERVERS, Bed, same, sees, service, slice_of

from labkit.errors import RuleError
from labkit.linux import conntrack, iptables, netns
from labkit.linux.iptables import Variant
from labkit.net.rules import Ruleset, parse
from labkit.proxy.proxier import Proxier
from labkit.proxy.userspace.mode import UserspaceMode

WEB, DNS, EMPTY, STICKY, OUT = "10.96.0.20", "10.96.0.21", "10.96.0.22", "10.96.0.23", "198.51.100.7"
HERE = dict.fromkeys(SERVERS, "node-1")
WEB_SERVICE = service("web", WEB, node_port=30080, externalIPs=[OUT, NODE_IP])
SERVICES = [WEB_SERVICE, service("dns", DNS, "UDP", node_port=30053), service("empty", EMPTY)]
QUICK = pytest.mark.sandbox("namespaces")  # a process takes a second to start in the other, and does nothing else there
SLICES = [slice_of("web", HERE), slice_of("dns", HERE, "UDP")]


def in_kernel(bed: Bed, variant: Variant) -> Ruleset:
    return parse(iptables.save(bed.node, variant))


def listeners(bed: Bed) -> Counter[str]:
    """The process's sockets on the node that listen or are bound, by protocol."""
    return Counter(line.split()[0] for line in bed.run("ss", "-Hlntu").splitlines())


async def ended(pid: int) -> None:
    """Wait until a child of ours is dead, its sockets closed; nobody has reaped it yet."""
    async with asyncio.timeout(5):
        while Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] != "Z":
            await asyncio.sleep(0.005)


@VARIANTS
@in_sandbox
async def test_connections_go_round_through_the_process(variant: str) -> None:
    bed, chosen = Bed(), Variant(variant)
    await bed.serve()
    mode = UserspaceMode(bed.node, variant=chosen, fresh=True)
    await mode.start()
    await mode.sync(sees(SERVICES, SLICES), None)
    assert same(in_kernel(bed, chosen), mode.plan.rules)
    assert str(mode.plan).count("--to-ports") == 2 + 2 * 2 + 1 + 2

    answers = await bed.asks(6, bed.client, WEB, 80)
    assert sorted(server for server, _ in answers[:3]) == list(SERVERS)
    assert answers[3:] == answers[:3], "each has its turn, in the same order"
    assert {client for _, client in answers} == {GATEWAY}, "pods see the node, not who asked"
    for where, address, port in (
        (bed.node, WEB, 80),
        (bed.client, NODE_IP, 30080),
        (bed.node, "127.0.0.1", 30080),
        (bed.client, OUT, 80),
        (bed.node, NODE_IP, 80),
    ):
        assert {server for server, _ in await bed.asks(3, where, address, port)} == set(SERVERS), (address, port)
    for where, address, port in ((bed.client, DNS, 80), (bed.node, DNS, 80), (bed.client, NODE_IP, 30053)):
        assert {server for server, _ in await bed.asks(3, where, address, port, udp=True)} == set(SERVERS)
    kept = await bed.asks(3, bed.client, DNS, 80, udp=True, source=45000)
    assert len({server for server, _ in kept}) == 1, "a client of UDP has one endpoint until it is silent"
    assert await bed.ask(bed.client, EMPTY, 80) == ()

    client, own = f"{CLIENT}:45000", next(p for p in mode.plan.portals if p.frontend.name == "shop/dns").proxy_port
    passed_on = await mode.relayed("udp", [(client, f"{GATEWAY}:{own}"), (client, f"{GATEWAY}:1")])
    assert passed_on == [f"{kept[0][0]}:8080", ""], "the process knows where it went"

    counters = await mode.counters()
    assert (counters["shop/web/tcp"].accepted, counters["shop/web/tcp"].failed) == (6 + 5 * 3, 0)
    assert (counters["shop/empty/tcp"].accepted, counters["shop/empty/tcp"].failed) == (1, 1)
    flows = conntrack.dump(bed.node, socket.IPPROTO_TCP)
    led = [f for f in flows if f.original.dst == WEB and f.original.src == CLIENT]
    onwards = [f for f in flows if f.original.dst in SERVERS]
    assert {f.reply.src for f in led} == {GATEWAY}
    assert len(led) == 6 and len(onwards) >= 6, "two connections of each one"

    sticky = service("sticky", STICKY, sessionAffinity="ClientIP")
    ends = slice_of("sticky", {"10.244.1.99": "node-1", **HERE})
    await mode.sync(sees([*SERVICES, sticky], [*SLICES, ends]), {("shop/sticky", "tcp")})
    kept = await bed.asks(8, bed.client, STICKY, 80)
    assert len({server for server, _ in kept}) == 1 and kept[0][0] in SERVERS, "one that is not there is passed over"
    await mode.stop()


@QUICK
@VARIANTS
@in_sandbox
async def test_changes_failures_and_the_end(variant: str) -> None:
    bed, chosen = Bed(), Variant(variant)
    await bed.serve()
    before = in_kernel(bed, chosen)
    mode = UserspaceMode(bed.node, variant=chosen, fresh=True)
    await mode.sync(sees(SERVICES[:1], SLICES), None)
    ports = {p.frontend.name: p.proxy_port for p in mode.plan.portals}

    text = await mode.sync(sees(SERVICES, SLICES), {("shop/dns", "udp")})
    assert text.count("-I KUBE-PORTALS-CONTAINER") == 1 and "shop/web" not in text
    assert same(in_kernel(bed, chosen), mode.plan.rules)
    one = slice_of("web", {SERVERS[1]: "node-1"})
    assert await mode.sync(sees(SERVICES, [one, SLICES[1]]), {("shop/web", "tcp")}) == "", "the process is told alone"
    assert {server for server, _ in await bed.asks(3, bed.client, WEB, 80)} == {SERVERS[1]}
    assert {p.frontend.name: p.proxy_port for p in mode.plan.portals}["shop/web"] == ports["shop/web"]

    # What the kernel knows of a UDP client leads to the process, whichever endpoints there are.
    proxier = Proxier(bed.node, mode)
    await proxier.sync(sees(SERVICES, SLICES), {("shop/dns", "udp")})
    assert await bed.ask(bed.client, DNS, 80, udp=True, source=45001)
    await proxier.sync(sees(SERVICES, [one, slice_of("dns", {SERVERS[0]: "node-1"}, "UDP")]), {("shop/dns", "udp")})
    flows = [f.original for f in conntrack.dump(bed.node, socket.IPPROTO_UDP)]
    assert any((f.src, f.sport, f.dst) == (CLIENT, 45001, DNS) for f in flows)

    # A UDP client with a port of its own is led anew when its Service comes back at another port of the process.
    assert await bed.ask(bed.client, DNS, 80, udp=True, source=45000)
    await mode.sync(sees(SERVICES[:1], SLICES), {("shop/dns", "udp")})
    assert listeners(bed) == {"tcp": 3}, "the port of web, its NodePort and its external IP, which is the node's"
    await mode.sync(sees(SERVICES, SLICES), {("shop/dns", "udp")})
    assert await bed.ask(bed.client, DNS, 80, udp=True, source=45000)

    bed.run(f"iptables-{variant}", "-t", "nat", "-F", "KUBE-PORTALS-CONTAINER")
    await mode.sync(sees(SERVICES, SLICES), None)
    assert same(in_kernel(bed, chosen), mode.plan.rules)

    pid = mode.pid
    os.kill(pid, signal.SIGKILL)
    await ended(pid)
    with pytest.raises(ConnectionRefusedError):
        await bed.ask(bed.client, WEB, 80)
    await mode.sync(sees(SERVICES, SLICES), set())
    assert {server for server, _ in await bed.asks(3, bed.client, WEB, 80)} == set(SERVERS)
    assert same(in_kernel(bed, chosen), mode.plan.rules)

    pid = mode.pid
    await mode.stop()
    assert same(in_kernel(bed, chosen), before)
    assert not Path(f"/proc/{pid}/exe").exists() and not listeners(bed)


@QUICK
@in_sandbox
async def test_a_node_port_that_a_program_has_is_left_to_it(variant: str = "legacy") -> None:
    bed, chosen = Bed(), Variant(variant)
    await bed.serve()
    with netns.socket_in(bed.node, socket.AF_INET, socket.SOCK_STREAM) as taken:
        taken.bind(("", 30080))
        taken.listen()
        mode = UserspaceMode(bed.node, variant=chosen, fresh=True)
        await mode.sync(sees(SERVICES, SLICES), None)
        assert "--dport 30080" not in str(mode.plan) and "--dport 30053" in str(mode.plan)
        assert (await bed.ask(bed.client, WEB, 80))[0] in SERVERS
        with netns.socket_in(bed.node, socket.AF_INET, socket.SOCK_DGRAM) as other, pytest.raises(OSError, match="use"):
            other.bind(("", 30053))
    await mode.sync(sees(SERVICES, SLICES), None)
    assert (await bed.ask(bed.client, NODE_IP, 30080))[0] in SERVERS
    await mode.stop()


@QUICK
@VARIANTS
@in_sandbox
async def test_a_refused_rule_is_told_and_healed(variant: str) -> None:
    bed, chosen = Bed(), Variant(variant)
    mode = UserspaceMode(bed.node, variant=chosen, fresh=True)
    await mode.sync(sees(SERVICES, SLICES), None)
    # Somebody has put the rules in a chain of the same name out of the way, so that positions do not fit.
    bed.run(f"iptables-{variant}", "-t", "nat", "-F", "KUBE-PORTALS-HOST")
    with pytest.raises(RuleError, match="KUBE-PORTALS-HOST"):
        await mode.sync(sees(SERVICES[1:], SLICES), {("shop/web", "tcp")})
    await mode.sync(sees(SERVICES[1:], SLICES), set())
    assert same(in_kernel(bed, chosen), mode.plan.rules)
    await mode.stop()
