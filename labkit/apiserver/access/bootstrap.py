"""The roles and bindings that every cluster begins with, as far as somebody in a lab could be bound to them.

Source: kubernetes/plugin/pkg/auth/authorizer/rbac/bootstrappolicy/policy.go of v1.34.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

Raw = dict[str, Any]

GROUP = "rbac.authorization.k8s.io"
VERSION = f"{GROUP}/v1"
READ = ("get", "list", "watch")
WRITE = ("create", "delete", "deletecollection", "patch", "update")
EVERY = ("*",)
AUTH, UNAUTH = "system:authenticated", "system:unauthenticated"


def rule(resources: str, verbs: tuple[str, ...], group: str = "") -> Raw:
    return {"apiGroups": [group], "resources": resources.split(), "verbs": list(verbs)}


def paths(listed: str, verbs: tuple[str, ...] = ("get",)) -> Raw:
    return {"nonResourceURLs": listed.split(), "verbs": list(verbs)}


CORE = (
    "configmaps events persistentvolumeclaims persistentvolumeclaims/status pods replicationcontrollers "
    "replicationcontrollers/scale serviceaccounts services services/status endpoints"
)
APPS = (
    "controllerrevisions daemonsets daemonsets/status deployments deployments/scale deployments/status replicasets "
    "replicasets/scale replicasets/status statefulsets statefulsets/scale statefulsets/status"
)
VIEWED = [
    rule(f"{CORE} bindings limitranges namespaces namespaces/status pods/log pods/status resourcequotas "
         "resourcequotas/status replicationcontrollers/status", READ),
    rule(APPS, READ, "apps"),
    rule("horizontalpodautoscalers horizontalpodautoscalers/status", READ, "autoscaling"),
    rule("cronjobs cronjobs/status jobs jobs/status", READ, "batch"),
    rule("endpointslices", READ, "discovery.k8s.io"),
    rule("ingresses ingresses/status networkpolicies", READ, "networking.k8s.io"),
    rule("poddisruptionbudgets poddisruptionbudgets/status", READ, "policy"),
]  # fmt: skip
EDITED = [
    rule("pods/attach pods/exec pods/portforward pods/proxy secrets services/proxy", READ),
    rule("serviceaccounts", ("impersonate",)),
    rule("pods pods/attach pods/exec pods/portforward pods/proxy", WRITE),
    rule("pods/eviction serviceaccounts/token", ("create",)),
    rule("configmaps events persistentvolumeclaims replicationcontrollers replicationcontrollers/scale secrets "
         "serviceaccounts services services/proxy", WRITE),
    rule("daemonsets deployments deployments/rollback deployments/scale replicasets replicasets/scale statefulsets "
         "statefulsets/scale", WRITE, "apps"),
    rule("horizontalpodautoscalers", WRITE, "autoscaling"),
    rule("cronjobs jobs", WRITE, "batch"),
    rule("ingresses networkpolicies", WRITE, "networking.k8s.io"),
    rule("poddisruptionbudgets", WRITE, "policy"),
    rule("leases", (*READ, *WRITE), "coordination.k8s.io"),
]  # fmt: skip
MANAGED = [
    rule("localsubjectaccessreviews", ("create",), "authorization.k8s.io"),
    rule("rolebindings roles", (*READ, *WRITE), GROUP),
]
HEALTH = "/healthz /livez /readyz /version /version/"
ROLES: dict[str, list[Raw]] = {
    "cluster-admin": [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}, paths("*", EVERY)],
    "system:discovery": [
        paths("/api /api/* /apis /apis/* /healthz /livez /openapi /openapi/* /readyz /version /version/")
    ],
    "system:public-info-viewer": [paths(HEALTH)],
    "system:monitoring": [paths("/healthz /healthz/* /livez /livez/* /metrics /readyz /readyz/*")],
    "system:basic-user": [
        rule("selfsubjectaccessreviews selfsubjectrulesreviews", ("create",), "authorization.k8s.io"),
        rule("selfsubjectreviews", ("create",), "authentication.k8s.io"),
    ],
    "system:auth-delegator": [
        rule("tokenreviews", ("create",), "authentication.k8s.io"),
        rule("subjectaccessreviews", ("create",), "authorization.k8s.io"),
    ],
    "system:node-proxier": [
        rule("endpoints services", ("list", "watch")),
        rule("nodes", READ),
        rule("events", ("create", "patch", "update")),
        rule("events", ("create", "patch", "update"), "events.k8s.io"),
        rule("endpointslices", ("list", "watch"), "discovery.k8s.io"),
        rule("servicecidrs", ("list", "watch"), "networking.k8s.io"),
    ],
    "system:kube-scheduler": [
        rule("events", ("create", "patch", "update"), "events.k8s.io"),
        rule("events", ("create", "patch", "update")),
        rule("leases", ("create", "get", "list", "update", "watch"), "coordination.k8s.io"),
        rule("nodes persistentvolumeclaims persistentvolumes namespaces services replicationcontrollers", READ),
        rule("pods", ("delete", *READ)),
        rule("bindings pods/binding", ("create",)),
        rule("pods/status", ("patch", "update")),
        rule("replicasets statefulsets", READ, "apps"),
        rule("poddisruptionbudgets", READ, "policy"),
    ],
}
PARTS = {"view": VIEWED, "edit": EDITED, "admin": MANAGED}
ABOVE = {"view": "edit", "edit": "admin"}
"""An aggregated role is itself a part of the one above it."""
BINDINGS = {
    "cluster-admin": (("Group", "system:masters"),),
    "system:discovery": (("Group", AUTH),),
    "system:basic-user": (("Group", AUTH),),
    "system:public-info-viewer": (("Group", AUTH), ("Group", UNAUTH)),
    "system:monitoring": (("Group", "system:monitoring"),),
    "system:node-proxier": (("User", "system:kube-proxy"),),
    "system:kube-scheduler": (("User", "system:kube-scheduler"),),
}


def objects() -> Iterator[Raw]:
    """ClusterRoles and ClusterRoleBindings, aggregated roles without their rules yet."""
    for name, rules in ROLES.items():
        yield _role(name, rules)
    for part, rules in PARTS.items():
        label, above = {f"{GROUP}/aggregate-to-{part}": "true"}, ABOVE.get(part)
        yield _role(f"system:aggregate-to-{part}", rules, label)
        own = {f"{GROUP}/aggregate-to-{above}": "true"} if above else {}
        yield {**_role(part, [], own), "aggregationRule": {"clusterRoleSelectors": [{"matchLabels": label}]}}
    metrics = [rule("pods nodes", READ, "metrics.k8s.io")]
    yield _role("system:aggregated-metrics-reader", metrics, {f"{GROUP}/aggregate-to-view": "true"})
    for name, subjects in BINDINGS.items():
        yield {
            "apiVersion": VERSION,
            "kind": "ClusterRoleBinding",
            "metadata": _metadata(name, {}),
            "roleRef": {"apiGroup": GROUP, "kind": "ClusterRole", "name": name},
            "subjects": [{"apiGroup": GROUP, "kind": kind, "name": each} for kind, each in subjects],
        }


def _role(name: str, rules: list[Raw], labels: dict[str, str] | None = None) -> Raw:
    return {"apiVersion": VERSION, "kind": "ClusterRole", "metadata": _metadata(name, labels or {}), "rules": rules}


def _metadata(name: str, labels: dict[str, str]) -> Raw:
    return {
        "name": name,
        "labels": {"kubernetes.io/bootstrapping": "rbac-defaults", **labels},
        "annotations": {f"{GROUP}/autoupdate": "true"},
    }
