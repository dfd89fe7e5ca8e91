"""Discovery one document at a time, for every client: `/api`, `/apis`, `/apis/apps`, `/api/v1`, `/apis/apps/v1`.

Source: apimachinery/pkg/apis/meta/v1/types.go; apiserver/pkg/endpoints/discovery.
"""

from __future__ import annotations

from typing import Any

from labkit.api.kinds import Catalogue
from labkit.api.resources import Resource
from labkit.apiserver.discovery.groups import Group, groups
from labkit.apiserver.discovery.subresources import Subresource, subresources

Raw = dict[str, Any]


def api_versions(server_address: str) -> Raw:
    """What `/api` answers. `server_address` is "host:port", for clients that come from anywhere."""
    anywhere = {"clientCIDR": "0.0.0.0/0", "serverAddress": server_address}
    return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": [anywhere]}


def api_groups(catalogue: Catalogue) -> Raw:
    """What `/apis` answers: every group but the core one."""
    listed = [_group(group) for group in groups(catalogue) if group.name]
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": listed}


def api_group(catalogue: Catalogue, name: str) -> Raw | None:
    """What `/apis/{name}` answers, or None where no such group is served."""
    found = next((group for group in groups(catalogue) if group.name and group.name == name), None)
    return {"kind": "APIGroup", "apiVersion": "v1", **_group(found)} if found else None


def api_resources(catalogue: Catalogue, api_version: str) -> Raw | None:
    """What `/api/v1` and `/apis/{group}/{version}` answer, or None where no such version is served."""
    for group in groups(catalogue):
        for version, resources in group.versions.items():
            if group.api_version(version) == api_version:
                listed = [entry for resource in resources for entry in _entries(resource)]
                head = {"kind": "APIResourceList", "apiVersion": "v1"} if group.name else {"kind": "APIResourceList"}
                return {**head, "groupVersion": api_version, "resources": listed}
    return None


def _group(group: Group) -> Raw:
    versions = [{"groupVersion": group.api_version(v), "version": v} for v in group.versions]
    return {"name": group.name, "versions": versions, "preferredVersion": versions[0]}


def _entries(resource: Resource) -> list[Raw]:
    entry: Raw = {
        "name": resource.plural,
        "singularName": resource.singular,
        "namespaced": resource.namespaced,
        "kind": resource.kind,
        "verbs": list(resource.verbs),
    }
    if resource.short_names:
        entry["shortNames"] = list(resource.short_names)
    if resource.categories:
        entry["categories"] = list(resource.categories)
    return [entry, *(_below(resource, sub) for sub in subresources(resource))]


def _below(resource: Resource, sub: Subresource) -> Raw:
    group, _, version = sub.api_version.rpartition("/")
    entry: Raw = {"name": f"{resource.plural}/{sub.name}", "singularName": "", "namespaced": resource.namespaced}
    if sub.api_version:
        entry |= {"group": group, "version": version}
    return {**entry, "kind": sub.kind, "verbs": list(sub.verbs)}
