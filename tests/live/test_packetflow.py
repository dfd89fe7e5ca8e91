"""kube-proxy's own packet-flow expectations, and its choice of endpoints: in the kernel, in each mode that has it."""

from collections.abc import Callable, Iterable
from itertools import groupby
from typing import Any

import pytest
from differences import expected, from_node, selected
from inside import NFT, in_sandbox
from packet_bed import Fate, PacketBed
from packetflow import NODE_ADDRESSES, Case, cases
from selection import SELECTIONS, selection_packets, selection_view

from labkit.linux.iptables import Variant
from labkit.proxy.config import ProxyConfig
from labkit.proxy.iptables.mode import IptablesMode
from labkit.proxy.ipvs.mode import IpvsMode
from labkit.proxy.kernelspace.mode import KernelspaceMode
from labkit.proxy.mode import Mode
from labkit.proxy.nftables.mode import NftablesMode

MODES: dict[str, Callable[[str, ProxyConfig], Mode]] = {
    "iptables": lambda path, config: IptablesMode(path, config, Variant.LEGACY, fresh=True),
    "nftables": NftablesMode,
    "ipvs": lambda path, config: IpvsMode(path, config, Variant.LEGACY, fresh=True),
}
FLOWS: dict[str, Callable[[str, ProxyConfig], Mode]] = {
    **MODES,
    "kernelspace": lambda path, config: KernelspaceMode(path, config, Variant.LEGACY, fresh=True),
}
IPVS = pytest.mark.sandbox("uml")  # most machines' own kernels have none; it takes its time there


def each(modes: Iterable[str]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("mode", [pytest.param(m, marks=IPVS if m == "ipvs" else NFT) for m in modes])


@each(FLOWS)
@in_sandbox
async def test_flows(mode: str) -> None:
    bed, failures = PacketBed(sorted(NODE_ADDRESSES)), []
    for config, its_cases in groupby(cases(mode), key=lambda case: case.config):
        made = FLOWS[mode](bed.path, config)
        await made.start()
        for _, flows in groupby(its_cases, key=lambda case: (case.suite["id"], case.stage)):
            failures += await _failures(bed, made, mode, list(flows))
        await made.stop()
    assert not failures, "\n".join(failures)


async def _failures(bed: PacketBed, made: Mode, mode: str, flows: list[Case]) -> list[str]:
    """What goes wrong with the flows of one stage of a suite, on a node that had other Services before."""
    await made.sync(flows[0].view, None)
    if flows[0].family == "IPv6":
        await bed.settled()
    failures = []
    for case in flows:
        wanted = expected(mode, case)
        found = bed.fates(case.packet, from_node(mode, case), max(len(wanted.get("to", ())), 1))
        failures += [] if _as(wanted, found) else [f"{case}: {case.flow['name']}: {wanted}, seen {found}"]
    return failures


@each(MODES)
@in_sandbox
async def test_the_endpoints_that_a_node_uses(mode: str) -> None:
    bed, failures = PacketBed(["192.168.0.2"]), []
    made = MODES[mode](bed.path, ProxyConfig())
    await made.start()
    for case in SELECTIONS:
        await made.sync(selection_view(case), None)
        for packet, told in selection_packets(case):
            wanted = selected(mode, case, packet, told)
            found = bed.fates(packet, False, max(len(wanted["to"]), 1))
            right = _as(wanted, found)
            failures += [] if right else [f"{case['id']}: {case['name']}: {packet} -> {wanted}, seen {found}"]
    assert not failures, "\n".join(failures)


def _as(wanted: dict[str, Any], found: set[Fate]) -> bool:
    """Whether that is what was wanted. What a proxy accepts or leaves alone looks the same."""
    verdict = "PASSED" if wanted["verdict"] in ("UNTOUCHED", "ACCEPT") else wanted["verdict"]
    sources = {wanted["masquerade"]} if "masquerade" in wanted else {fate.masquerade for fate in found}
    return (
        {fate.verdict for fate in found} == {verdict}
        and {fate.to for fate in found if fate.to} == set(wanted.get("to", ()))
        and {fate.masquerade for fate in found} == sources
    )
