"""OpenAPI v3: one document for each group and version, `/openapi/v3/apis/apps/v1`.

Source: KEP-2896; kube-openapi/pkg/handler3, pkg/builder3.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import msgspec

from labkit.api.resources import Resource
from labkit.api.schema import PREFIX
from labkit.apiserver.discovery.server import version
from labkit.apiserver.openapi import definitions
from labkit.apiserver.openapi.definitions import META, name_of
from labkit.apiserver.openapi.documents import Custom
from labkit.apiserver.openapi.operations import QUERY, Operation, paths

Raw = dict[str, Any]

IN_PATH = {"name": "The object's name.", "namespace": "The namespace that the object is in."}
PATCH = {"type": "object", "description": "A patch, in the form that its content type says."}
ANSWERS = ("application/json", "application/yaml")
_PARAMETER = re.compile(r"\{(\w+)\}")


def document(resources: Iterable[Resource], custom: Custom) -> bytes:
    """The document of one group and version, whose resources these are."""
    listed = list(resources)
    found = {
        "openapi": "3.0.0",
        "info": {"title": "Kubernetes", "version": version()["gitVersion"]},
        "paths": {path: _path(path, operations) for each in listed for path, operations in sorted(paths(each).items())},
        "components": {"schemas": dict(sorted(schemas(listed, custom).items()))},
    }
    return msgspec.json.encode(found)


def schemas(resources: Iterable[Resource], custom: Custom) -> dict[str, Raw | msgspec.Raw]:
    """All definitions that a document of these resources needs, by name."""
    found: dict[str, Raw | msgspec.Raw] = {META + "Patch": PATCH}
    needed = {META + each for each in ("DeleteOptions", "Status", "ListMeta", "ObjectMeta")}
    for each in resources:
        name = name_of(each)
        if name in definitions.descriptions() and not each.custom:
            needed.add(name)
        else:
            found[name] = definitions.custom(each, custom(each.api_version, each.kind))
        if "list" in each.verbs:
            found[f"{name}List"] = definitions.list_of(each)
        for operations in paths(each).values():
            needed |= {used for o in operations for used in (o.body, o.answer) if used in definitions.descriptions()}
    for name in {each for one in needed for each in definitions.referred(one)}:
        found[name] = definitions.encoded(name)
    return found


def _path(path: str, operations: list[Operation]) -> Raw:
    found: Raw = {each.method: _operation(each) for each in operations}
    if names := _PARAMETER.findall(path):
        found["parameters"] = [
            {"name": n, "in": "path", "required": True, "description": IN_PATH[n], "schema": {"type": "string"}}
            for n in names
        ]
    return found


def _operation(operation: Operation) -> Raw:
    group, _, version = operation.api_version.rpartition("/")
    found: Raw = {"operationId": operation.name, "tags": [operation.api_version.replace("/", "_")]}
    if operation.query:
        found["parameters"] = [_parameter(name) for name in operation.query]
    if operation.body:
        found["requestBody"] = {"required": True, "content": _content(operation.takes, operation.body)}
        if operation.method == "delete":
            del found["requestBody"]["required"]
    content = {"content": _content(ANSWERS, operation.answer)} if operation.answer else {}
    found["responses"] = {"200": {"description": "OK", **content}, "401": {"description": "Unauthorized"}}
    found["x-kubernetes-action"] = operation.action
    found[definitions.GVK] = {"group": group, "kind": operation.kind, "version": version}
    return found


def _parameter(name: str) -> Raw:
    kind, meaning = QUERY[name]
    return {"name": name, "in": "query", "description": meaning, "schema": {"type": kind, "uniqueItems": True}}


def _content(types: Iterable[str], name: str) -> Raw:
    return {each: {"schema": {"$ref": PREFIX + name}} for each in types}
