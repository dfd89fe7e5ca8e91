"""What a node's iptables rules will do with a packet: the model tracer walks them as netfilter would.

An unknown rule raises `RuleError`. Of the live tracer's facts it predicts the rules that match, in order.
"""

from __future__ import annotations

from labkit.net.packet import Packet
from labkit.net.rules import Ruleset
from labkit.trace.model.prediction import Arrival, Outcome, Prediction, State, Verdict
from labkit.trace.model.walk import Branch, Walk


def predict(rules: Ruleset, packet: Packet, at: Arrival) -> Prediction:
    """What can happen to `packet` on the node whose rules these are.

    What it remembers are names of the `recent` lists that hold the source address (session affinity). Only a NEW
    connection is asked about in the nat table, others are walked as given.

    Raises `RuleError` for a rule that the model does not know.
    """
    return walked(Walk(rules, at.place, at.node_addresses, at.from_node), packet, at.state, at.remembered)


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
