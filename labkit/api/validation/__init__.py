"""The semantic checks of the API server, by kind, for objects that have the right shape and their defaults.

Source: pkg/apis/*/validation of Kubernetes v1.34. What needs other objects (is the node port
free, is the address in the range) is the allocators' work in the control plane. Repeated items of lists with keys
(container names, port and protocol of a Service) are found by `schema` for all kinds alike.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from labkit.api.problem import Problem
from labkit.api.validation import (
    autoscaling,
    batch,
    cluster,
    endpoints,
    load_balancer,
    meta,
    networking,
    pod,
    policy,
    rbac,
    records,
    service,
    storage,
    workload,
)

CHECKS: dict[str, Callable[[dict[str, Any]], Iterator[Problem]]] = {
    "APIService": records.api_service,
    "ClusterRole": rbac.role,
    "ClusterRoleBinding": rbac.binding,
    "ConfigMap": cluster.config_map,
    "ControllerRevision": workload.controller_revision,
    "CronJob": batch.cron_job,
    "DaemonSet": workload.daemon_set,
    "Deployment": workload.deployment,
    "EndpointSlice": endpoints.endpoint_slice,
    "Endpoints": endpoints.endpoints,
    "Event": records.event,
    "HorizontalPodAutoscaler": autoscaling.autoscaler,
    "IPAddress": networking.ip_address_object,
    "Ingress": networking.ingress,
    "IngressClass": networking.ingress_class,
    "Job": batch.job,
    "Lease": records.lease,
    "LimitRange": policy.limit_range,
    "NetworkPolicy": networking.network_policy,
    "Node": cluster.node,
    "PersistentVolume": storage.volume,
    "PersistentVolumeClaim": storage.claim,
    "Pod": pod.pod,
    "PodDisruptionBudget": policy.disruption_budget,
    "PriorityClass": policy.priority_class,
    "ReplicaSet": workload.replica_set,
    "ResourceQuota": policy.resource_quota,
    "Role": rbac.role,
    "RoleBinding": rbac.binding,
    "Secret": cluster.secret,
    "Service": service.service,
    "ServiceCIDR": networking.service_cidr,
    "StatefulSet": workload.stateful_set,
    "StorageClass": storage.storage_class,
}
STATUS_CHECKS: dict[str, Callable[[dict[str, Any]], Iterator[Problem]]] = {"Service": load_balancer.service_status}


def problems(obj: dict[str, Any]) -> list[Problem]:
    """What the API server would refuse in a defaulted object; types must be right (`schema.problems`)."""
    found = list(meta.object_meta(obj))
    check = CHECKS.get(obj["kind"])
    if check is not None:
        found.extend(check(obj))
    return found


def status_problems(obj: dict[str, Any]) -> list[Problem]:
    """The same for an object of which a client writes the status alone."""
    check = STATUS_CHECKS.get(obj["kind"])
    return list(check(obj)) if check else []
