"""What an object says by leaving it out: null fields, and lists and maps with nothing in them.

Go's types write neither (`omitempty`), so that `kubectl label pod web tier-` leaves no `labels: {}` behind, and a pod
template whose last variable goes is the template that it was before the first. Structs stay: `emptyDir: {}` says much.

Source: the struct tags of k8s.io/api; required lists have no `omitempty`, nor have those in KEPT.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from labkit.api.schema import OBJECT_META, PREFIX, Schema, definitions

KEPT = {
    f"{PREFIX}io.k8s.api.autoscaling.v2.HPAScalingRules": "policies",  # validation refuses an empty one
    f"{PREFIX}io.k8s.api.discovery.v1.EndpointSlice": "ports",
    f"{PREFIX}io.k8s.api.rbac.v1.ClusterRole": "rules",
    f"{PREFIX}io.k8s.api.rbac.v1.Role": "rules",
    OBJECT_META: "managedFields",  # an empty list means that nobody shall own anything
}
UNKNOWN: Schema = {}
NOTHING: frozenset[str] = frozenset()
CONTAINERS = (dict, list)


def compact(obj: dict[str, Any]) -> dict[str, Any]:
    """A deep copy of an object without what is left out. A status is only rid of nulls: it is written in pieces."""
    reference = _references().get((obj.get("apiVersion", ""), obj.get("kind", "")))
    made: dict[str, Any] = _copy({**obj, "status": None}, {"$ref": reference} if reference else UNKNOWN)
    if obj.get("status") is not None:
        made["status"] = _copy(obj["status"], UNKNOWN)
    return made


def compact_metadata(metadata: dict[str, Any]) -> dict[str, Any]:
    """The same of metadata, which are those of custom kinds too."""
    made: dict[str, Any] = _copy(metadata, {"$ref": OBJECT_META})
    return made


def _copy(value: Any, schema: Schema) -> Any:
    if isinstance(value, list):
        item = schema.get("items", UNKNOWN)
        return [_copy(child, item) if isinstance(child, CONTAINERS) else child for child in value]
    reference = schema.get("$ref")
    known: dict[str, Schema]
    known, omitted = _struct(reference) if reference else (UNKNOWN, NOTHING)
    rest: Schema = schema.get("additionalProperties", UNKNOWN)
    return {
        name: _copy(child, known.get(name, rest)) if isinstance(child, CONTAINERS) else child
        for name, child in value.items()
        if child is not None and (child or name not in omitted)
    }


@cache
def _references() -> dict[tuple[str, str], str]:
    """The definitions of kinds, by version and kind."""
    return {
        (f"{gvk['group']}/{gvk['version']}".lstrip("/"), gvk["kind"]): reference
        for reference, schema in definitions().items()
        for gvk in schema.get("x-kubernetes-group-version-kind", ())
    }


@cache
def _struct(reference: str) -> tuple[dict[str, Schema], frozenset[str]]:
    """The fields of a definition, and those of them, lists and maps, that are not written when they are empty."""
    schema = definitions()[reference]
    fields = schema.get("properties", UNKNOWN)
    found = {
        name
        for name, field in fields.items()
        if field.get("type") == "array" or (field.get("type") == "object" and "additionalProperties" in field)
    }
    return fields, frozenset(found - {*schema.get("required", ()), KEPT.get(reference)})
