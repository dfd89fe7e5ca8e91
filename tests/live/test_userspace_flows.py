"""kube-proxy's packet-flow expectations in userspace mode: real connections through the rules and the process."""

from __future__ import annotations

import pytest
from answer_bed import AnswerBed
from differences import expected
from inside import in_sandbox
from packet_bed import Fate, PacketBed
from packetflow import NODE_ADDRESSES, Case, cases

from labkit.linux.iptables import Variant
from labkit.proxy.userspace.mode import UserspaceMode

HELD = [c for c in cases("userspace") if c.packet.protocol != "SCTP"]
PORTS = {53, 80, 443, 5353, 8443}
SEEN = {"UNTOUCHED": "PASSED", "ACCEPT": "TAKEN"}


@pytest.mark.sandbox("namespaces")  # some hundred connections, which take a minute in the other
@in_sandbox
async def test_flows() -> None:
    bed = AnswerBed(sorted(NODE_ADDRESSES), PORTS)
    modes = {}
    for family in ("IPv4", "IPv6"):
        config = next(c.config for c in HELD if c.family == family)
        modes[family] = UserspaceMode(bed.path, config, Variant.LEGACY, fresh=True)
    failures, last = [], None
    for case in HELD:
        if (case.suite, case.stage) != last:
            await modes[case.family].sync(case.view, None)
            last = (case.suite, case.stage)
        failures += await _differences(bed, case)
    for mode in modes.values():
        await mode.stop()
    assert not failures, "\n".join(failures)


@pytest.mark.sandbox("namespaces")  # what holds for its kernel's packets holds for the other's
@in_sandbox
async def test_sctp_is_left_alone() -> None:
    """Not every kernel has sockets of it: here a packet is enough, for no rule may concern it."""
    (case,) = (c for c in cases("userspace") if c.packet.protocol == "SCTP")
    bed = PacketBed(sorted(NODE_ADDRESSES))
    mode = UserspaceMode(bed.path, case.config, Variant.LEGACY, fresh=True)
    await mode.sync(case.view, None)
    found = bed.fates(case.packet, case.from_node, 1)
    await mode.stop()
    assert (expected("userspace", case)["verdict"], found) == ("UNTOUCHED", {Fate("PASSED")})


async def _differences(bed: AnswerBed, case: Case) -> list[str]:
    wanted = expected("userspace", case)
    to = set(wanted.get("to", ()))
    found = await bed.fates(case.packet, case.from_node, len(to))
    verdict = SEEN.get(wanted["verdict"], wanted["verdict"])
    right = {fate.verdict for fate in found} == {verdict} and {fate.to for fate in found if fate.to} == to
    seen = {fate.masquerade for fate in found} == {wanted.get("masquerade", False)}
    return [] if right and seen else [f"{case}: {case.flow['name']}: {wanted}, seen {found}"]
