"""What a node's eBPF maps will do with a packet: the model tracer looks them up as the programs do.

    from a pod or the node    sock.h: the socket's destination is another one before there is a packet; the source stays
    from outside              nodeport.h: the first packet is translated on the node's cable

A hit is an entry of the map of Services, as `cilium-dbg bpf lb list` has it, with its slot as the number.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Set
from ipaddress import ip_address, ip_network

from labkit.net.packet import Packet
from labkit.net.path import RuleHit
from labkit.proxy.ebpf import maglev
from labkit.proxy.ebpf.maps import CABLE, maps_for
from labkit.proxy.ebpf.plan import PROTOCOLS, Address, EbpfPlan, Frontend, entries, text
from labkit.trace.model.prediction import Arrival, Outcome, Prediction, Verdict


def predict(plan: EbpfPlan, packet: Packet, at: Arrival) -> Prediction:
    """What can happen to `packet`; `Arrival` says what is what.

    Pods are told by their addresses: `plan.cluster_cidr`. A connection that is known is not looked up again.
    """
    inside = at.from_node or _within(packet.src, [plan.cluster_cidr])
    frontend = _find(plan, packet, at.from_node) if at.state == "NEW" and packet.protocol.lower() in PROTOCOLS else None
    if frontend is None:
        return _one(packet, "UNTOUCHED", (), at.remembered)
    walk = _Walk(plan, packet, frontend, at.place, inside)
    refused = _refused(frontend, packet.src, inside)
    if refused:
        return _one(packet, refused, walk.hits(0), at.remembered)
    return Prediction(packet, tuple(walk.outcomes(at.remembered)))


def _find(plan: EbpfPlan, packet: Packet, from_node: bool) -> Frontend | None:
    port, protocol = packet.dport or 0, packet.protocol.lower()
    if found := plan.frontends.get((packet.dst, port, protocol)):
        return found
    own = from_node and ip_address(packet.dst).is_loopback
    return plan.frontends.get((maps_for(packet.dst).unspecified, port, protocol)) if own else None


def _refused(frontend: Frontend, client: str, inside: bool) -> Verdict | None:
    """Why there is no choice to be made; None where there is."""
    if inside:
        return None if _backends(frontend, inside) else "REJECT"
    if not frontend.routable or (frontend.ranges and not _within(client, frontend.ranges)):
        return "DROP"
    if frontend.backends:
        return None
    return "DROP" if frontend.internal else "REJECT"


def _backends(frontend: Frontend, inside: bool) -> tuple[Address, ...]:
    return frontend.internal if inside and frontend.internal is not None else frontend.backends


class _Walk:
    """One packet to one frontend, through the program of the socket (`inside`) or of the cable."""

    def __init__(self, plan: EbpfPlan, packet: Packet, frontend: Frontend, place: str, inside: bool) -> None:
        self._plan, self._packet, self._frontend = plan, packet, frontend
        self._place, self._inside = place, inside
        self._backends = _backends(frontend, self._inside)

    def hits(self, slot: int) -> tuple[RuleHit, ...]:
        """The frontend's first entry, and the one of the slot."""
        number = self._plan.numbers.get(self._frontend.address, 0)
        lines = entries(self._frontend, number, self._inside and self._frontend.internal is not None)
        found = [(n, " ".join(lines[n])) for n in sorted({0, slot})]
        maps = maps_for(self._packet.dst)
        program = maps.connect if self._inside else CABLE["ingress"]
        return tuple(RuleHit(self._place, maps.services, program, n, line) for n, line in found)

    def outcomes(self, remembered: Set[str]) -> Iterable[Outcome]:
        sticky = self._frontend.affinity_seconds > 0
        known = [b for b in self._backends if sticky and self._name(b) in remembered]
        shares = {known[0]: 1.0} if known else self._shares()
        for backend, share in shares.items():
            ip, port, _ = backend
            to = Packet(self._packet.src, ip, self._packet.protocol, self._packet.sport, port)
            after = frozenset(remembered) | ({self._name(backend)} if sticky else set())
            masquerade = not self._inside and ip not in self._plan.here
            hits = self.hits(self._backends.index(backend) + 1)
            yield Outcome(share, "DNAT", to, masquerade, hits, after)

    def _shares(self) -> Mapping[Address, float]:
        if self._frontend.maglev and not self._inside:
            table = maglev.table(maglev.names(self._backends))
            return {self._backends[p]: n / len(table) for p, n in sorted(Counter(table).items())}
        return dict.fromkeys(self._backends, 1 / len(self._backends))

    def _name(self, backend: Address) -> str:
        return f"{text(self._frontend.address)} {text(backend)}"


def _within(address: str, prefixes: Iterable[str]) -> bool:
    return any(prefix and ip_address(address) in ip_network(prefix) for prefix in prefixes)


def _one(packet: Packet, verdict: Verdict, hits: tuple[RuleHit, ...], remembered: Set[str]) -> Prediction:
    return Prediction(packet, (Outcome(1.0, verdict, packet, False, hits, frozenset(remembered)),))
