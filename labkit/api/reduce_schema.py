"""Make `schema.json.gz`: the OpenAPI definitions of the kinds that the lab knows, with everything they refer to.

The input is `v1.34.0-local/_definitions.json` of the PyPI package `kubernetes-validate` (Kubernetes' published
OpenAPI, turned into JSON schema). Install that package, then:

    python -m labkit.api.reduce_schema

What is changed on the way: descriptions are dropped (nine tenths of the size); `null` is dropped from the types
(the checker takes a null for an absent field everywhere, as Kubernetes' decoder does); the converter's one-value
`enum` of apiVersion and kind is dropped (the group-version-kind says it); references become OpenAPI v3's. Kept:
types, formats, required fields and all `x-kubernetes-…` keywords (list types, map and merge keys, group-version-kinds).
"""

from __future__ import annotations

import gzip
import importlib.util
from pathlib import Path
from typing import Any

import msgspec

from labkit.api.resources import ALSO_SERVED, CREATED_ONLY, STORED

KUBERNETES = "v1.34.0"
OUTPUT = Path(__file__).with_name("schema.json.gz")
BODIES = (("autoscaling/v1", "Scale"), ("policy/v1", "Eviction"), ("authentication.k8s.io/v1", "TokenRequest"),
          ("v1", "DeleteOptions"), ("v1", "Status"))  # fmt: skip
"""What is sent to subresources, or answered, besides the resources themselves."""
OLD_PREFIX = "#/$defs/"
NEW_PREFIX = "#/components/schemas/"

Schema = dict[str, Any]


def read_definitions() -> dict[str, Schema]:
    """The input's definitions by name. Raises `SystemExit` where the package is missing."""
    spec = importlib.util.find_spec("kubernetes_validate")
    if spec is None or spec.origin is None:
        raise SystemExit("kubernetes-validate is not installed: pip install kubernetes-validate")
    file = Path(spec.origin).parent / "kubernetes-json-schema" / f"{KUBERNETES}-local" / "_definitions.json"
    definitions: dict[str, Schema] = msgspec.json.decode(file.read_bytes())["$defs"]
    return definitions


def roots(definitions: dict[str, Schema]) -> set[str]:
    """Names of the definitions whose group-version-kind is listed in KINDS."""
    wanted = {(r.api_version, r.kind) for r in (*STORED, *ALSO_SERVED, *CREATED_ONLY)} | set(BODIES)
    found = {}
    for name, schema in definitions.items():
        for gvk in schema.get("x-kubernetes-group-version-kind", ()):
            version = f"{gvk['group']}/{gvk['version']}".lstrip("/")
            if (version, gvk["kind"]) in wanted:
                found[version, gvk["kind"]] = name
    missing = wanted - found.keys()
    if missing:
        raise SystemExit(f"not in the input: {sorted(missing)}")
    return set(found.values())


def reduce(schema: Schema) -> Schema:
    """One definition without the keywords that the lab does not use. Names of properties are left alone."""
    reduced: Schema = {}
    for keyword, value in schema.items():
        match keyword:
            case "description" | "enum":
                continue
            case "type" if isinstance(value, list):
                reduced["type"] = next(name for name in value if name != "null")
            case "$ref":
                reduced["$ref"] = value.replace(OLD_PREFIX, NEW_PREFIX)
            case "properties":
                reduced["properties"] = {name: reduce(field) for name, field in value.items()}
            case "items" | "additionalProperties" if isinstance(value, dict):
                reduced[keyword] = reduce(value)
            case "oneOf":
                reduced["oneOf"] = [reduce(choice) for choice in value]
            case _:
                reduced[keyword] = value
    return reduced


def references(schema: Schema) -> set[str]:
    """Names of the definitions that a reduced definition refers to."""
    found = set()
    if "$ref" in schema:
        found.add(schema["$ref"].removeprefix(NEW_PREFIX))
    nested = [*schema.get("properties", {}).values(), schema.get("items"), schema.get("additionalProperties")]
    for child in nested:
        if isinstance(child, dict):
            found |= references(child)
    return found


def closure(definitions: dict[str, Schema]) -> dict[str, Schema]:
    """The roots and all that they refer to, reduced, by name in order."""
    kept: dict[str, Schema] = {}
    waiting = roots(definitions)
    while waiting:
        name = waiting.pop()
        kept[name] = reduce(definitions[name])
        waiting |= references(kept[name]) - kept.keys()
    return dict(sorted(kept.items()))


def main() -> None:
    # mtime=0: the same input gives the same bytes.
    OUTPUT.write_bytes(gzip.compress(msgspec.json.encode(closure(read_definitions())), 9, mtime=0))


if __name__ == "__main__":
    main()
