"""The picture of the lab's network: the outside above, then routers, switches, nodes, and each node's pods below it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from labkit.net.place import Place
from labkit.show.picture import Picture

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from networkx import Graph
    from pandas import DataFrame

FACTS = ("place", "kind", "node", "zone", "addresses", "linked to")


class HasTopology(Protocol):
    """A lab, as far as its picture needs it."""

    def topology(self) -> Mapping[str, Any]: ...


class Link(msgspec.Struct, frozen=True):
    """A cable between two places by name. Bandwidth in Mbit/s, delay in ms; None where it is not limited."""

    a: str
    b: str
    a_interface: str = ""
    b_interface: str = ""
    bandwidth_mbit: float | None = None
    delay_ms: float | None = None

    @property
    def limits(self) -> str:
        """`100 Mbit/s, 5 ms`, or nothing."""
        parts = []
        if self.bandwidth_mbit is not None:
            parts.append(f"{self.bandwidth_mbit:g} Mbit/s")
        if self.delay_ms is not None:
            parts.append(f"{self.delay_ms:g} ms")
        return ", ".join(parts)


class TopologyPicture(Picture):
    """The drawn topology; `facts` has one row per place with the columns FACTS, `graph` is networkx's view of it."""

    def __init__(self, places: Sequence[Place], links: Sequence[Link]) -> None:
        # A switch is a bridge without a namespace of its own: links may name it though no place does.
        known = {place.name for place in places}
        switches = {end for link in links for end in (link.a, link.b)} - known
        all_places = [*places, *(Place(name, "switch", "") for name in switches)]
        self.places = tuple(sorted(all_places, key=lambda place: place.name))
        self.links = tuple(sorted(links, key=lambda link: (link.a, link.b, link.a_interface)))
        super().__init__(_title(self.places), _facts(self.places, self.links))

    @property
    def graph(self) -> Graph[str]:
        """Places as nodes with the attributes kind, node, zone; links as edges with their limits."""
        from networkx import Graph

        graph: Graph[str] = Graph()
        for place in self.places:
            graph.add_node(place.name, kind=place.kind, node=place.node, zone=place.zone)
        for link in self.links:
            graph.add_edge(link.a, link.b, bandwidth_mbit=link.bandwidth_mbit, delay_ms=link.delay_ms)
        for place in self.places:
            if place.kind == "pod" and place.node:
                graph.add_edge(place.name, place.node)
        return graph

    def draw(self) -> Figure:
        from labkit.show import graph_drawing

        return graph_drawing.draw(self.title, self.places, self.links)


def topology(lab: HasTopology | Mapping[str, Any]) -> TopologyPicture:
    """Draw a lab, or what its `topology()` gives: `places` (Place or its fields) and `links` (the fields of Link)."""
    facts = lab if isinstance(lab, Mapping) else lab.topology()
    places = [msgspec.convert(place, Place, from_attributes=True) for place in facts["places"]]
    links = [msgspec.convert(link, Link, from_attributes=True) for link in facts["links"]]
    return TopologyPicture(places, links)


def _title(places: Sequence[Place]) -> str:
    def count(kind: str) -> str:
        number = sum(place.kind == kind for place in places)
        return f"{number:,} {kind}" if number == 1 else f"{number:,} {kind}s"

    zones = len({place.zone for place in places if place.kind == "node" and place.zone})
    where = f" in {zones} zones" if zones > 1 else ""
    return f"{count('pod')} on {count('node')}{where}"


def _facts(places: Sequence[Place], links: Sequence[Link]) -> DataFrame:
    from pandas import DataFrame

    order = ("outside", "router", "switch", "node", "pod")
    rows = [
        (p.name, p.kind, p.node, p.zone, ", ".join(p.addresses), "; ".join(_ends(p, links)))
        for p in sorted(places, key=lambda p: (order.index(p.kind), p.node, p.name))
    ]
    return DataFrame(rows, columns=list(FACTS))


def _ends(place: Place, links: Sequence[Link]) -> list[str]:
    """What hangs on a place's cables; a pod's is its node."""
    if place.kind == "pod":
        return [place.node] if place.node else []
    others = [(link.b if link.a == place.name else link.a, link) for link in links if place.name in (link.a, link.b)]
    return [f"{other} ({link.limits})" if link.limits else other for other, link in others]
