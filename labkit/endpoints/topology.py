"""Topology Aware Routing (`service.kubernetes.io/topology-mode: Auto`): each zone gets endpoints by its share of CPU.

    zone's share of CPU x ready endpoints = what the zone should have; where it cannot have 5/6 of it: no hints at all
    same-zone hints first, then endpoints of zones that have too many are hinted to those that have too few

A slice that need not change keeps its hints as long as they fit. Source: k8s.io/endpointslice/topologycache
(topologycache.go, utils.go, sliceinfo.go) of v1.34, which walks zones in Go's random order; here it is that of names.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from math import ceil

import msgspec

from labkit.api import quantity
from labkit.api.objects import Endpoint, EndpointHints, EndpointSlice, ForZone, Node, Service

MODE, OLDER_MODE = "service.kubernetes.io/topology-mode", "service.kubernetes.io/topology-aware-hints"
EXCLUDED = ("node-role.kubernetes.io/control-plane", "node-role.kubernetes.io/master")
OVERLOAD = 0.2

NO_NODES = "Insufficient Node information: allocatable CPU or zone not specified on one or more nodes"
NO_ZONE = "One or more endpoints do not have a zone specified"
FEW = "Insufficient number of endpoints"
OVERLOADED = "Unable to allocate minimum required endpoints to each zone without exceeding overload threshold"

Ratios = Mapping[str, float]


class Share(msgspec.Struct, frozen=True):
    """How many endpoints a zone should have, and how many it may have at most."""

    desired: float
    maximum: int


def auto(service: Service) -> bool:
    """Whether the Service asks for it."""
    annotations = service.metadata.annotations
    return annotations.get(OLDER_MODE, annotations.get(MODE)) in ("Auto", "auto")


def ratios(nodes: Iterable[Node]) -> dict[str, float]:
    """Each zone's share of the CPU of all ready nodes; nothing where there is one zone, or a node tells too little."""
    by_zone: dict[str, float] = {}
    for node in nodes:
        if any(label in node.metadata.labels for label in EXCLUDED) or not node.ready:
            continue
        cpu = float(quantity.value(node.status.allocatable.get("cpu", "0")))
        if not node.zone or not cpu:
            return {}
        by_zone[node.zone] = by_zone.get(node.zone, 0.0) + cpu
    total = sum(by_zone.values())
    return {zone: by_zone[zone] / total for zone in sorted(by_zone)} if len(by_zone) > 1 else {}


def obstacle(planned: Sequence[EndpointSlice], of_zones: Ratios) -> str:
    """Why these slices of one family can have no hints; empty where they can."""
    ready = [endpoint for one in planned for endpoint in one.endpoints if endpoint.conditions.ready]
    if not of_zones:
        return NO_NODES
    figures = f"({len(ready)} endpoints, {len(of_zones)} zones)"
    if len(of_zones) > len(ready):
        return f"{FEW} {figures}"
    if sum(_minimum(ratio, len(ready)) for ratio in of_zones.values()) > len(ready):
        return f"{OVERLOADED} {figures}"
    return "" if all(endpoint.zone for endpoint in ready) else NO_ZONE


def hinted(
    planned: Sequence[EndpointSlice], existing: Sequence[EndpointSlice], of_zones: Ratios
) -> list[EndpointSlice]:
    """The planned slices of one family, which have no hints, with hints; `existing`: as they are, with theirs."""
    if obstacle(planned, of_zones):
        return list(planned)
    shares = _shares(sum(1 for one in planned for e in one.endpoints if e.conditions.ready), of_zones)
    before = {one.name: one for one in existing}
    allocated: Counter[str] = Counter()
    kept: dict[int, EndpointSlice] = {}
    for place, one in enumerate(planned):
        known = before.get(one.name)
        if known is not None and bare(known) == one and (found := _fitting(known, allocated, shares)) is not None:
            kept[place] = known
            allocated += found
    free = [place for place in range(len(planned)) if place not in kept]
    free.sort(key=lambda place: bool(planned[place].name))  # new slices first
    ends = {place: [_for_zone(e, e.zone) for e in planned[place].endpoints] for place in free}
    allocated.update(e.zone for place in free for e in ends[place] if e.conditions.ready)
    _redistribute([ends[place] for place in free], *_moves(shares, allocated))
    changed = {place: msgspec.structs.replace(planned[place], endpoints=tuple(ends[place])) for place in free}
    return [kept.get(place) or changed[place] for place in range(len(planned))]


def bare(one: EndpointSlice) -> EndpointSlice:
    """The slice without hints."""
    return msgspec.structs.replace(
        one, endpoints=tuple(msgspec.structs.replace(endpoint, hints=None) for endpoint in one.endpoints)
    )


def _minimum(ratio: float, total: int) -> int:
    return ceil(ratio * total * (1 / (1 + OVERLOAD)))


def _shares(total: int, of_zones: Ratios) -> dict[str, Share]:
    least = {zone: _minimum(ratio, total) for zone, ratio in of_zones.items()}
    spare = total - sum(least.values())
    return {
        zone: Share(desired=max(ratio * total, least[zone]), maximum=least[zone] + spare)
        for zone, ratio in of_zones.items()
    }


def _fitting(one: EndpointSlice, allocated: Counter[str], shares: Mapping[str, Share]) -> Counter[str] | None:
    """Hints by zone of a slice that may stay as it is; None where it may not."""
    found: Counter[str] = Counter()
    for endpoint in one.endpoints:
        if endpoint.conditions.ready:
            zones = [zone.name for zone in endpoint.hints.for_zones] if endpoint.hints else []
            if not zones or any(zone not in shares for zone in zones):
                return None
            found.update(zones)
    too_many = any(count + allocated[zone] > shares[zone].maximum for zone, count in found.items())
    return None if too_many else found


def _moves(shares: Mapping[str, Share], allocated: Counter[str]) -> tuple[Counter[str], Counter[str]]:
    """How many endpoints each zone gives away, and how many each receives."""
    over = {zone: allocated[zone] - share.desired for zone, share in shares.items()}
    under = {zone: -surplus for zone, surplus in over.items()}
    giving: Counter[str] = Counter()
    receiving: Counter[str] = Counter()
    while True:
        giver, taker = max(over, key=lambda zone: over[zone]), max(under, key=lambda zone: under[zone])
        most, least = max(over[giver], under[taker]), min(over[giver], under[taker])
        if most < 1.0 or least < 0.5:
            return giving, receiving
        giving[giver] += 1
        receiving[taker] += 1
        over[giver] -= 1
        under[taker] -= 1


def _redistribute(slices: Sequence[list[Endpoint]], giving: Counter[str], receiving: Counter[str]) -> None:
    """Change hints in place: of the first endpoints of zones that give."""
    takers = _in_turn(receiving)
    for ends in slices:
        for place, endpoint in enumerate(ends):
            if endpoint.conditions.ready and giving[endpoint.zone] > 0:
                giving[endpoint.zone] -= 1
                ends[place] = _for_zone(endpoint, next(takers))


def _in_turn(receiving: Counter[str]) -> Iterator[str]:
    return (zone for zone in sorted(receiving) for _ in range(receiving[zone]))


def _for_zone(endpoint: Endpoint, zone: str) -> Endpoint:
    """The endpoint with a hint for a zone; without any where it is not ready."""
    hints = EndpointHints(for_zones=(ForZone(name=zone),)) if endpoint.conditions.ready else None
    return msgspec.structs.replace(endpoint, hints=hints)
