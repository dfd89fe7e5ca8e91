"""Who must know the way to which pods: pure, and its application.

Nodes of one zone reach each other's pods directly, as kindnet's routes do; between zones the router knows the way to
every node's pods, as a cloud's route table does (cloud-provider's route controller).
"""

from __future__ import annotations

from collections.abc import Iterable

from labkit.cni.wiring import Route
from labkit.linux.rtnetlink import Links
from labkit.net.topology import Machine, Site


def plan(site: Site) -> dict[str, tuple[Route, ...]]:
    """Routes to pod ranges by machine name; "router" is one of them."""
    routes = {here.name: _to(m for m in site.machines if m.zone == here.zone and m != here) for here in site.machines}
    routes["router"] = _to(site.machines)
    return routes


def _to(machines: Iterable[Machine]) -> tuple[Route, ...]:
    return tuple(Route(*way) for m in machines for way in zip(m.pod_cidrs, m.addresses, strict=True))


def apply(links: Links, routes: tuple[Route, ...]) -> None:
    """Add the routes in one go; those that are there already stay."""
    with links.batch():
        for route in routes:
            links.add_route(route.to, via=route.via)
