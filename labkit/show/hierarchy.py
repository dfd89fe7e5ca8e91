"""What stands between a client and the pods of some Services: one row each, one column for each thing in between."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from labkit.show import layered
from labkit.show.backends import HasObjects, slices_of
from labkit.show.layered import Box, Edge
from labkit.show.picture import Picture

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame

Raw = Mapping[str, Any]
FACTS = ("service", "type", "other name", "load balancer", "node port", "cluster IP", "ready endpoints")
_HEADS = ("Service", "outside", "each node", "virtual address", "endpoints")
_CHAIN = ("LoadBalancer", "NodePort", "ClusterIP")  # each has all that the next one has


class HierarchyPicture(Picture):
    """One row of boxes for each Service; `facts` has a row with the columns FACTS for each."""

    def __init__(self, services: Sequence[Raw], ready: Mapping[str, int]) -> None:
        from pandas import DataFrame

        rows = [_row(service, ready.get(service["metadata"]["name"], 0)) for service in services]
        facts = DataFrame(rows, columns=list(FACTS))
        super().__init__(_title(facts), facts)

    def draw(self) -> Figure:
        boxes: list[Box] = []
        edges: list[Edge] = []
        for number, row in enumerate(self.facts.to_dict("records")):
            chain = [Box(f"{number} 0", 0, number, row["service"], row["type"])]
            if row["other name"]:
                chain.append(Box(f"{number} 1", 1, number, row["other name"], "another name (CNAME)", "outside"))
            if row["load balancer"]:
                chain.append(Box(f"{number} 1", 1, number, row["load balancer"], "load balancer", "outside"))
            if row["node port"]:
                chain.append(Box(f"{number} 2", 2, number, f"port {row['node port']}", "of every node", "node"))
            if row["cluster IP"] not in ("", "None"):
                chain.append(Box(f"{number} 3", 3, number, row["cluster IP"], "of no interface"))
            if not row["other name"]:
                under = "told by DNS" if row["cluster IP"] == "None" else "by kube-proxy's rules"
                chain.append(Box(f"{number} 4", 4, number, f"{row['ready endpoints']} ready", under, "pod"))
            boxes += chain
            edges += [Edge(a.key, b.key) for a, b in pairwise(chain)]
        return layered.draw(self.title, _HEADS, boxes, edges)


def hierarchy(lab: HasObjects, services: Sequence[str], namespace: str = "default") -> HierarchyPicture:
    """Draw what stands between a client and the pods of these Services, one below the other.

    Raises `ApiError` where there is no such Service.
    """
    found = [lab.get(f"svc/{name}", namespace) for name in services]
    ready = {name: sum(map(_ready, slices_of(lab, name, namespace))) for name in services}
    return HierarchyPicture(found, ready)


def _ready(item: Raw) -> int:
    ends = item.get("endpoints") or ()
    return sum((end.get("conditions") or {}).get("ready") is not False for end in ends)


def _row(service: Raw, ready: int) -> tuple[object, ...]:
    spec = service["spec"]
    given = ((service.get("status") or {}).get("loadBalancer") or {}).get("ingress") or ()
    return (
        service["metadata"]["name"],
        spec.get("type", "ClusterIP"),
        spec.get("externalName", ""),
        ",".join(entry.get("ip") or entry.get("hostname", "") for entry in given),
        ",".join(str(port["nodePort"]) for port in spec.get("ports", ()) if port.get("nodePort")),
        spec.get("clusterIP", ""),
        ready,
    )


def _title(facts: DataFrame) -> str:
    """The claim that each type has all that the next one has, as far as it is so here."""
    has: dict[str, set[str]] = {}
    for row in facts.to_dict("records"):
        parts = {name for name in ("load balancer", "node port", "cluster IP") if row[name] not in ("", "None")}
        if parts:
            has.setdefault(str(row["type"]), parts)
    chain = [name for name in _CHAIN if name in has]
    if len(chain) > 1 and all(has[a] > has[b] for a, b in pairwise(chain)):
        told = ", ".join(f"a {a} is a {b} and more" for a, b in pairwise(chain))
        return told.replace("a ", "A ", 1)
    return "What stands between a client and the endpoints"
