"""What a node in userspace mode does with a packet: its rules lead it to the proxy process, that to an endpoint.

client -- connection 1 --> rules: REDIRECT or DNAT to a port of the node --> process -- connection 2 --> endpoint
"""

from __future__ import annotations

from collections.abc import Iterator, Set

import msgspec

from labkit.net.packet import Packet, split_endpoint
from labkit.proxy.userspace.plan import UserspacePlan
from labkit.proxy.userspace.rules import Portal
from labkit.trace.model import iptables
from labkit.trace.model.prediction import Arrival, Outcome, Prediction, State
from labkit.trace.model.walk import Walk


def predict(plan: UserspacePlan, packet: Packet, at: Arrival) -> Prediction:
    """Where the connection of `packet` can end, through the process: an outcome for each endpoint.

    It comes there with the node's address (`masquerade`). A port without endpoints is an "ACCEPT": the process takes
    the connection, at the packet's new address, and closes it. `remembered`: `ns/service:port -> endpoint` (session
    affinity). `Arrival` says what the others are.
    """
    arrived = redirected(
        plan, packet, place=at.place, node_addresses=at.node_addresses, from_node=at.from_node, state=at.state
    )
    by_port = {(p.frontend.protocol.upper(), p.proxy_port): p for p in plan.portals}
    outcomes: list[Outcome] = []
    for outcome in arrived.outcomes:
        portal = by_port.get((packet.protocol, outcome.packet.dport or 0)) if outcome.verdict == "DNAT" else None
        outcomes += _through(portal, outcome, at.remembered) if portal else [outcome]
    return Prediction(packet, tuple(outcomes))


def redirected(
    plan: UserspacePlan,
    packet: Packet,
    *,
    place: str = "",
    node_addresses: Set[str] = frozenset(),
    from_node: bool = False,
    state: State = "NEW",
    arrival: str = "",
    bridged: bool = False,
) -> Prediction:
    """What the rules alone do: the first of the two connections, as a trace of its first packet shows it.

    arrival  the address of the interface by which the packet comes in; without it the node's own address
    bridged  it comes in by a port of a bridge, as a pod's on `cni0` does
    """
    own = node_addresses | {plan.host_ip}
    walk = Walk(plan.rules, place, own, from_node, arrival or plan.host_ip, bridged)
    return iptables.walked(walk, packet, state, frozenset())


def _through(portal: Portal, arrived: Outcome, remembered: Set[str]) -> Iterator[Outcome]:
    name, sticky = portal.frontend.name, portal.frontend.affinity_seconds
    if not portal.endpoints:
        yield msgspec.structs.replace(arrived, verdict="ACCEPT")
        return
    kept = [end for end in portal.endpoints if sticky and f"{name} -> {end}" in remembered]
    for end in kept or portal.endpoints:
        ip, port = split_endpoint(end)
        yield msgspec.structs.replace(
            arrived,
            probability=arrived.probability / len(kept or portal.endpoints),
            packet=msgspec.structs.replace(arrived.packet, dst=ip, dport=port),
            masquerade=True,
            remembered=frozenset({f"{name} -> {end}"}) if sticky else frozenset(),
        )
