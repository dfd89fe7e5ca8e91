"""What IPVS did with a connection on a node, as a hit of its own: no rule tracing of netfilter tells of it.

The virtual server is the chain, and the real server that got the connection its rule, as `ipvsadm-save` prints and
counts it: the kernel's own list is in the order in which the servers came.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path

from labkit.linux import netns
from labkit.linux.conntrack import Flow
from labkit.linux.ipvs import Table
from labkit.net.ipvs import VirtualServer
from labkit.net.path import RuleHit
from labkit.net.place import Place
from labkit.trace.rules import Evaluated

TABLE = "ipvs"
_ITS_OWN = Path("/proc/thread-self/net/ip_vs")


def virtual_servers(places: Iterable[Place], flows: Mapping[str, Sequence[Flow]]) -> dict[str, list[VirtualServer]]:
    """Those of each place that translated the packet's destination. Where the kernel has no IPVS, it is not asked."""
    found = {}
    for place in places:
        if any(_translated(flow) for flow in flows.get(place.name, ())) and _has(place.netns):
            with Table(place.netns) as table:
                found[place.name] = table.virtual_servers()
    return found


def with_balancing(
    evaluated: Sequence[Evaluated], flows: Mapping[str, Sequence[Flow]], servers: Mapping[str, Sequence[VirtualServer]]
) -> list[Evaluated]:
    """The rules, with IPVS's choice where it was made: before the first of OUTPUT's filter, or else at the end.

    `evaluated` has the rules of one place after the other.
    """
    groups = {place: list(group) for place, group in groupby(evaluated, key=lambda e: e.hit.place)}
    for place, known in servers.items():
        for flow in flows[place]:
            if (hit := _hit(place, flow, known)) is not None:
                group = groups.setdefault(place, [])
                places = [i for i, e in enumerate(group) if (e.hit.table, e.hit.chain) == ("filter", "OUTPUT")]
                group.insert(min(places, default=len(group)), Evaluated(hit, "DNAT"))
    return list(_in_turn(groups))


def _in_turn(groups: Mapping[str, Sequence[Evaluated]]) -> Iterator[Evaluated]:
    for group in groups.values():
        yield from group


def _hit(place: str, flow: Flow, servers: Sequence[VirtualServer]) -> RuleHit | None:
    to, by = flow.original, flow.reply
    virtual = next((s for s in servers if s.key == (to.protocol.lower(), to.dst, to.dport)), None)
    for server in virtual.servers if virtual else ():
        if virtual and (server.ip, server.port) == (by.src, by.sport):
            return RuleHit(place, TABLE, virtual.name, virtual.number(server), virtual.added(server))
    return None


def _translated(flow: Flow) -> bool:
    return (flow.original.dst, flow.original.dport) != (flow.reply.src, flow.reply.sport)


def _has(path: str) -> bool:
    with netns.entered(path):
        return _ITS_OWN.exists()
