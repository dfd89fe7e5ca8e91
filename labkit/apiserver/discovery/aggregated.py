"""Aggregated discovery: all of `/apis`, or of `/api`, in one document, for clients that ask for it.

A client asks in its Accept header, and takes the answer only if its Content-Type says the same. Source: KEP-3352;
k8s.io/api/apidiscovery/v2; apiserver/pkg/endpoints/discovery/aggregated.
"""

from __future__ import annotations

from typing import Any

from labkit.api.kinds import Catalogue
from labkit.api.resources import Resource
from labkit.apiserver.discovery.groups import Group, groups
from labkit.apiserver.discovery.subresources import subresources

Raw = dict[str, Any]

VERSIONS = ("v2", "v2beta1")


def content_type(version: str) -> str:
    """The media type of the answer, letter for letter as clients compare it."""
    return f"application/json;g=apidiscovery.k8s.io;v={version};as=APIGroupDiscoveryList"


def asked_for(accept: str) -> str:
    """The version of aggregated discovery that an Accept header prefers to plain discovery, or "" for plain.

    Alternatives count in their order; kubectl and client-go write no `q`.
    """
    for choice in accept.split(","):
        media_type, *written = (part.strip() for part in choice.split(";"))
        parameters = dict(part.partition("=")[::2] for part in written)
        if media_type in ("application/json", "application/*", "*/*") and "as" not in parameters:
            return ""
        discovery = parameters.get("g") == "apidiscovery.k8s.io" and parameters.get("as") == "APIGroupDiscoveryList"
        if media_type == "application/json" and discovery and parameters.get("v") in VERSIONS:
            return parameters["v"]
    return ""


def group_list(catalogue: Catalogue, core: bool, version: str) -> Raw:
    """What `/api` (the core group alone) or `/apis` (all others) answers in a version of `VERSIONS`."""
    return {
        "kind": "APIGroupDiscoveryList",
        "apiVersion": f"apidiscovery.k8s.io/{version}",
        "metadata": {},
        "items": [_group(group) for group in groups(catalogue) if core is (group.name == "")],
    }


def _group(group: Group) -> Raw:
    versions = [
        {"version": name, "resources": [_resource(each) for each in listed], "freshness": "Current"}
        for name, listed in group.versions.items()
    ]
    return {"metadata": {"name": group.name} if group.name else {}, "versions": versions}


def _resource(resource: Resource) -> Raw:
    entry: Raw = {
        "resource": resource.plural,
        "responseKind": _kind(resource.api_version, resource.kind),
        "scope": "Namespaced" if resource.namespaced else "Cluster",
        "singularResource": resource.singular,
        "verbs": list(resource.verbs),
    }
    if resource.short_names:
        entry["shortNames"] = list(resource.short_names)
    if resource.categories:
        entry["categories"] = list(resource.categories)
    below = [
        {
            "subresource": sub.name,
            "responseKind": _kind(sub.api_version or resource.api_version, sub.kind),
            "verbs": list(sub.verbs),
        }
        for sub in subresources(resource)
    ]
    return {**entry, "subresources": below} if below else entry


def _kind(api_version: str, kind: str) -> Raw:
    group, _, version = api_version.rpartition("/")
    return {"group": group, "version": version, "kind": kind}
