"""What the API server fills in: `default(obj)` is the object as it would be stored, without what allocators add.

Source: pkg/apis/*/v1/defaults.go of Kubernetes v1.34.
"""

from __future__ import annotations

from collections.abc import Callable

from labkit.api import remembered
from labkit.api.defaults import others, pods, services, workloads
from labkit.api.defaults.fields import Fields, fill
from labkit.api.defaults.omission import compact
from labkit.api.kinds import BY_KIND
from labkit.api.schema import has_spec

__all__ = ["default"]


def default(obj: Fields) -> Fields:
    """A new object with the API server's defaults; the given one stays as it is. Types must be right.

    Null fields, empty lists and empty maps are dropped, as the server drops them. Twice is the same as once. A
    namespaced object without a namespace gets `default`; one of a kind with a `spec` has one.
    """
    text = _spec_text(obj)
    made: Fields = compact({**obj, "spec": True} if text else obj)
    kind = made.get("kind", "")
    meta = made.setdefault("metadata", {})
    if kind in BY_KIND and BY_KIND[kind].namespaced:
        fill(meta, namespace="default")
    if kind in BY_KIND and has_spec(BY_KIND[kind].api_version, kind):
        made.setdefault("spec", {})
    complete = DEFAULTS.get(kind)
    if text:
        made["spec"] = _pod_spec(text)
    elif complete is not None:
        complete(made)
    return made


def _spec_text(obj: Fields) -> bytes:
    """The text of a pod's spec, by which its defaults are remembered; nothing for other kinds."""
    pod = obj.get("kind") == "Pod" and obj.get("apiVersion") == "v1" and isinstance(obj.get("spec"), dict)
    return remembered.text(obj["spec"]) if pod else b""


def _pod_spec(text: bytes) -> Fields:
    """A pod's spec with its defaults, which depend on nothing else."""
    made: Fields
    if known := _specs.get("Pod", text):
        made = remembered.value(known)
        return made
    pod = compact({"apiVersion": "v1", "kind": "Pod", "spec": remembered.value(text)})
    pods.pod(pod)
    made = pod["spec"]
    _specs.put("Pod", text, remembered.text(made))
    return made


_specs: remembered.Remembered[bytes] = remembered.Remembered()


DEFAULTS: dict[str, Callable[[Fields], None]] = {
    "ClusterRoleBinding": others.binding,
    "CronJob": workloads.cron_job,
    "CustomResourceDefinition": others.definition,
    "DaemonSet": workloads.daemon_set,
    "Deployment": workloads.deployment,
    "EndpointSlice": services.endpoint_slice,
    "Endpoints": services.endpoints,
    "HorizontalPodAutoscaler": workloads.autoscaler,
    "IngressClass": others.ingress_class,
    "Job": workloads.job,
    "LimitRange": others.limit_range,
    "Namespace": others.namespace,
    "NetworkPolicy": others.network_policy,
    "Node": others.node,
    "PersistentVolume": others.volume,
    "PersistentVolumeClaim": others.claim,
    "Pod": pods.pod,
    "PriorityClass": others.priority_class,
    "ReplicaSet": workloads.replicated,
    "ResourceQuota": others.resource_quota,
    "RoleBinding": others.binding,
    "Secret": others.secret,
    "Service": services.service,
    "StatefulSet": workloads.stateful_set,
    "StorageClass": others.storage_class,
}
