"""The live tracer in the kernel: both ways of asking for rules, both ways to wire pods, every kind of flow."""

from __future__ import annotations

import asyncio
import socket
from itertools import pairwise
from typing import Any

import pytest
from inside import NFT, VARIANTS, in_sandbox
from trace_bed import EMPTY, NODE_PORT, SERVICES, Bed, taken

from labkit.linux import iptables, netns
from labkit.linux.iptables import Variant
from labkit.net.path import PacketPath
from labkit.net.rules import parse
from labkit.trace.agree import agree
from labkit.trace.capture import Capture
from labkit.trace.model.predict import predict
from labkit.trace.tracer import Tracer

NODE_1 = "172.18.1.11"
FAR = "10.244.3.4"


def names(path: PacketPath, way: str) -> list[str]:
    """The places that the packet crossed, each once in a row."""
    places = [hop.place for hop in getattr(path, way)]
    return [p for i, p in enumerate(places) if not i or places[i - 1] != p]


def well_formed(path: PacketPath, source: str) -> None:
    """What holds for every path with an answer."""
    assert path.lost == 0, path.lost
    assert path.request[0].place == path.reply[-1].place == source
    assert (path.request[0].direction, path.reply[-1].direction) == ("out", "in")
    assert names(path, "reply") == names(path, "request")[::-1]
    for hops in (path.request, path.reply):
        for before, after in pairwise(hops):
            assert before.time_ns <= after.time_ns
            if before.place != after.place:
                assert (before.direction, after.direction) == ("out", "in")
                assert before.packet == after.packet, "nothing is rewritten on a wire"


async def _service(bed: Bed, tracer: Tracer, name: str) -> PacketPath:
    path = await taken(bed, tracer, "client", SERVICES[name])
    well_formed(path, "client")
    assert path.outcome == "200"
    assert (path.packet.dst, path.packet.dport) == (SERVICES[name], 80)
    assert path.request[-1].packet.dst == bed.places[name].addresses[0]
    assert path.request[-1].packet.dport == 8080
    there, *_, back = path.rewrites
    assert (there.place, there.hook, there.action, there.before) == ("node-1", "PREROUTING", "DNAT", path.packet)
    assert f"-j DNAT --to-destination {bed.places[name].addresses[0]}:8080" in there.rule
    assert (back.place, back.hook, back.action, back.after) == ("node-1", "POSTROUTING", "SNAT", path.packet.reversed())
    chains = [hit.chain for hit in path.rules if hit.place == "node-1" and hit.table == "nat" and hit.text]
    assert [c[:8] for c in chains[:4]] == ["PREROUTI", "KUBE-SER", "KUBE-SVC", "KUBE-SEP"]
    assert path.conntrack[0].place == "node-1"
    assert path.conntrack[0].original == path.packet
    return path


@VARIANTS
@pytest.mark.parametrize("cni", ["ptp", "bridge"])
@in_sandbox
async def test_every_kind_of_flow(cni: str, variant: str) -> None:
    bed = Bed(cni, Variant(variant))
    await bed.serve()
    tracer = Tracer(bed.variant)

    near = await _service(bed, tracer, "near")
    assert names(near, "request") == ["client", "node-1", "near"]
    far = await _service(bed, tracer, "far")
    assert names(far, "request") == ["client", "node-1", "s-a", "node-3", "far"]
    assert {hit.place for hit in far.rules} == {"node-1", "node-3"}
    abroad = await _service(bed, tracer, "abroad")
    assert names(abroad, "request") == ["client", "node-1", "s-a", "router", "s-b", "node-2", "abroad"]

    itself = await _service(bed, tracer, "client")
    assert names(itself, "request") == ["client", "node-1", "client"]
    assert [(r.hook, r.action) for r in itself.rewrites[:2]] == [("PREROUTING", "DNAT"), ("POSTROUTING", "SNAT")]
    assert "MASQUERADE" in itself.rewrites[1].rule
    assert itself.request[-1].packet.src == "10.244.1.1"

    direct = await taken(bed, tracer, "client", FAR, 8080)
    well_formed(direct, "client")
    assert direct.rewrites == ()
    assert {hop.packet for hop in direct.request} == {direct.packet}

    outside = await taken(bed, tracer, "client", "203.0.113.10", 8080)
    well_formed(outside, "client")
    assert names(outside, "request") == ["client", "node-1", "s-a", "router", "internet"]
    assert [(r.place, r.action, r.after.src) for r in outside.rewrites[:1]] == [("node-1", "SNAT", NODE_1)]
    assert "must be last in chain" in outside.rewrites[0].rule

    inwards = await taken(bed, tracer, "internet", NODE_1, NODE_PORT)
    well_formed(inwards, "internet")
    assert names(inwards, "request")[:4] == ["internet", "router", "s-a", "node-1"]
    assert names(inwards, "request")[-2:] == ["node-2", "abroad"]
    assert [(r.place, r.action) for r in inwards.rewrites[:2]] == [("node-1", "DNAT"), ("node-1", "SNAT")]

    datagram = await taken(bed, tracer, "client", SERVICES["far"], 80, "udp")
    well_formed(datagram, "client")
    assert names(datagram, "request") == ["client", "node-1", "s-a", "node-3", "far"]
    assert datagram.outcome == "answered"


@VARIANTS
@in_sandbox
async def test_sent_by_a_node(variant: str) -> None:
    bed = Bed("ptp", Variant(variant))
    await bed.serve()
    path = await taken(bed, Tracer(bed.variant), "node-1", SERVICES["far"])
    well_formed(path, "node-1")
    assert (path.packet.src, path.packet.dst) == (NODE_1, SERVICES["far"])
    assert [(r.hook, r.action) for r in path.rewrites] == [
        ("OUTPUT", "DNAT"), ("POSTROUTING", "SNAT"), ("PREROUTING", "DNAT"), ("INPUT", "SNAT"),
    ]  # fmt: skip
    assert [hit.chain for hit in path.rules if "-j MASQUERADE" in hit.text] == ["KUBE-POSTROUTING"]


@VARIANTS
@in_sandbox
async def test_rejected_and_dropped(variant: str) -> None:
    bed = Bed("ptp", Variant(variant))
    await bed.serve()
    tracer = Tracer(bed.variant)
    for source in ("client", "node-1"):
        path = await taken(bed, tracer, source, EMPTY)
        assert path.outcome == "rejected by rule 1 of KUBE-SERVICES (filter) on node-1"
        assert path.rules[-1].text.endswith("-j REJECT --reject-with icmp-port-unreachable")
        assert path.reply[-1].packet.protocol == "ICMP"
        assert (path.packet.dst, path.conntrack) == (EMPTY, ())
    iptables.restore(
        bed.places["node-3"].netns, "*filter\n-I FORWARD -p tcp --dport 8080 -j DROP\nCOMMIT\n", bed.variant
    )
    path = await taken(bed, tracer, "client", SERVICES["far"], timeout=0.2)
    assert path.outcome == "dropped by rule 1 of FORWARD (filter) on node-3"
    assert names(path, "request") == ["client", "node-1", "s-a", "node-3"]
    assert path.reply == ()
    iptables.restore(bed.places["node-2"].netns, "*filter\n:FORWARD DROP\nCOMMIT\n", bed.variant)
    path = await taken(bed, tracer, "client", SERVICES["abroad"], timeout=0.2)
    assert path.outcome == "dropped by the policy of FORWARD (filter) on node-2"


@NFT
@in_sandbox
async def test_variants_report_the_same_rules() -> None:
    """Conformance: two beds with equal rules, one of each variant, give equal hits."""
    flows = [
        ("client", SERVICES["far"], 80, "tcp"),
        ("client", SERVICES["client"], 80, "udp"),
        ("client", EMPTY, 80, "tcp"),
    ]
    found: dict[str, list[Any]] = {}
    for variant in Variant:
        bed = Bed("ptp", variant)
        await bed.serve()
        for machine in bed.site.machines:  # rules of the user's own in the table that legacy marks packets in
            lines = ["*raw", ":MINE - [0:0]", "-A PREROUTING -p tcp -j MINE", "-A PREROUTING -p udp -j MINE"]
            own = "\n".join([*lines, "-A MINE -s 1.2.3.4", "COMMIT", ""])
            iptables.restore(bed.places[machine.name].netns, own, variant)
        paths = [await taken(bed, Tracer(variant), *flow) for flow in flows]
        found[variant.value] = [path.rules for path in paths]
        bed.close()
        bed.datacenter.net.stop()
        for name in ("client", "near", "far", "abroad"):
            netns.delete(bed.places[name].netns)
    assert found["nft"] == found["legacy"]
    raw = [(hit.chain, hit.number) for hit in found["nft"][1] if hit.table == "raw"]
    assert raw == [("PREROUTING", 2), ("MINE", 2), ("PREROUTING", 3)]
    assert all(found["nft"])


@VARIANTS
@in_sandbox
async def test_model_and_kernel_agree(variant: str) -> None:
    bed = Bed("ptp", Variant(variant))
    await bed.serve(masquerading=False)
    tracer = Tracer(bed.variant)
    rules = parse(iptables.save(bed.places["node-1"].netns, bed.variant))
    flows = [("client", address, 80) for address in (*SERVICES.values(), EMPTY, FAR)]
    for source, address, port in (*flows, ("node-1", SERVICES["far"], 80), ("internet", NODE_1, NODE_PORT)):
        path = await taken(bed, tracer, source, address, 8080 if address == FAR else port)
        own = {NODE_1, "10.244.1.1"}
        prediction = predict(rules, path.packet, place="node-1", node_addresses=own, from_node=source == "node-1")
        assert agree(path, prediction, "node-1") == []
        wrong = predict(rules, path.packet, place="node-1", from_node=source != "node-1")
        assert agree(path, wrong, "node-1") != []


@pytest.mark.sandbox("namespaces")  # User-Mode Linux has one CPU for load and capture: frames are lost, and it says so
@VARIANTS
@in_sandbox
async def test_under_load(variant: str) -> None:
    """Other connections of the same pod to the same Service do not get into the path."""
    bed = Bed("ptp", Variant(variant))
    await bed.serve()
    tracer = Tracer(bed.variant)
    done = asyncio.Event()

    async def load() -> int:
        number = 0
        while not done.is_set():
            assert (await bed.request("client", SERVICES["far"], 80)())["status"] == 200
            number += 1
        return number

    tasks = [asyncio.create_task(load()) for _ in range(4)]
    paths = [await taken(bed, tracer, "client", SERVICES["far"]) for _ in range(5)]
    done.set()
    assert sum(await asyncio.gather(*tasks)) > 20
    assert len({path.packet.sport for path in paths}) == 5
    for path in paths:
        well_formed(path, "client")
        assert len(path.request) == 8
        assert len({(h.place, h.table, h.chain, h.number) for h in path.rules}) == len(path.rules)


@in_sandbox
async def test_lost_frames_are_counted() -> None:
    bed = Bed("ptp", Variant.NFT)
    capture = Capture([bed.places["client"]])
    capture.taps[0].socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    with netns.socket_in(bed.places["client"].netns, socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for _ in range(200):
            sock.sendto(b"x", ("127.0.0.1", 9))
    seen, lost = capture.finish()
    capture.close()
    udp = [s for s in seen if s.frame.packet.protocol == "UDP"]
    assert lost > 0
    assert len(udp) + lost >= 400  # each goes out of lo and comes in
