"""The operations of the API: what can be done at which path. Both versions of OpenAPI are written from these.

Clients look here for what they may send: kubectl asks a resource's `patch` for `fieldValidation` and `dryRun`, and
whether it takes strategic merge patches. Source: apiserver/pkg/endpoints/installer.go.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from labkit.api.resources import Resource
from labkit.apiserver.discovery.subresources import Subresource, subresources
from labkit.apiserver.openapi.definitions import META, name_of, names

PATCHES = ("application/apply-patch+yaml", "application/json-patch+json", "application/merge-patch+json")
STRATEGIC = "application/strategic-merge-patch+json"
OBJECTS = ("application/json", "application/yaml", "application/vnd.kubernetes.protobuf")

QUERY = {
    "allowWatchBookmarks": ("boolean", "Ask for BOOKMARK events, which bring a newer resourceVersion and no change."),
    "continue": ("string", "The token of the page before: the list goes on after it."),
    "dryRun": ("string", "All: process the request wholly, and keep nothing of it."),
    "fieldManager": ("string", "Who makes these changes, by name."),
    "fieldSelector": ("string", "Restrict the objects by their fields."),
    "fieldValidation": ("string", "What becomes of unknown and repeated fields: Ignore, Warn or Strict."),
    "force": ("boolean", "Apply: take over fields that other managers own."),
    "gracePeriodSeconds": ("integer", "How long the object may take to end; 0 for at once."),
    "labelSelector": ("string", "Restrict the objects by their labels."),
    "limit": ("integer", "How many objects to answer at most; the answer tells how to get the rest."),
    "propagationPolicy": ("string", "What becomes of dependents: Orphan, Background or Foreground."),
    "resourceVersion": ("string", "How new the answer must be; for a watch, where to begin."),
    "resourceVersionMatch": ("string", "How resourceVersion is meant: Exact or NotOlderThan."),
    "sendInitialEvents": ("boolean", "Watch: begin with an event for each object that there is."),
    "timeoutSeconds": ("integer", "How long a list or watch may last."),
    "watch": ("boolean", "Answer changes as they happen in place of a list."),
}
"""Query parameters: type and meaning."""

LIST = ("allowWatchBookmarks", "continue", "fieldSelector", "labelSelector", "limit", "resourceVersion",
        "resourceVersionMatch", "sendInitialEvents", "timeoutSeconds", "watch")  # fmt: skip
WRITE = ("dryRun", "fieldManager", "fieldValidation")
DELETE = ("dryRun", "gracePeriodSeconds", "propagationPolicy")
DONE = META + "Status"


class Operation(msgspec.Struct, frozen=True):
    """What a method does at a path. `body` and `answer` are names of definitions, empty where they are none.

    action  the value of x-kubernetes-action
    """

    method: str
    action: str
    name: str
    api_version: str
    kind: str
    query: tuple[str, ...] = ()
    body: str = ""
    takes: tuple[str, ...] = ()
    answer: str = ""


def paths(resource: Resource) -> dict[str, list[Operation]]:
    """All operations of a resource and its subresources, by path."""
    root = f"/apis/{resource.api_version}" if resource.group else f"/api/{resource.version}"
    within = f"{root}/namespaces/{{namespace}}" if resource.namespaced else root
    found = {f"{within}/{resource.plural}": list(_of_collection(resource))}
    if resource.namespaced and "list" in resource.verbs:
        found[f"{root}/{resource.plural}"] = [_operation(resource, "get", "list", "list", "ForAllNamespaces", LIST)]
    found[f"{within}/{resource.plural}/{{name}}"] = list(_of_object(resource))
    for sub in subresources(resource):
        path = f"{within}/{resource.plural}/{{name}}/{sub.name}"
        found[path] = [_of_subresource(resource, sub, verb) for verb in sub.verbs]
    return {path: operations for path, operations in found.items() if operations}


def _of_collection(resource: Resource) -> Iterator[Operation]:
    name = name_of(resource)
    if "list" in resource.verbs:
        yield _operation(resource, "get", "list", "list", "", LIST, answer=f"{name}List")
    if "create" in resource.verbs:
        yield _operation(resource, "post", "post", "create", "", WRITE, name, OBJECTS)
    if "deletecollection" in resource.verbs:
        query = tuple(sorted({*DELETE, *LIST} - {"allowWatchBookmarks", "watch"}))
        yield _operation(resource, "delete", "deletecollection", "deleteCollection", "", query, answer=DONE)


def _of_object(resource: Resource) -> Iterator[Operation]:
    name = name_of(resource)
    if "get" in resource.verbs:
        yield _operation(resource, "get", "get", "read")
    if "update" in resource.verbs:
        yield _operation(resource, "put", "put", "replace", "", WRITE, name, OBJECTS)
    if "patch" in resource.verbs:
        query = (*WRITE, "force")
        yield _operation(resource, "patch", "patch", "patch", "", query, META + "Patch", _patches(resource))
    if "delete" in resource.verbs:
        yield _operation(resource, "delete", "delete", "delete", "", DELETE, META + "DeleteOptions", OBJECTS, DONE)


VERBS = {"get": "read", "update": "replace", "patch": "patch", "create": "create", "delete": "delete"}
METHODS = {"get": "get", "update": "put", "patch": "patch", "create": "post", "delete": "delete"}


def _of_subresource(resource: Resource, sub: Subresource, verb: str) -> Operation:
    api_version = sub.api_version or resource.api_version
    own = sub.kind == resource.kind and not sub.api_version
    name = name_of(resource) if own else names().get((api_version, sub.kind), "")
    if not name:  # a stream: its kind holds the query parameters, and is no object
        named = _name(f"connect{METHODS[verb].title()}", resource, sub.name.title())
        return Operation(METHODS[verb], "connect", named, api_version, sub.kind)
    body: str = ""
    takes: tuple[str, ...] = ()
    query: tuple[str, ...] = ()
    if verb == "patch":
        body, takes, query = META + "Patch", _patches(resource), (*WRITE, "force")
    elif verb != "get":
        body, takes, query = name, OBJECTS, WRITE
    named = _name(VERBS[verb], resource, sub.name.title())
    return Operation(METHODS[verb], METHODS[verb], named, api_version, sub.kind, query, body, takes, name)


def _patches(resource: Resource) -> tuple[str, ...]:
    return PATCHES if resource.custom else (*PATCHES, STRATEGIC)


def _operation(
    resource: Resource,
    method: str,
    action: str,
    verb: str,
    ending: str = "",
    query: tuple[str, ...] = (),
    body: str = "",
    takes: tuple[str, ...] = (),
    answer: str = "",
) -> Operation:
    name = name_of(resource)
    answer = answer or (f"{name}List" if action == "list" else name)
    named = _name(verb, resource, ending)
    return Operation(method, action, named, resource.api_version, resource.kind, query, body, takes, answer)


def _name(verb: str, resource: Resource, ending: str) -> str:
    """The operationId: "patchAppsV1NamespacedDeploymentScale"."""
    group = resource.group.removesuffix(".k8s.io").removesuffix(".authorization") or "core"
    words = "".join(word[:1].upper() + word[1:] for word in (*group.split("."), resource.version))
    scope = "Namespaced" if resource.namespaced and ending != "ForAllNamespaces" else ""
    return f"{verb}{words}{scope}{resource.kind}{ending}"
