"""The emulation of kernelspace mode in the kernel: connections go as the load balancers of HNS would send them."""

from __future__ import annotations

import pytest
from inside import VARIANTS, in_sandbox
from proxy_bed import CLIENT, GATEWAY, NODE_IP, SERVERS, Bed, same, sees, service, slice_of

from labkit.errors import RuleError
from labkit.linux import iptables
from labkit.linux.iptables import Variant
from labkit.net.rules import Ruleset, parse
from labkit.proxy.config import ProxyConfig, Winkernel
from labkit.proxy.kernelspace.emulation import emulation
from labkit.proxy.kernelspace.mode import KernelspaceMode
from labkit.proxy.kernelspace.plan import plan

WEB, DNS, EMPTY, STICKY, LOCAL = (f"10.96.0.{n}" for n in range(20, 25))
SPREAD = {SERVERS[0]: "node-1", SERVERS[1]: "node-2", SERVERS[2]: "node-2"}  # all are here; two count as remote
SERVICES = [
    service("web", WEB, node_port=30080, externalIPs=["198.51.100.7"]),
    service("dns", DNS, "UDP"),
    service("empty", EMPTY),
    service("sticky", STICKY, sessionAffinity="ClientIP"),
    service("local", LOCAL, node_port=30081, externalTrafficPolicy="Local"),
]
SLICES = [slice_of("dns", SPREAD, "UDP"), *(slice_of(name, SPREAD) for name in ("web", "sticky", "local"))]
VIEW = sees(SERVICES, SLICES)


def in_kernel(bed: Bed, variant: Variant) -> Ruleset:
    return parse(iptables.save(bed.node, variant))


@VARIANTS
@in_sandbox
async def test_connections_go_as_hns_would_send_them(variant: str) -> None:
    bed, chosen = Bed(), Variant(variant)
    await bed.serve()
    before = in_kernel(bed, chosen)
    mode = KernelspaceMode(bed.node, variant=chosen, fresh=True)
    await mode.start()
    await mode.sync(VIEW, None)
    assert same(in_kernel(bed, chosen), emulation(VIEW))
    assert mode.plan == plan(VIEW)

    answers = await bed.asks(30, bed.client, WEB, 80)
    assert {server for server, _ in answers} == set(SERVERS)
    assert {client for _, client in answers} == {GATEWAY}, "without DSR the source becomes the node's"
    for where, address, port in ((bed.client, NODE_IP, 30080), (bed.node, WEB, 80), (bed.client, "198.51.100.7", 80)):
        assert {server for server, _ in await bed.asks(30, where, address, port)} == set(SERVERS)
    assert {server for server, _ in await bed.asks(30, bed.client, DNS, 80, udp=True)} == set(SERVERS)
    assert len({server for server, _ in await bed.asks(10, bed.client, STICKY, 80)}) == 1
    assert await bed.asks(3, bed.client, NODE_IP, 30081) == [(SERVERS[0], CLIENT)] * 3, "this node's alone, source kept"
    assert (await bed.ask(bed.pods[1].netns, NODE_IP, 30081)) == (SERVERS[0], GATEWAY), "a pod that reaches itself"
    with pytest.raises(ConnectionRefusedError):
        await bed.ask(bed.node, "127.0.0.1", 30080)

    direct = ProxyConfig(winkernel=Winkernel(enable_dsr=True))
    await mode.stop()
    assert same(in_kernel(bed, chosen), before)
    mode = KernelspaceMode(bed.node, direct, chosen)
    await mode.sync(VIEW, None)
    assert {client for _, client in await bed.asks(10, bed.client, WEB, 80)} == {CLIENT}
    await mode.stop()


@pytest.mark.sandbox("namespaces")  # the other one's iptables-legacy is this one's
@VARIANTS
@in_sandbox
async def test_changes_and_repairs_leave_the_rules_of_a_fresh_start(variant: str) -> None:
    bed, chosen = Bed(), Variant(variant)
    mode = KernelspaceMode(bed.node, variant=chosen, fresh=True)
    await mode.sync(sees(SERVICES[:1], SLICES), None)
    text = await mode.sync(VIEW, {s for s in VIEW.keys if s[0] != "shop/web"})
    assert "shop/web" not in text and same(in_kernel(bed, chosen), emulation(VIEW))
    fewer = sees(SERVICES, [slice_of("web", {SERVERS[0]: "node-1"})])
    await mode.sync(fewer, set(VIEW.keys))
    assert same(in_kernel(bed, chosen), emulation(fewer))
    bed.run(f"iptables-{variant}", "-t", "nat", "-F", "LABKIT-HNS-LB")
    with pytest.raises(RuleError, match="LABKIT-HNS-LB"):
        await mode.sync(sees([], []), set(VIEW.keys))
    await mode.sync(fewer, set(VIEW.keys))
    assert same(in_kernel(bed, chosen), emulation(fewer))
    bed.run(f"iptables-{variant}", "-t", "nat", "-F", "POSTROUTING")
    await mode.sync(fewer, None)
    assert same(in_kernel(bed, chosen), emulation(fewer))
