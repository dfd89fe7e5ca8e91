"""Which endpoints a node uses for a Service port: traffic policies, topology hints, readiness.

Source: Kubernetes v1.34, pkg/proxy/topology.go (`CategorizeEndpoints`); KEP-1669 (terminating endpoints),
KEP-2433 and KEP-4444 (hints and traffic distribution), KEP-3015 (PreferSameNode).
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from labkit.proxy.model import Backend, Frontend


class Selection(msgspec.Struct, frozen=True):
    """The endpoints of one port as one node uses them.

    cluster    for traffic that may go anywhere; None where the port has no such traffic
    local      for traffic that must stay on the node; None where the port has no such traffic
    reachable  the union of both: those that need rules
    anywhere   whether the port has a usable endpoint on any node: without one, packets are rejected;
               with one, but none on this node, packets that must stay here are dropped
    """

    cluster: tuple[Backend, ...] | None
    local: tuple[Backend, ...] | None
    reachable: tuple[Backend, ...]
    anywhere: bool


def select(port: Frontend, backends: Sequence[Backend], node: str, zone: str) -> Selection:
    """Ready endpoints; where there is none, those that terminate but still serve, for each policy on its own."""
    backends = _distinct(backends, node)
    cluster = _cluster(backends, node, zone) if port.uses_cluster else None
    local = _usable([b for b in backends if node and b.node == node]) if port.uses_local else None
    anywhere = bool(cluster) or (port.uses_local and bool(_usable(backends)))
    union = {b.address: b for b in (*(cluster or ()), *(local or ()))}
    return Selection(cluster, local, tuple(union[a] for a in sorted(union)), anywhere)


def _distinct(backends: Sequence[Backend], node: str) -> Sequence[Backend]:
    """One entry for each address: where slices disagree about its node, the entry that is local to this node."""
    if len({b.address for b in backends}) == len(backends):
        return backends
    by_address = {b.address: b for b in sorted(backends, key=lambda b: b.node == node)}
    return [by_address[a] for a in sorted(by_address)]


def _cluster(backends: Sequence[Backend], node: str, zone: str) -> tuple[Backend, ...]:
    """Hints count only if every ready endpoint has one and one of them names this node, or else this zone.

    So a node that no hint names falls back to all endpoints instead of having none.
    """
    ready = tuple(b for b in backends if b.ready)
    if not ready:
        return _usable(backends)
    if all(b.node_hints for b in ready) and (same_node := tuple(b for b in ready if node in b.node_hints)):
        return same_node
    if all(b.zone_hints for b in ready) and (same_zone := tuple(b for b in ready if zone in b.zone_hints)):
        return same_zone
    return ready


def _usable(backends: Sequence[Backend]) -> tuple[Backend, ...]:
    ready = tuple(b for b in backends if b.ready)
    return ready or tuple(b for b in backends if b.serving and b.terminating)
