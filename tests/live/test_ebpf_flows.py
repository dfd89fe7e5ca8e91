"""The ebpf mode in the kernel: what becomes of kube-proxy's packet flows, beside what the model says of the maps."""

import asyncio
from itertools import groupby

import pytest
from differences import selected
from ebpf_bed import KIND, Bed, Seen
from inside import in_sandbox
from packetflow import NODE_ADDRESSES, Case, cases
from selection import SELECTIONS, selection_packets, selection_view

from labkit.net.packet import split_endpoint
from labkit.proxy.ebpf.image import image
from labkit.proxy.ebpf.maps import MAPS
from labkit.trace.model.predict import predict

pytestmark = pytest.mark.sandbox("uml")  # the one kind whose kernel lets programs be loaded wherever the tests run


def test_flows(sandbox: str) -> None:
    for family in MAPS:
        image(family)  # compiled out here, where it is quick
    _flows()
    _selections()


async def _suite(flows: list[Case]) -> list[str]:
    bed = Bed.of(flows)
    await bed.mode.start()
    bed.serve()
    wrong = []
    try:
        for _, stage in groupby(flows, key=lambda case: case.stage):
            some = list(stage)
            await bed.mode.sync(some[0].view, None)
            plan = bed.mode.plan
            for case, seen in zip(some, await asyncio.gather(*map(bed.run, some)), strict=True):
                model = predict(plan, case.packet, node_addresses=NODE_ADDRESSES, from_node=case.from_node)
                wrong += _differences(case, seen, model.verdict, set(model.to), model.masquerade)
    finally:
        await bed.close()
    return wrong


def _differences(case: Case, seen: Seen, verdict: str, to: set[str], masquerade: bool | None) -> list[str]:
    found = []
    if verdict == "UNTOUCHED":
        if seen.to:
            found.append(f"{case}: no program has part in it, but {sorted(seen.to)} answered")
        return found
    if seen.verdict != verdict:
        found.append(f"{case} {case.flow['name']}: {seen.verdict}, the model says {verdict}")
    if seen.to != to and not (len(seen.to) == 1 and seen.to < to and case.sticky):
        found.append(f"{case} {case.flow['name']}: to {sorted(seen.to)}, the model says {sorted(to)}")
    sources = {case.flow["sourceIP"] == s for s in seen.sources}
    rewritten = {False: {True}, True: {False}, None: {True, False}}[masquerade]
    if seen.sources and not case.from_node and sources != rewritten:
        found.append(f"{case} {case.flow['name']}: seen from {sorted(seen.sources)}, masquerade={masquerade}")
    return found


@in_sandbox
async def _flows() -> None:
    wrong = []
    on_the_way = [c for c in cases("ebpf") if c.packet.protocol in KIND and c.packet.src != c.packet.dst]
    for _, flows in groupby(on_the_way, key=lambda case: case.suite["id"]):
        wrong += await _suite(list(flows))
    assert not wrong, "\n".join(wrong)


@in_sandbox
async def _selections() -> None:
    """kube-proxy's choice of endpoints, from a pod and from outside."""
    wrong = []
    for case in SELECTIONS:
        ends = {split_endpoint(e["address"])[0]: e["local"] for e in case["endpoints"]}
        here = [ip for ip, local in ends.items() if local]
        asked = list(selection_packets(case))
        inside, outside = asked[0][0].src, [packet.src for packet, _ in asked[1:]]
        bed = Bed(here, ends.keys() - set(here), [(80, "TCP")], [inside], outside)
        await bed.mode.start()
        bed.serve()
        await bed.mode.sync(selection_view(case), None)
        for packet, told in asked:
            wanted = selected("ebpf", case, packet, told)
            seen = await bed.tried(
                bed.pods if packet.src == inside else bed.world, packet, packet.src, set(wanted["to"])
            )
            if (seen.verdict, seen.to) != (wanted["verdict"], set(wanted["to"])):
                wrong.append(f"{case['id']}: {case['name']}: {packet} -> {wanted}, seen {seen}")
        await bed.close()
    assert not wrong, "\n".join(wrong)
