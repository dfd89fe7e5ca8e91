"""Lists as tables, for `kubectl get`: the server computes what the client prints; and objects as their metadata alone.

Source: k8s.io/apiserver/pkg/endpoints/handlers/response.go (asTable, asPartialObjectMetadata); KEP-515.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any, Literal

from labkit.api.resources import Resource
from labkit.apiserver.tables.columns import AGE, NAME, Column, Printer, View
from labkit.apiserver.tables.human import since

Raw = dict[str, Any]
META = "meta.k8s.io/v1"

CREATED = (
    NAME,
    Column("Created At", "meta.v1.ObjectMeta.creationTimestamp", type="date"),
)


@cache
def printers() -> Mapping[str, Printer]:
    """By kind. Those without a printer of their own show name and time of creation."""
    # Imported with the first table: 10 ms that a lab need not spend at its start.
    from labkit.apiserver.tables import autoscaling, cluster, network, pods, stored, workloads

    return {
        **pods.PRINTERS,
        **workloads.PRINTERS,
        **network.PRINTERS,
        **cluster.PRINTERS,
        **stored.PRINTERS,
        **autoscaling.PRINTERS,
    }


def printer(resource: Resource, columns: Sequence[Raw] | None = None) -> Printer:
    """How a resource is printed. `columns` are a custom resource's additionalPrinterColumns; without, name and age."""
    if not resource.custom:
        return printers().get(resource.kind) or Printer(CREATED, _created)
    if not columns:
        return Printer((NAME, AGE), _name_and_age)
    from labkit.apiserver.tables import custom

    return custom.printer(list(columns))


def table(
    resource: Resource,
    objects: Iterable[Raw],
    now: float,
    include: Literal["None", "Metadata", "Object"] = "Metadata",
    columns: Sequence[Raw] | None = None,
    metadata: Raw | None = None,
    headers: bool = True,
) -> Raw:
    """A Table of meta.k8s.io/v1, a row for each object in their order.

    now       seconds since 1970, for ages
    include   the query parameter `includeObject`: what of its object each row carries
    metadata  the list's (resourceVersion, continue…), or the one object's resourceVersion
    headers   False in a watch after its first event: clients keep the columns they have
    """
    used = printer(resource, columns)
    view = View(now)
    return {
        "kind": "Table",
        "apiVersion": META,
        "metadata": metadata or {},
        "columnDefinitions": [column.definition() for column in used.columns] if headers else [],
        "rows": [_row(used, used.cells(o, view), o, include) for o in objects],
    }


def _row(used: Printer, cells: list[Any], o: Raw, include: str) -> Raw:
    row: Raw = {"cells": cells}
    if used.conditions and (condition := used.conditions.get((o.get("status") or {}).get("phase", ""))):
        row["conditions"] = [condition]
    if include == "Object":
        row["object"] = o
    elif include == "Metadata":
        row["object"] = partial(o)
    return row


def partial(o: Raw) -> Raw:
    """An object's PartialObjectMetadata: type and metadata, nothing else of it."""
    return {"kind": "PartialObjectMetadata", "apiVersion": META, "metadata": o["metadata"]}


def partial_list(objects: Iterable[Raw], metadata: Raw) -> Raw:
    """The PartialObjectMetadataList of objects; `metadata` is the list's."""
    items = [partial(o) for o in objects]
    return {"kind": "PartialObjectMetadataList", "apiVersion": META, "metadata": metadata, "items": items}


def _name_and_age(o: Raw, view: View) -> list[Any]:
    return [o["metadata"]["name"], since(o["metadata"].get("creationTimestamp"), view.now)]


def _created(o: Raw, _: View) -> list[Any]:
    return [o["metadata"]["name"], o["metadata"].get("creationTimestamp", "")]
