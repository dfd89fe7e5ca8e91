"""kube-proxy's own packet-flow expectations, and its choice of endpoints: in the kernel, in each mode that has it."""

from collections.abc import Callable
from typing import Any

import pytest
from differences import expected
from inside import NFT, in_sandbox
from packet_bed import Fate, PacketBed
from packetflow import NODE_ADDRESSES, cases
from selection import SELECTIONS, selection_packets, selection_view

from labkit.linux.iptables import Variant
from labkit.proxy.config import ProxyConfig
from labkit.proxy.iptables.mode import IptablesMode
from labkit.proxy.mode import Mode
from labkit.proxy.nftables.mode import NftablesMode

MODES: dict[str, Callable[[str, ProxyConfig], Mode]] = {
    "iptables": lambda path, config: IptablesMode(path, config, Variant.LEGACY, fresh=True),
    "nftables": NftablesMode,
}
EACH = pytest.mark.parametrize("mode", MODES)
pytestmark = NFT  # a kernel of its own has no nftables mode, and takes half a minute for another's flows


@EACH
@in_sandbox
async def test_flows(mode: str) -> None:
    bed, failures, running = PacketBed(sorted(NODE_ADDRESSES)), [], None
    for case in cases(mode):
        if running is None or (case.suite, case.stage) != running[1]:
            if running:
                await running[0].stop()
            made = MODES[mode](bed.path, case.config)
            await made.start()
            await made.sync(case.view, None)
            running = made, (case.suite, case.stage)
        wanted = expected(mode, case)
        found = bed.fates(case.packet, case.from_node, max(len(wanted.get("to", ())), 1))
        failures += [] if _as(wanted, found) else [f"{case}: {case.flow['name']}: {wanted}, seen {found}"]
    assert not failures, "\n".join(failures)


@EACH
@in_sandbox
async def test_the_endpoints_that_a_node_uses(mode: str) -> None:
    bed, failures = PacketBed(["192.168.0.2"]), []
    made = MODES[mode](bed.path, ProxyConfig())
    await made.start()
    for case in SELECTIONS:
        await made.sync(selection_view(case), None)
        for packet, wanted in selection_packets(case):
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
