"""Who answers for a Service: the Service, its EndpointSlices, the endpoints in them, each with its conditions."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, Protocol

from labkit.show import layered
from labkit.show.layered import Box, Edge
from labkit.show.picture import Picture

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame

Raw = Mapping[str, Any]
FACTS = ("slice", "address", "ports", "pod", "node", "zone", "ready", "serving", "terminating", "for zones")
SHOWN = 8  # endpoints of one slice that are drawn each by itself; more are one box
LONG = 12  # rows; a longer table is folded away below the picture
_SERVICE_NAME = "kubernetes.io/service-name"


class HasObjects(Protocol):
    """A lab, as far as pictures of its objects need it."""

    def get(self, what: str, namespace: str | None = "default") -> Any: ...

    def objects(self, kind: str, namespace: str | None = "default") -> list[dict[str, Any]]: ...


class BackendsPicture(Picture):
    """Service -> EndpointSlice -> endpoint; `facts` has one row per endpoint with the columns FACTS."""

    def __init__(self, service: Raw, slices: Sequence[Raw]) -> None:
        self.service = service
        self.slices = tuple(sorted(slices, key=lambda s: str(s["metadata"]["name"])))
        facts = _facts(self.slices)
        super().__init__(_title(service, self.slices, facts), facts)
        if len(facts) > LONG:
            self.folded = f"the same as a table: {len(facts)} endpoints"

    def draw(self) -> Figure:
        boxes: list[Box] = []
        edges: list[Edge] = []
        row = 0.0
        for index, name in enumerate(s["metadata"]["name"] for s in self.slices):
            ends = self._ends(index, row)
            boxes += ends
            size, ports = len(self.slices[index].get("endpoints") or ()), _ports(self.slices[index])
            middle = row + (max(len(ends), 1) - 1) / 2
            boxes.append(Box(f"slice {index}", 1, middle, name, f"{_count(size)}, {ports or 'no port'}"))
            edges += [Edge(f"slice {index}", end.key, end.faint) for end in ends]
            edges.append(Edge("service", f"slice {index}"))
            row += max(len(ends), 1)
        spec = self.service["spec"]
        under = {"None": "headless"}.get(spec.get("clusterIP", ""), spec.get("clusterIP", ""))
        boxes.append(Box("service", 0, (max(row, 1) - 1) / 2, self.service["metadata"]["name"], under))
        caption = "Grey and dashed: not ready, so no new connection goes there." if any(b.faint for b in boxes) else ""
        return layered.draw(self.title, ("Service", "EndpointSlice", "endpoint"), boxes, edges, caption)

    def _ends(self, index: int, row: float) -> list[Box]:
        """The boxes of one slice's endpoints; one for all of them where they are many."""
        rows = self.facts[self.facts["slice"] == self.slices[index]["metadata"]["name"]]
        if len(rows) > SHOWN:
            ready, nodes = int(rows.ready.sum()), rows.node.nunique()
            under = f"{'all' if ready == len(rows) else f'{ready:,}'} ready, on {nodes} node{'s' if nodes > 1 else ''}"
            return [Box(f"end {index}", 2, row, f"{rows.address.iloc[0]} … {rows.address.iloc[-1]}", under, "pod")]
        return [
            Box(f"end {index} {i}", 2, row + i, _who(end), _where(end), "pod", faint=not end["ready"])
            for i, end in enumerate(rows.to_dict("records"))
        ]


def backends(lab: HasObjects, service: str, namespace: str = "default") -> BackendsPicture:
    """Draw who answers for a Service. Raises `ApiError` where there is no such Service."""
    name = service.removeprefix("svc/")
    return BackendsPicture(lab.get(f"svc/{name}", namespace), slices_of(lab, name, namespace))


def slices_of(lab: HasObjects, service: str, namespace: str) -> list[dict[str, Any]]:
    """The EndpointSlices that say that they are of this Service."""
    found = lab.objects("EndpointSlice", namespace)
    return [s for s in found if (s["metadata"].get("labels") or {}).get(_SERVICE_NAME) == service]


def _facts(slices: Sequence[Raw]) -> DataFrame:
    from pandas import DataFrame

    rows = [_row(item, end) for item in slices for end in sorted(item.get("endpoints") or (), key=_order)]
    return DataFrame(rows, columns=list(FACTS))


def _row(item: Raw, end: Raw) -> tuple[object, ...]:
    """A condition that is not said counts as ready; serving as ready; terminating as not (KEP-1672)."""
    conditions = end.get("conditions") or {}
    ready = conditions.get("ready") is not False
    return (
        item["metadata"]["name"],
        end["addresses"][0],
        _ports(item),
        (end.get("targetRef") or {}).get("name", ""),
        end.get("nodeName", ""),
        end.get("zone", ""),
        ready,
        conditions.get("serving", ready) is not False,
        conditions.get("terminating") is True,
        ",".join(zone["name"] for zone in (end.get("hints") or {}).get("forZones", ())),
    )


def _order(end: Raw) -> tuple[int, int]:
    address = ip_address(end["addresses"][0])
    return address.version, int(address)


def _ports(item: Raw) -> str:
    return ",".join(str(port.get("port", "any")) for port in item.get("ports") or ())


def _who(end: Mapping[Hashable, Any]) -> str:
    return f"{end['pod']}  {end['address']}".strip()


def _where(end: Mapping[Hashable, Any]) -> str:
    """Node and zone, and what is to be said about its conditions and hints."""
    if not end["node"]:
        return "on no node"
    state = "" if end["ready"] else "not ready"
    if end["terminating"]:
        state = "terminating, still serving" if end["serving"] else "terminating"
    place = f"{end['node']}, zone {end['zone']}" if end["zone"] else end["node"]
    hint = f"for zone {end['for zones']}" if end["for zones"] else ""
    return "; ".join(filter(None, (place, state, hint)))


def _title(service: Raw, slices: Sequence[Raw], facts: DataFrame) -> str:
    name, total, ready = service["metadata"]["name"], len(facts), int(facts.ready.sum())
    if not slices:
        return f"{name} has no EndpointSlice"
    spread = f"in {len(slices)} EndpointSlice{'s' if len(slices) > 1 else ''}"
    if not total:
        return f"{name} has no endpoint"
    if ready == total:
        return f"{name} stands for {_count(total)} {spread}"
    return f"{ready:,} of {name}'s {_count(total)} {'is' if ready == 1 else 'are'} ready, {spread}"


def _count(number: int) -> str:
    return "1 endpoint" if number == 1 else f"{number:,} endpoints"
