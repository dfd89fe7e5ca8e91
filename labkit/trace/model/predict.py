"""The model tracer: what a node's plan, of whichever proxy mode, will do with a packet."""

from __future__ import annotations

from collections.abc import Callable, Set
from typing import Any

from labkit.errors import RuleError
from labkit.net.nft import Table
from labkit.net.packet import Packet
from labkit.net.rules import Ruleset
from labkit.proxy.ebpf.plan import EbpfPlan
from labkit.proxy.ipvs.plan import IpvsPlan
from labkit.proxy.kernelspace.plan import HnsPlan
from labkit.proxy.userspace.plan import UserspacePlan
from labkit.trace.model import ebpf, iptables, ipvs, kernelspace, nftables, userspace
from labkit.trace.model.prediction import Arrival, Prediction, State

TRACERS: dict[type, Callable[[Any, Packet, Arrival], Prediction]] = {
    Ruleset: iptables.predict,
    EbpfPlan: ebpf.predict,
    Table: nftables.predict,
    IpvsPlan: ipvs.predict,
    UserspacePlan: userspace.predict,
    HnsPlan: kernelspace.predict,
}
"""Kind of plan -> its tracer."""


def predict(
    plan: Any,
    packet: Packet,
    *,
    place: str = "",
    node_addresses: Set[str] = frozenset(),
    from_node: bool = False,
    state: State = "NEW",
    remembered: Set[str] = frozenset(),
) -> Prediction:
    """What can happen to `packet` on the node that has this plan; the other arguments are those of `Arrival`.

    Raises `RuleError` for a plan or a rule that the model does not know.
    """
    tracer = TRACERS.get(type(plan))
    if tracer is None:
        raise RuleError(f"the model tracer knows no plan of the kind {type(plan).__name__}")
    at = Arrival(place, frozenset(node_addresses), from_node, state, frozenset(remembered))
    return tracer(plan, packet, at)
