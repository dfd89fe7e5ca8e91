"""What the virtual switch of a Windows node does with a packet: the rules that HNS wrote for its load balancers.

    from a pod: its own port (LB_DSR), then the host's (LB, SLB_LB_LAYER)      from the node, from outside: the host's

A hash of the connection chooses the endpoint, so every one of them is an outcome; with session affinity the hash is of
the client's address, and always falls on the same one.
"""

from __future__ import annotations

from collections.abc import Iterator, Set
from ipaddress import ip_address, ip_network

import msgspec

from labkit.net.packet import Packet
from labkit.net.path import RuleHit
from labkit.proxy.kernelspace.hns import PROTOCOLS, Distribution
from labkit.proxy.kernelspace.plan import HnsPlan
from labkit.proxy.kernelspace.vfp import PortKind, VfpRule, balances, rules_of
from labkit.trace.model.prediction import Arrival, Outcome, Prediction

_NUMBERS = {name.upper(): number for name, number in PROTOCOLS.items()}


def predict(plan: HnsPlan, packet: Packet, at: Arrival) -> Prediction:
    """What can happen to `packet`; `Arrival` says what is what.

    `remembered`: `load balancer -> address` (session affinity). The hits have the layer as their table.
    """
    untouched = Outcome(1.0, "UNTOUCHED", packet, False, (), at.remembered)
    if at.state != "NEW":
        return Prediction(packet, (untouched,))
    ports: list[PortKind] = ["pod", "host"] if _from_pod(plan, packet, at.from_node) else ["host"]
    local = {each.ip for each in plan.endpoints if not each.remote}
    for kind in ports:
        for number, rule in enumerate(rules_of(plan, kind, packet.src), 1):
            if balances(rule) and _matches(rule, packet):
                hit = RuleHit(at.place, rule.layer, rule.group, number, rule.name)
                return Prediction(packet, tuple(_spread(rule, packet, hit, local, at.remembered)))
    return Prediction(packet, (untouched,))


def _from_pod(plan: HnsPlan, packet: Packet, from_node: bool) -> bool:
    return not from_node and bool(plan.pod_network) and ip_address(packet.src) in ip_network(plan.pod_network)


def _matches(rule: VfpRule, packet: Packet) -> bool:
    return (rule.protocol, rule.destination, rule.port) == (_NUMBERS.get(packet.protocol), packet.dst, packet.dport)


def _spread(rule: VfpRule, packet: Packet, hit: RuleHit, local: Set[str], remembered: Set[str]) -> Iterator[Outcome]:
    """One outcome for each endpoint. A pod that reaches itself gets the packet from the node, or it would drop it."""
    one = rule.balancer
    sticky = one.mapping.distribution == Distribution.SOURCE_IP
    kept = [ip for ip in rule.targets if sticky and f"{one.id} -> {ip}" in remembered]
    for ip in kept or rule.targets:
        yield Outcome(
            probability=1 / len(kept or rule.targets),
            verdict="DNAT",
            packet=msgspec.structs.replace(packet, dst=ip, dport=rule.target_port),
            masquerade=rule.source == "node" or (ip == packet.src and ip in local),
            hits=(hit,),
            remembered=frozenset(remembered | ({f"{one.id} -> {ip}"} if sticky else set())),
        )
