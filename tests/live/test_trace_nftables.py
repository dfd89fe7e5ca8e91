"""The live tracer where kube-proxy's rules are nf_tables' own: named as `nft` lists them, and as the model predicts."""

import pytest
from inside import NFT, in_sandbox
from trace_bed import EMPTY, NODE_PORT, SERVICES, Bed, taken

from labkit.errors import TraceError
from labkit.linux import nfttrace
from labkit.linux.iptables import Variant
from labkit.linux.nftables.kernel import NfTables
from labkit.linux.nftables.messages import Messages
from labkit.net.nft import Chain, Hook, Match, Rule, Verdict
from labkit.trace.agree import agree
from labkit.trace.model.predict import predict
from labkit.trace.rules import NftRules
from labkit.trace.tracer import Tracer

pytestmark = NFT  # User-Mode Linux has no nf_tables for IP packets

NODE_1, FAR = "172.18.1.11", "10.244.3.4"


@in_sandbox
async def test_model_and_kernel_agree() -> None:
    bed = Bed("ptp", Variant.NFT, "nftables")
    await bed.serve(masquerading=False)
    tracer, plan = Tracer(bed.variant), bed.modes["node-1"].plan
    flows = [("client", address, 80) for address in (*SERVICES.values(), EMPTY, FAR)]
    unused = ("client", SERVICES["far"], 81)  # no Service has that port
    for source, address, port in (*flows, unused, ("node-1", SERVICES["far"], 80), ("internet", NODE_1, NODE_PORT)):
        path = await taken(bed, tracer, source, address, 8080 if address == FAR else port)
        own = {NODE_1, "10.244.1.1"}
        prediction = predict(plan, path.packet, place="node-1", node_addresses=own, from_node=source == "node-1")
        assert agree(path, prediction, "node-1") == []
        wrong = predict(plan, path.packet, place="node-1", from_node=source != "node-1")
        assert agree(path, wrong, "node-1") != []


@in_sandbox
async def test_what_is_translated_and_what_is_refused() -> None:
    bed = Bed("ptp", Variant.NFT, "nftables")
    await bed.serve()
    tracer = Tracer(bed.variant)
    path = await taken(bed, tracer, "client", SERVICES["far"])
    assert (path.outcome, path.lost) == ("200", 0)
    there, back = path.rewrites
    assert (there.hook, there.action, there.rule) == ("PREROUTING", "DNAT", f"meta l4proto tcp dnat to {FAR}:8080")
    assert (back.hook, back.action, back.after) == ("POSTROUTING", "SNAT", path.packet.reversed())
    own = await taken(bed, tracer, "client", SERVICES["client"])
    assert next(r.rule for r in own.rewrites if r.action == "SNAT") == "masquerade fully-random"
    for source in ("client", "node-1"):
        refused = await taken(bed, tracer, source, EMPTY)
        assert refused.outcome == "rejected by rule 1 of reject-chain (kube-proxy) on node-1", (source, refused)
    with NfTables(bed.places["node-3"].netns, "ip") as kernel:
        make = Messages("ip", "mine")
        drop = Rule((Match("ip daddr", FAR), Verdict("drop")), "not here")
        chain = Chain("stop", hook=Hook("filter", "forward", -5))
        kernel.apply([[make.add_table("a table of somebody's own"), make.add_chain(chain)]])
        kernel.apply([list(make.add_rule("stop", drop))])
    stopped = await taken(bed, tracer, "client", SERVICES["far"], timeout=0.2)
    assert stopped.outcome == "dropped by rule 1 of stop (mine) on node-3"
    assert stopped.rules[-1].text == f'ip daddr {FAR} drop comment "not here"'


@in_sandbox
async def test_rules_that_changed_while_a_packet_was_traced() -> None:
    bed = Bed("ptp", Variant.NFT, "nftables")
    await bed.serve()
    rules = NftRules(bed.places["node-1"], "TCP", [])
    try:
        await bed.request("client", SERVICES["far"], 80)()
        rules.drain()
        assert rules.hits(lambda frame: frame.packet.dst == SERVICES["far"])
        await bed.modes["node-1"].stop()
        assert not any(table == "kube-proxy" for table, _ in nfttrace.handles(bed.places["node-1"].netns))
        with pytest.raises(TraceError, match="were changed while the packet was traced"):
            rules.hits(lambda frame: frame.packet.dst == SERVICES["far"])
    finally:
        rules.close()
