"""What can happen to a packet: the value that the model tracer of every proxy mode makes.

Where a choice is random, every branch is followed, so the answer is all that can happen, with probabilities.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from labkit.errors import RuleError
from labkit.net.packet import Packet, endpoint
from labkit.net.path import RuleHit

State = Literal["NEW", "ESTABLISHED", "RELATED", "INVALID"]
Verdict = Literal["DNAT", "REJECT", "DROP", "ACCEPT", "UNTOUCHED"]


class Arrival(msgspec.Struct, frozen=True):
    """How a packet comes to a node.

    place           the node's name, for the hits
    node_addresses  its own addresses; loopback is always its own
    from_node       the packet is sent by the node itself; otherwise it came in by an interface
    state           of its connection; only a NEW one is translated, others are walked as given
    remembered      what holds the source address already (session affinity), as `Outcome.remembered` names it
    """

    place: str = ""
    node_addresses: frozenset[str] = frozenset()
    from_node: bool = False
    state: State = "NEW"
    remembered: frozenset[str] = frozenset()


class Outcome(msgspec.Struct, frozen=True):
    """One thing that can happen.

    packet       as it leaves the node, or as it was dropped; masquerading does not show in it, for the address
                 depends on the route
    hits         the rules that matched, in order
    remembered   names of the `recent` lists that hold the client afterwards (session affinity)
    """

    probability: float
    verdict: Verdict
    packet: Packet
    masquerade: bool
    hits: tuple[RuleHit, ...]
    remembered: frozenset[str]


class Prediction(msgspec.Struct, frozen=True):
    """All outcomes for `packet`; their probabilities add up to 1."""

    packet: Packet
    outcomes: tuple[Outcome, ...]

    @property
    def verdict(self) -> Verdict:
        """The verdict that all outcomes share. Raises `RuleError` where they differ."""
        found = {o.verdict for o in self.outcomes}
        if len(found) > 1:
            raise RuleError(f"{self.packet} may meet {', '.join(sorted(found))}: look at the outcomes one by one")
        return found.pop()

    @property
    def to(self) -> dict[str, float]:
        """Where it may be sent: `ip:port` -> probability, sorted; empty where no rule rewrites the destination."""
        shares: dict[str, float] = {}
        for outcome in self.outcomes:
            if outcome.verdict == "DNAT":
                address = endpoint(outcome.packet.dst, outcome.packet.dport)
                shares[address] = shares.get(address, 0.0) + outcome.probability
        return dict(sorted(shares.items()))

    @property
    def masquerade(self) -> bool | None:
        """Whether its source is rewritten; None where that depends on the endpoint (a pod that may reach itself)."""
        found = {o.masquerade for o in self.outcomes}
        return found.pop() if len(found) == 1 else None
