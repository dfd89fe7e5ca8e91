"""API objects as data frames: the columns and words of `kubectl get -o wide`, as the API server computes them.

Three differences, so that a notebook reads well and a second run gives the same: no ages, numbers are numbers, and
lists of addresses are written out in order. Pure: lists of objects in, rows out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from labkit.api.resources import Resource
from labkit.apiserver.tables import table
from labkit.apiserver.tables.columns import View

Raw = dict[str, Any]
Row = dict[str, object]

TIMES = {"Age", "Created At", "Duration", "First Seen", "Last Seen", "Last Schedule"}
SELDOM = {"Nominated Node", "Readiness Gates"}
VIEW = View(now=0, whole=True)


def rows(resource: Resource, objects: list[Raw], with_namespace: bool, labels: Sequence[str] = ()) -> list[Row]:
    """One row for each object, NAMESPACE first where objects of several are listed, then `labels` as with `-L`."""
    printer = table.printer(resource)
    names = [column.name for column in printer.columns]
    found = []
    for o in objects:
        meta = o["metadata"]
        row: Row = {"NAMESPACE": meta.get("namespace", "")} if with_namespace else {}
        for name, value in zip(names, printer.cells(o, VIEW), strict=True):
            if name not in TIMES | SELDOM:
                row[name.upper()] = int(value.partition(" ")[0]) if name == "Restarts" else value
        given = meta.get("labels") or {}
        found.append({**row, **{key.rpartition("/")[2].upper(): given.get(key, "") for key in labels}})
    return found
