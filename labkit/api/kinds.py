"""The kinds that the lab knows, and the names that people call them by: `svc`, `deployments`, `Deployment`, `ds.apps`.

Source: the group-version-kinds of the schema (a test compares them); plurals, short names and scope are those of
`kubectl api-resources` v1.34.
"""

from __future__ import annotations

from typing import Any

import msgspec

from labkit.api.problem import Problem, nearest, required
from labkit.errors import NotFound


class Resource(msgspec.Struct, frozen=True):
    """A kind with the names of its collection; `group` is empty for the core group."""

    kind: str
    api_version: str
    plural: str
    short_names: tuple[str, ...] = ()
    namespaced: bool = True

    @property
    def group(self) -> str:
        return self.api_version.rpartition("/")[0]

    @property
    def singular(self) -> str:
        return self.kind.lower()


RBAC = "rbac.authorization.k8s.io/v1"

RESOURCES = (
    Resource("ConfigMap", "v1", "configmaps", ("cm",)),
    Resource("Endpoints", "v1", "endpoints", ("ep",)),
    Resource("Namespace", "v1", "namespaces", ("ns",), namespaced=False),
    Resource("Node", "v1", "nodes", ("no",), namespaced=False),
    Resource("PersistentVolumeClaim", "v1", "persistentvolumeclaims", ("pvc",)),
    Resource("Pod", "v1", "pods", ("po",)),
    Resource("Secret", "v1", "secrets"),
    Resource("Service", "v1", "services", ("svc",)),
    Resource("ServiceAccount", "v1", "serviceaccounts", ("sa",)),
    Resource("DaemonSet", "apps/v1", "daemonsets", ("ds",)),
    Resource("Deployment", "apps/v1", "deployments", ("deploy",)),
    Resource("ReplicaSet", "apps/v1", "replicasets", ("rs",)),
    Resource("StatefulSet", "apps/v1", "statefulsets", ("sts",)),
    Resource("Job", "batch/v1", "jobs"),
    Resource("EndpointSlice", "discovery.k8s.io/v1", "endpointslices"),
    Resource("Ingress", "networking.k8s.io/v1", "ingresses", ("ing",)),
    Resource("IngressClass", "networking.k8s.io/v1", "ingressclasses", namespaced=False),
    Resource("NetworkPolicy", "networking.k8s.io/v1", "networkpolicies", ("netpol",)),
    Resource("ClusterRole", RBAC, "clusterroles", namespaced=False),
    Resource("ClusterRoleBinding", RBAC, "clusterrolebindings", namespaced=False),
    Resource("Role", RBAC, "roles"),
    Resource("RoleBinding", RBAC, "rolebindings"),
)

BY_KIND = {r.kind: r for r in RESOURCES}
_BY_NAME = {name: r for r in RESOURCES for name in (r.singular, r.plural, *r.short_names)}


def resource(name: str) -> Resource:
    """The resource that `name` stands for: kind, singular, plural or short name, with or without ".group".

    Case does not matter. Raises `NotFound`, with the nearest name, where there is none.
    """
    plain, _, group = name.lower().partition(".")
    found = _BY_NAME.get(plain)
    if found is not None and group in ("", found.group):
        return found
    meant = nearest(plain, _BY_NAME)
    hint = f'Did you mean "{meant}"?' if meant else f"It knows: {', '.join(sorted(BY_KIND))}."
    raise NotFound(f'the lab has no resource type "{name}". {hint}', name=name)


def problems(obj: dict[str, Any]) -> list[Problem]:
    """What is wrong with `apiVersion` and `kind`; none of it means that the schema has this kind."""
    version, kind = obj.get("apiVersion"), obj.get("kind")
    found = []
    if not isinstance(version, str) or not version:
        known = BY_KIND.get(kind) if isinstance(kind, str) else None
        found.append(required("apiVersion", remedy=f"Add apiVersion: {known.api_version if known else 'v1'}."))
    if not isinstance(kind, str) or not kind:
        found.append(required("kind", remedy="Add the kind of the object, such as kind: Service."))
    if found or not isinstance(version, str) or not isinstance(kind, str):
        return found
    known = BY_KIND.get(kind)
    if known is None:
        meant = nearest(kind, BY_KIND)
        hint = f'Did you mean "{meant}"?' if meant else f"The lab knows: {', '.join(sorted(BY_KIND))}."
        found.append(Problem("kind", _no_match(kind, version), hint, "FieldValueNotSupported"))
    elif known.api_version != version:
        hint = f"{kind} is served as {known.api_version} now: write apiVersion: {known.api_version}."
        found.append(Problem("apiVersion", _no_match(kind, version), hint, "FieldValueNotSupported"))
    return found


def _no_match(kind: str, version: str) -> str:
    return f'no matches for kind "{kind[:100]}" in version "{version[:100]}"'
