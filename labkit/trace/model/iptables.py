"""What a node's iptables rules will do with a packet: the model tracer walks them as netfilter would.

An unknown rule raises `RuleError`. Of the live tracer's facts it predicts the rules that match, in order.
"""

from __future__ import annotations

from collections.abc import Set

from labkit.net.packet import Packet
from labkit.net.rules import Ruleset
from labkit.trace.model.prediction import Outcome, Prediction, State, Verdict
from labkit.trace.model.walk import Branch, Walk


def predict(
    rules: Ruleset,
    packet: Packet,
    *,
    place: str = "",
    node_addresses: Set[str] = frozenset(),
    from_node: bool = False,
    state: State = "NEW",
    remembered: Set[str] = frozenset(),
) -> Prediction:
    """What can happen to `packet` on the node whose rules these are.

    place           the node's name, for the hits
    node_addresses  its own addresses; loopback is always its own
    from_node       the packet is sent by the node itself; otherwise it came in by an interface
    state           of its connection; only a NEW one is asked about in the nat table, others are walked as given
    remembered      names of the `recent` lists that hold the source address (session affinity)

    Raises `RuleError` for a rule that the model does not know.
    """
    return walked(Walk(rules, place, node_addresses, from_node), packet, state, frozenset(remembered))


def walked(walk: Walk, packet: Packet, state: State, remembered: frozenset[str]) -> Prediction:
    """Every end of a walk."""
    start = Branch(packet, packet, state, remembered=remembered)
    return Prediction(packet, tuple(_outcome(branch) for branch in walk.ends(start)))


def _outcome(branch: Branch) -> Outcome:
    return Outcome(
        branch.probability, _verdict(branch), branch.packet, branch.masquerade, branch.hits, branch.remembered
    )


def _verdict(branch: Branch) -> Verdict:
    if branch.decided == "REJECT":
        return "REJECT"
    if branch.decided == "DROP":
        return "DROP"
    if branch.translated:
        return "DNAT"
    return "ACCEPT" if branch.accepted else "UNTOUCHED"
