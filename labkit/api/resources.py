"""The resources of the API that the lab serves, built in: kind, version, names, scope, subresources.

Source: `kubectl api-resources -o wide` of v1.34; k8s.io/kubernetes/pkg/registry for the subresources.
"""

from __future__ import annotations

from typing import Any

import msgspec

EVERY_VERB = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")
CREATE = ("create",)


class Resource(msgspec.Struct, frozen=True):
    """A kind with the names of its collection; `group` is empty for the core group.

    subresources  those that the lab serves: "status", "scale", "exec"…
    verbs         reviews and the like can only be created; they are not stored
    custom        from a CustomResourceDefinition
    computed      made up when somebody asks: read like others, not stored
    """

    kind: str
    api_version: str
    plural: str
    short_names: tuple[str, ...] = ()
    namespaced: bool = True
    subresources: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    verbs: tuple[str, ...] = EVERY_VERB
    custom: bool = False
    singular_name: str = ""
    list_name: str = ""
    computed: bool = False

    @property
    def group(self) -> str:
        return self.api_version.rpartition("/")[0]

    @property
    def version(self) -> str:
        return self.api_version.rpartition("/")[2]

    @property
    def singular(self) -> str:
        return self.singular_name or self.kind.lower()

    @property
    def list_kind(self) -> str:
        return self.list_name or f"{self.kind}List"

    @property
    def qualified(self) -> str:
        """The collection's name with its group: "deployments.apps", "pods"."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def key(self) -> str:
        """What the store keeps it under: the kind; with its group for a custom one, for kinds are not unique there."""
        return f"{self.kind}.{self.group}" if self.custom else self.kind

    @property
    def stored(self) -> bool:
        return "get" in self.verbs and not self.computed


def _cluster(kind: str, api_version: str, plural: str, short: tuple[str, ...] = (), **more: Any) -> Resource:
    return Resource(kind, api_version, plural, short, namespaced=False, **more)


APPS = "apps/v1"
AUTHENTICATION = "authentication.k8s.io/v1"
AUTHORIZATION = "authorization.k8s.io/v1"
NETWORKING = "networking.k8s.io/v1"
RBAC = "rbac.authorization.k8s.io/v1"
STORAGE = "storage.k8s.io/v1"
ALL = ("all",)
STATUS = ("status",)
SCALED = ("scale", "status")
POD = ("attach", "binding", "eviction", "exec", "log", "portforward", "status")

STORED = (
    Resource("ConfigMap", "v1", "configmaps", ("cm",)),
    Resource("Endpoints", "v1", "endpoints", ("ep",)),
    Resource("Event", "v1", "events", ("ev",)),
    Resource("LimitRange", "v1", "limitranges", ("limits",)),
    _cluster("Namespace", "v1", "namespaces", ("ns",), subresources=("finalize", "status")),
    _cluster("Node", "v1", "nodes", ("no",), subresources=STATUS),
    _cluster("PersistentVolume", "v1", "persistentvolumes", ("pv",), subresources=STATUS),
    Resource("PersistentVolumeClaim", "v1", "persistentvolumeclaims", ("pvc",), subresources=STATUS),
    Resource("Pod", "v1", "pods", ("po",), subresources=POD, categories=ALL),
    Resource("ResourceQuota", "v1", "resourcequotas", ("quota",), subresources=STATUS),
    Resource("Secret", "v1", "secrets"),
    Resource("Service", "v1", "services", ("svc",), subresources=STATUS, categories=ALL),
    Resource("ServiceAccount", "v1", "serviceaccounts", ("sa",), subresources=("token",)),
    _cluster("CustomResourceDefinition", "apiextensions.k8s.io/v1", "customresourcedefinitions", ("crd", "crds"),
             subresources=STATUS, categories=("api-extensions",)),
    _cluster("APIService", "apiregistration.k8s.io/v1", "apiservices", subresources=STATUS,
             categories=("api-extensions",)),
    Resource("ControllerRevision", APPS, "controllerrevisions"),
    Resource("DaemonSet", APPS, "daemonsets", ("ds",), subresources=STATUS, categories=ALL),
    Resource("Deployment", APPS, "deployments", ("deploy",), subresources=SCALED, categories=ALL),
    Resource("ReplicaSet", APPS, "replicasets", ("rs",), subresources=SCALED, categories=ALL),
    Resource("StatefulSet", APPS, "statefulsets", ("sts",), subresources=SCALED, categories=ALL),
    Resource("HorizontalPodAutoscaler", "autoscaling/v2", "horizontalpodautoscalers", ("hpa",), subresources=STATUS,
             categories=ALL),
    Resource("CronJob", "batch/v1", "cronjobs", ("cj",), subresources=STATUS, categories=ALL),
    Resource("Job", "batch/v1", "jobs", subresources=STATUS, categories=ALL),
    Resource("Lease", "coordination.k8s.io/v1", "leases"),
    Resource("EndpointSlice", "discovery.k8s.io/v1", "endpointslices"),
    Resource("Ingress", NETWORKING, "ingresses", ("ing",), subresources=STATUS),
    _cluster("IngressClass", NETWORKING, "ingressclasses"),
    _cluster("IPAddress", NETWORKING, "ipaddresses", ("ip",)),
    Resource("NetworkPolicy", NETWORKING, "networkpolicies", ("netpol",)),
    _cluster("ServiceCIDR", NETWORKING, "servicecidrs", subresources=STATUS),
    Resource("PodDisruptionBudget", "policy/v1", "poddisruptionbudgets", ("pdb",), subresources=STATUS),
    _cluster("ClusterRole", RBAC, "clusterroles"),
    _cluster("ClusterRoleBinding", RBAC, "clusterrolebindings"),
    Resource("Role", RBAC, "roles"),
    Resource("RoleBinding", RBAC, "rolebindings"),
    _cluster("PriorityClass", "scheduling.k8s.io/v1", "priorityclasses", ("pc",)),
    _cluster("StorageClass", STORAGE, "storageclasses", ("sc",)),
)  # fmt: skip
"""What the store keeps, each in the version that it keeps."""

ALSO_SERVED = (
    Resource("Event", "events.k8s.io/v1", "events", ("ev",)),
    Resource("HorizontalPodAutoscaler", "autoscaling/v1", "horizontalpodautoscalers", ("hpa",), subresources=STATUS,
             categories=ALL),
)  # fmt: skip
"""Other versions of stored kinds: converted on their way in and out."""

CREATED_ONLY = (
    _cluster("SelfSubjectReview", AUTHENTICATION, "selfsubjectreviews", verbs=CREATE),
    _cluster("TokenReview", AUTHENTICATION, "tokenreviews", verbs=CREATE),
    Resource("LocalSubjectAccessReview", AUTHORIZATION, "localsubjectaccessreviews", verbs=CREATE),
    _cluster("SelfSubjectAccessReview", AUTHORIZATION, "selfsubjectaccessreviews", verbs=CREATE),
    _cluster("SelfSubjectRulesReview", AUTHORIZATION, "selfsubjectrulesreviews", verbs=CREATE),
    _cluster("SubjectAccessReview", AUTHORIZATION, "subjectaccessreviews", verbs=CREATE),
    Resource("Binding", "v1", "bindings", verbs=CREATE),
)
"""Answered, not stored."""

METRICS = "metrics.k8s.io/v1beta1"
COMPUTED = (
    _cluster("NodeMetrics", METRICS, "nodes", verbs=("get", "list"), list_name="NodeMetricsList", computed=True),
    Resource("PodMetrics", METRICS, "pods", verbs=("get", "list"), list_name="PodMetricsList", computed=True),
)
"""What `kubectl top` reads."""

COUNTED = frozenset({
    "CronJob", "CustomResourceDefinition", "DaemonSet", "Deployment", "EndpointSlice", "Ingress", "IngressClass", "Job",
    "NetworkPolicy", "Pod", "PodDisruptionBudget", "PriorityClass", "ReplicaSet", "StatefulSet",
})  # fmt: skip
"""Kinds whose generation is counted: it rises when something outside metadata and status changes."""
