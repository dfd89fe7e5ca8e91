"""What a node in ipvs mode will do with a packet: its iptables rules, and IPVS between them.

    from elsewhere:  nat PREROUTING -> (for this node? filter INPUT -> IPVS -> filter OUTPUT : filter FORWARD)
                     -> nat POSTROUTING
    from this node:  nat OUTPUT -> IPVS -> filter OUTPUT -> nat POSTROUTING (-> filter INPUT where it stays here)

A Service's address is this node's own, on kube-ipvs0: so its packets come by INPUT, and IPVS sends them out again.
Source: Linux, net/netfilter/ipvs/ip_vs_core.c (`ip_vs_ops4`, `ip_vs_leave`), ip_vs_xmit.c (`ip_vs_nat_send_or_cont`).
"""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from ipaddress import ip_address, ip_network

import msgspec

from labkit.errors import RuleError
from labkit.net.ipset import AddressSet, Element
from labkit.net.ipvs import RealServer, ServerKey, VirtualServer
from labkit.net.packet import Packet
from labkit.net.path import RuleHit
from labkit.proxy.ipvs.plan import IpvsPlan
from labkit.trace.balanced import TABLE
from labkit.trace.model import rule_text as rule
from labkit.trace.model.iptables import walked
from labkit.trace.model.prediction import Arrival, Prediction
from labkit.trace.model.rule_text import Condition
from labkit.trace.model.server_hashes import HASHES
from labkit.trace.model.walk import Branch, Hooks, Walk

FROM_NODE: Hooks = (
    ("nat", "OUTPUT"),
    (TABLE, ""),
    ("filter", "OUTPUT"),
    ("nat", "POSTROUTING"),
    ("filter", "INPUT"),
)
FROM_ELSEWHERE: Hooks = (
    ("nat", "PREROUTING"),
    ("filter", "INPUT"),
    ("filter", "FORWARD"),
    (TABLE, ""),
    ("filter", "OUTPUT"),
    ("nat", "POSTROUTING"),
)
_NUMBERS = {"TCP": socket.IPPROTO_TCP, "UDP": socket.IPPROTO_UDP, "SCTP": socket.IPPROTO_SCTP}


def predict(plan: IpvsPlan, packet: Packet, at: Arrival) -> Prediction:
    """What can happen to `packet` on the node that has this plan; `Arrival` says what is what.

    The schedulers that hash have one outcome; of the others the shares are those of many connections that last equally
    long, by weight where the scheduler goes by it. `labkit.trace.model.schedulers` has them one by one. Pods are taken
    to be routed: nothing comes by a port of a bridge.

    Raises `RuleError` for a rule or a scheduler that the model does not know.
    """
    own = at.node_addresses | frozenset(plan.bound)
    walk = IpvsWalk(
        plan.rules,
        at.place,
        own,
        at.from_node,
        servers={s.key: s for s in plan.servers},
        sets={s.name: s for s in plan.sets},
    )
    return walked(walk, packet, at.state, at.remembered)


@dataclass(frozen=True, slots=True)
class IpvsWalk(Walk):
    servers: Mapping[ServerKey, VirtualServer] = field(default_factory=dict)
    sets: Mapping[str, AddressSet] = field(default_factory=dict)

    def ends(self, branch: Branch) -> Iterator[Branch]:
        return self._through(branch, FROM_NODE if self.from_node else FROM_ELSEWHERE)

    def _through(self, branch: Branch, hooks: Hooks) -> Iterator[Branch]:
        if branch.lost or not hooks or hooks[0][0] != TABLE:
            yield from Walk._through(self, branch, hooks)
            return
        for after in self._balance(branch):
            yield from self._through(after, hooks[1:])

    def _passes(self, branch: Branch, table: str, hook: str) -> bool:
        """What came from elsewhere is sent by this node if IPVS sends it on."""
        if hook == "OUTPUT" and not self.from_node:
            return branch.translated and not self._own(branch.packet.dst)
        return Walk._passes(self, branch, table, hook)

    def _balance(self, branch: Branch) -> Iterator[Branch]:
        """The branches, one for each real server that may get the packet; refused where there is none."""
        packet = branch.packet
        virtual = self.servers.get((packet.protocol.lower(), packet.dst, packet.dport or 0))
        if virtual is None or branch.state != "NEW":
            yield branch
            return
        kept = [s for s in virtual.servers if s.weight and _kept(virtual, s) in branch.remembered]
        shares = {kept[0]: 1.0} if kept and virtual.persistent else chances(virtual, packet)
        if not shares:
            yield replace(branch, decided="REJECT")
        for server, share in shares.items():
            hit = RuleHit(self.place, TABLE, virtual.name, virtual.number(server), virtual.added(server))
            yield replace(
                branch,
                packet=msgspec.structs.replace(packet, dst=server.ip, dport=server.port),
                probability=branch.probability * share,
                hits=(*branch.hits, hit),
                remembered=branch.remembered | ({_kept(virtual, server)} if virtual.persistent else set()),
            )

    def _holds(self, condition: Condition, branch: Branch) -> bool:
        match condition:
            case rule.InSet(name, ends):
                known = self.sets.get(name)
                if known is None:
                    raise RuleError(f"the set {name}, to which a rule refers, does not exist")
                return any(_is(element, branch.packet, ends) for element in known.elements)
            case rule.Balanced(protocol, ip, port):
                to = branch.original
                number = _NUMBERS.get(to.protocol)
                return branch.translated and (number, to.dst, to.dport) == (protocol, ip, port)
        return Walk._holds(self, condition, branch)


def chances(virtual: VirtualServer, packet: Packet) -> dict[RealServer, float]:
    """Who gets a new connection, with which probability."""
    if (choose := HASHES.get(virtual.scheduler)) is not None:
        at = choose(virtual.servers, virtual.hash_port)(packet)
        return {} if at is None or not virtual.servers[at].weight else {virtual.servers[at]: 1.0}
    if virtual.scheduler not in ("rr", "wrr", "lc", "wlc", "sed", "nq"):
        raise RuleError(f"the model tracer does not know the scheduler {virtual.scheduler!r}")
    equal = virtual.scheduler in ("rr", "lc")
    shares = {s: 1 if equal else s.weight for s in virtual.servers if s.weight}
    return {server: share / sum(shares.values()) for server, share in shares.items()}


def _kept(virtual: VirtualServer, server: RealServer) -> str:
    """How `remembered` names that a client has this server."""
    return f"{virtual.name} {server.address}"


def _is(element: Element, packet: Packet, ends: Sequence[str]) -> bool:
    """Whether the packet is the element; a set of ports alone compares ports, any other begins with an address."""
    where = iter(ends)
    if element.ip and element.ip != _address(packet, next(where)):
        return False
    if element.port:
        end = next(where)
        if element.port != (packet.sport if end == "src" else packet.dport):
            return False
    if element.protocol and element.protocol != packet.protocol.lower():
        return False
    return not element.second or ip_address(_address(packet, next(where))) in ip_network(element.second)


def _address(packet: Packet, end: str) -> str:
    return packet.src if end == "src" else packet.dst
