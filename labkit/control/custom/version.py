"""One served version of a custom resource, and what the server does with an object of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from labkit.api.problem import Problem, invalid, required
from labkit.api.resources import Resource
from labkit.api.validation import meta
from labkit.control.custom import complete, lists, rules, values

Raw = dict[str, Any]
Schema = dict[str, Any]

MOST_REPLICAS = 2**31 - 1


class Version(msgspec.Struct, frozen=True):
    """A version as its definition gives it; `ruled` is what `rules.ruled` says of its schema."""

    resource: Resource
    schema: Schema
    columns: list[Raw]
    storage: bool
    served: bool
    scale: Raw | None
    ruled: frozenset[int]
    warning: str
    selectable: tuple[str, ...]

    @property
    def has_status(self) -> bool:
        return "status" in self.resource.subresources

    def problems(self, raw: Raw, old: Raw | None) -> list[Problem]:
        """What is wrong with an object that is pruned and defaulted, metadata apart."""
        body = {name: value for name, value in raw.items() if name != "metadata"}
        found = values.problems(body, _without_metadata(self.schema))
        found += _embedded(body, self.schema, "")
        if found:
            return found
        found = list(lists.problems(body, self.schema))
        found += rules.Run(self.ruled).problems(raw, old, self.schema)
        return found + list(_replicas(raw, self.scale))


def read(crd: Raw) -> list[Version]:
    """The versions of a definition; its names are those that it asked for."""
    spec, names = crd["spec"], crd["spec"]["names"]
    found = []
    for version in spec["versions"]:
        schema = (version.get("schema") or {}).get("openAPIV3Schema") or {}
        resource = Resource(
            names["kind"],
            f"{spec['group']}/{version['name']}",
            names["plural"],
            tuple(names.get("shortNames") or ()),
            namespaced=spec["scope"] == "Namespaced",
            subresources=tuple(sorted(name for name in version.get("subresources") or {} if name in SUBRESOURCES)),
            categories=tuple(names.get("categories") or ()),
            custom=True,
            singular_name=names.get("singular", ""),
            list_name=names.get("listKind", ""),
        )
        found.append(
            Version(
                resource,
                schema,
                list(version.get("additionalPrinterColumns") or []),
                bool(version["storage"]),
                bool(version["served"]),
                (version.get("subresources") or {}).get("scale"),
                rules.ruled(schema),
                _warning(version, resource),
                tuple(field["jsonPath"] for field in version.get("selectableFields") or []),
            )
        )
    return found


SUBRESOURCES = ("scale", "status")


def _warning(version: Raw, resource: Resource) -> str:
    if not version.get("deprecated"):
        return ""
    return version.get("deprecationWarning") or f"{resource.api_version} {resource.kind} is deprecated"


def _without_metadata(schema: Schema) -> Schema:
    """The schema of a whole object but for its metadata, which is checked as every object's is."""
    known = {name: child for name, child in (schema.get("properties") or {}).items() if name != "metadata"}
    needed = [name for name in schema.get("required", ()) if name != "metadata"]
    return {**schema, "properties": known, "required": needed}


def _embedded(value: Any, schema: Schema, path: str) -> list[Problem]:
    """Resources within a resource must say what they are."""
    found: list[Problem] = []
    if isinstance(value, list) and isinstance(schema.get("items"), dict):
        for index, child in enumerate(value):
            found += _embedded(child, schema["items"], f"{path}[{index}]")
    if not isinstance(value, dict):
        return found
    if schema.get(complete.EMBEDDED):
        for name in ("apiVersion", "kind"):
            if not value.get(name):
                found.append(required(f"{path}.{name}", "must not be empty"))
        if isinstance(value.get("metadata"), dict):
            found += _metadata(value["metadata"], f"{path}.metadata")
    known, rest = schema.get("properties") or {}, schema.get("additionalProperties")
    for name, child in value.items():
        below = known.get(name, rest)
        if isinstance(below, dict):
            found += _embedded(child, below, f"{path}.{name}" if path else name)
    return found


def _metadata(metadata: Raw, path: str) -> Iterator[Problem]:
    for field in ("labels", "annotations"):
        given = metadata.get(field) or {}
        if not isinstance(given, dict) or not all(isinstance(value, str) for value in given.values()):
            yield invalid(f"{path}.{field}", given, "must be a map of strings", "Write texts.")
            return
    yield from meta.labels_and_annotations(metadata, path)


def _replicas(raw: Raw, scale: Raw | None) -> Iterator[Problem]:
    for path in (scale["specReplicasPath"], scale["statusReplicasPath"]) if scale else ():
        value = at(raw, path)
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, int):
            what = f"accessor error: {value!r} is of the type {type(value).__name__}, expected int64"
            yield invalid(path, 0, f"{path} {what}", "Write a number.")
        elif value < 0:
            yield invalid(path, value, "should be a non-negative integer", "Write 0 or more.")
        elif value > MOST_REPLICAS:
            yield invalid(path, value, f"should be less than or equal to {MOST_REPLICAS}", "Write less.")


def at(raw: Any, path: str) -> Any:
    """What stands at a path like ".spec.replicas"; None where there is nothing."""
    for name in path.strip(".").split("."):
        raw = raw.get(name) if isinstance(raw, dict) else None
    return raw
