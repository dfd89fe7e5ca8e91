"""What of an object its `metadata.generation` counts.

Source: the `PrepareForUpdate` of pkg/registry/{discovery/endpointslice,scheduling/priorityclass,…}/strategy.go;
apiextensions-apiserver/pkg/registry/customresource/strategy.go.
"""

from __future__ import annotations

from typing import Any

Raw = dict[str, Any]


def counted(raw: Raw) -> Raw:
    """The part of an object whose change makes its generation rise."""
    place = raw["apiVersion"].partition("/")[0], raw["kind"]
    if place == ("scheduling.k8s.io", "PriorityClass"):
        return {}
    found = {field: value for field, value in raw.items() if field not in ("metadata", "status")}
    if place == ("discovery.k8s.io", "EndpointSlice"):
        found["labels"] = raw["metadata"].get("labels")
    return found
