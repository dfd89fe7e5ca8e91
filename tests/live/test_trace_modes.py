"""What the model tracer says of a node in userspace and in kernelspace mode, beside what its kernel did."""

from __future__ import annotations

import pytest
from inside import in_sandbox
from trace_bed import EMPTY, NODE_PORT, SERVICES, Bed, taken

from labkit.linux.iptables import Variant
from labkit.proxy.kernelspace.mode import KernelspaceMode
from labkit.proxy.userspace.mode import UserspaceMode
from labkit.trace.agree import agree
from labkit.trace.model.predict import predict
from labkit.trace.model.userspace import redirected
from labkit.trace.tracer import Tracer

NODE_1, BRIDGE = "172.18.1.11", "10.244.1.1"
OWN = {NODE_1, BRIDGE}
FLOWS = (
    *(("client", address, 80) for address in (*SERVICES.values(), EMPTY)),
    ("node-1", SERVICES["far"], 80),
    ("internet", NODE_1, NODE_PORT),
)
# The older variant's kernel says the same; in the other sandbox it is this one's.
pytestmark = pytest.mark.sandbox("namespaces")


@pytest.mark.parametrize(("cni", "variant"), [("ptp", "nft"), ("bridge", "legacy")])
@in_sandbox
async def test_the_way_to_the_proxy_process(cni: str, variant: str) -> None:
    bed = Bed(cni, Variant(variant), "userspace")
    await bed.serve(masquerading=False)
    mode, tracer = bed.modes["node-1"], Tracer(bed.variant)
    assert isinstance(mode, UserspaceMode)
    for source, address, port in FLOWS:
        path = await taken(bed, tracer, source, address, port)
        came_by = {"client": BRIDGE, "internet": NODE_1}.get(source, "")
        node = {"place": "node-1", "node_addresses": OWN, "from_node": source == "node-1"}
        told = redirected(
            mode.plan, path.packet, arrival=came_by, bridged=(cni, source) == ("bridge", "client"), **node
        )
        assert agree(path, told, "node-1") == [], (source, address)
        assert agree(path, redirected(mode.plan, path.packet, arrival="10.9.9.9", **node), "node-1") or not came_by
        assert len(predict(mode.plan, path.packet, **node).outcomes) == 1, "each Service here has one endpoint, or none"
        assert address == EMPTY or path.outcome == "200"
    for each in bed.modes.values():
        await each.stop()


@in_sandbox
async def test_the_emulation_of_hns() -> None:
    bed = Bed("ptp", Variant.NFT, "kernelspace")
    await bed.serve(masquerading=False)
    mode, tracer = bed.modes["node-1"], Tracer(bed.variant)
    assert isinstance(mode, KernelspaceMode)
    for source, address, port in FLOWS:
        path = await taken(bed, tracer, source, address, port)
        node = {"place": "node-1", "node_addresses": OWN, "from_node": source == "node-1"}
        told = predict(mode.emulation, path.packet, **node)
        assert agree(path, told, "node-1") == [], (source, address)
        windows = predict(mode.plan, path.packet, **node)
        assert (windows.verdict, windows.to, windows.masquerade) == (told.verdict, told.to, told.masquerade)
