"""The subresources of the API: the kind that each takes or answers, and the verbs that it knows.

Source: pkg/registry/*/storage; the lists of `kubectl get --raw /api/v1` of v1.34.
"""

from __future__ import annotations

import msgspec

from labkit.api.resources import Resource

OBJECT = ("get", "patch", "update")
CREATE = ("create",)
CONNECT = ("create", "get")
PROXY = ("create", "delete", "get", "patch", "update")


class Subresource(msgspec.Struct, frozen=True):
    """One subresource; `api_version` is empty where the kind belongs to the version of the resource itself."""

    name: str
    kind: str
    verbs: tuple[str, ...]
    api_version: str = ""


_OF_EACH = {
    ("nodes", "proxy"): Subresource("proxy", "NodeProxyOptions", PROXY),
    ("pods", "attach"): Subresource("attach", "PodAttachOptions", CONNECT),
    ("pods", "binding"): Subresource("binding", "Binding", CREATE),
    ("pods", "eviction"): Subresource("eviction", "Eviction", CREATE, "policy/v1"),
    ("pods", "exec"): Subresource("exec", "PodExecOptions", CONNECT),
    ("pods", "log"): Subresource("log", "Pod", ("get",)),
    ("pods", "portforward"): Subresource("portforward", "PodPortForwardOptions", CONNECT),
    ("pods", "proxy"): Subresource("proxy", "PodProxyOptions", PROXY),
    ("serviceaccounts", "token"): Subresource("token", "TokenRequest", CREATE, "authentication.k8s.io/v1"),
    ("services", "proxy"): Subresource("proxy", "ServiceProxyOptions", PROXY),
    ("namespaces", "finalize"): Subresource("finalize", "Namespace", ("update",)),
}
_SCALE = Subresource("scale", "Scale", OBJECT, "autoscaling/v1")


def subresources(resource: Resource) -> tuple[Subresource, ...]:
    """Those of a resource, in order of their names."""
    return tuple(_subresource(resource, name) for name in sorted(resource.subresources))


def _subresource(resource: Resource, name: str) -> Subresource:
    if name == "scale":
        return _SCALE
    special = None if resource.custom else _OF_EACH.get((resource.plural, name))
    return special or Subresource(name, resource.kind, OBJECT)
