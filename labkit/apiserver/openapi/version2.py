"""OpenAPI v2 (Swagger): everything in one document. kubectl before 1.28 reads it, as protobuf (`gnostic`).

Its schemas know less than those of v3: what they cannot say is left out, and clients read an absence as "anything".
Source: kube-openapi/pkg/schemaconv; apiextensions-apiserver/pkg/controller/openapi/v2/conversion.go.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from labkit.api.resources import Resource
from labkit.api.schema import PREFIX
from labkit.apiserver.discovery.server import version
from labkit.apiserver.openapi import definitions
from labkit.apiserver.openapi.definitions import GVK, INT_OR_STRING
from labkit.apiserver.openapi.documents import Custom
from labkit.apiserver.openapi.operations import QUERY, Operation, paths
from labkit.apiserver.openapi.version3 import IN_PATH, schemas

Raw = dict[str, Any]

QUANTITY = "io.k8s.apimachinery.pkg.api.resource.Quantity"
KEPT = ("default", "description", "enum", "format", "maximum", "maxItems", "maxLength", "minimum", "minItems",
        "minLength", "pattern", "required", "type", "uniqueItems")  # fmt: skip
PRESERVE = "x-kubernetes-preserve-unknown-fields"
_PARAMETER = re.compile(r"\{(\w+)\}")


def document(resources: Iterable[Resource], custom: Custom) -> Raw:
    """The document of all resources."""
    listed = list(resources)
    return {
        "swagger": "2.0",
        "info": {"title": "Kubernetes", "version": version()["gitVersion"]},
        "paths": {path: _path(path, operations) for each in listed for path, operations in sorted(paths(each).items())},
        "definitions": {
            name: schema(published if isinstance(published, dict) else definitions.published(name), name)
            for name, published in sorted(schemas(listed, custom).items())
        },
    }


def schema(written: Raw, name: str = "") -> Raw:
    """A schema of OpenAPI v3 in OpenAPI v2, as far as it goes. `name` is the definition's."""
    if name in (INT_OR_STRING, QUANTITY):
        text = {"type": "string", "format": "int-or-string"} if name == INT_OR_STRING else {"type": "string"}
        return {**text, **({"description": written["description"]} if "description" in written else {})}
    if "$ref" in written or (len(written.get("allOf") or ()) == 1 and "$ref" in written["allOf"][0]):
        reference = written.get("$ref") or written["allOf"][0]["$ref"]
        described = {"description": written["description"]} if "description" in written else {}
        return {"$ref": f"#/definitions/{reference.removeprefix(PREFIX)}", **described}
    found = {key: written[key] for key in KEPT if written.get(key) is not None}
    found |= {key: value for key, value in written.items() if key.startswith("x-kubernetes-")}
    if written.get("nullable") or (written.get(PRESERVE) and not written.get(GVK)):
        found.pop("type", None)  # a client of v2 would refuse a null, or a field that it does not know
        return found
    if written.get("properties") and not written.get(PRESERVE):
        found["properties"] = {key: schema(each) for key, each in written["properties"].items()}
    for key in ("items", "additionalProperties"):
        if isinstance(written.get(key), dict):
            found[key] = schema(written[key])
    return found


def _path(path: str, operations: list[Operation]) -> Raw:
    found: Raw = {each.method: _operation(each) for each in operations}
    if names := _PARAMETER.findall(path):
        found["parameters"] = [
            {"name": n, "in": "path", "required": True, "description": IN_PATH[n], "type": "string"} for n in names
        ]
    return found


def _operation(operation: Operation) -> Raw:
    group, _, version = operation.api_version.rpartition("/")
    parameters: list[Raw] = [
        {"name": name, "in": "query", "description": QUERY[name][1], "type": QUERY[name][0]} for name in operation.query
    ]
    found: Raw = {"operationId": operation.name, "tags": [operation.api_version.replace("/", "_")]}
    if operation.body:
        body = {"$ref": f"#/definitions/{operation.body}"}
        parameters.append({"name": "body", "in": "body", "required": operation.method != "delete", "schema": body})
        found["consumes"] = list(operation.takes)
    if parameters:
        found["parameters"] = parameters
    answer = {"schema": {"$ref": f"#/definitions/{operation.answer}"}} if operation.answer else {}
    found["responses"] = {"200": {"description": "OK", **answer}, "401": {"description": "Unauthorized"}}
    found["x-kubernetes-action"] = operation.action
    found[GVK] = {"group": group, "kind": operation.kind, "version": version}
    return found
