"""The semantic checks of the API server, by kind, for objects that have the right shape and their defaults.

Source: pkg/apis/{core,apps,batch,discovery}/validation of Kubernetes v1.34. What needs other objects (is the node port
free, is the address in the range) is the allocators' work in the control plane. Repeated items of lists with keys
(container names, port and protocol of a Service) are found by `schema` for all kinds alike.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from labkit.api.problem import Problem
from labkit.api.validation import cluster, endpoints, meta, pod, service, workload

CHECKS: dict[str, Callable[[dict[str, Any]], Iterator[Problem]]] = {
    "ConfigMap": cluster.config_map,
    "DaemonSet": workload.daemon_set,
    "Deployment": workload.deployment,
    "EndpointSlice": endpoints.endpoint_slice,
    "Endpoints": endpoints.endpoints,
    "Job": workload.job,
    "Node": cluster.node,
    "Pod": pod.pod,
    "ReplicaSet": workload.replica_set,
    "Secret": cluster.config_map,
    "Service": service.service,
    "StatefulSet": workload.stateful_set,
}


def problems(obj: dict[str, Any]) -> list[Problem]:
    """What the API server would refuse in a defaulted object; types must be right (`schema.problems`)."""
    found = list(meta.object_meta(obj))
    check = CHECKS.get(obj["kind"])
    if check is not None:
        found.extend(check(obj))
    return found
