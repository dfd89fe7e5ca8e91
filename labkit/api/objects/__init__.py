"""The Kubernetes objects that the lab reads, as frozen structs: the fields that something here uses.

The store keeps objects whole, as plain JSON values; these structs are views of them (`view`). A field that
is not listed here is kept by the store and not seen by the view. Field names are Kubernetes' own in snake case;
encoding gives camelCase back. Source: k8s.io/api v0.34 (core/v1, apps/v1, discovery/v1).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec

from labkit.api.objects.cluster import Namespace, Node, NodeAddress, NodeSpec, NodeStatus, ServiceAccount
from labkit.api.objects.endpoints import (
    Endpoint,
    EndpointAddress,
    EndpointConditions,
    EndpointHints,
    EndpointPort,
    Endpoints,
    EndpointSlice,
    EndpointSubset,
    ForNode,
    ForZone,
    TargetRef,
)
from labkit.api.objects.meta import (
    Base,
    Condition,
    LabelSelector,
    LabelSelectorRequirement,
    Object,
    ObjectMeta,
    OwnerReference,
)
from labkit.api.objects.pod import (
    Container,
    ContainerPort,
    EnvVar,
    EnvVarSource,
    ExecAction,
    HostAlias,
    HTTPGetAction,
    HTTPHeader,
    ObjectFieldSelector,
    Pod,
    PodDNSConfig,
    PodDNSConfigOption,
    PodIP,
    PodSpec,
    PodStatus,
    Probe,
    TCPSocketAction,
)
from labkit.api.objects.service import (
    ClientIPConfig,
    LoadBalancerIngress,
    LoadBalancerStatus,
    Service,
    ServicePort,
    ServiceSpec,
    ServiceStatus,
    SessionAffinityConfig,
)
from labkit.api.objects.workload import (
    Deployment,
    DeploymentSpec,
    DeploymentStatus,
    DeploymentStrategy,
    PodTemplateSpec,
    ReplicaSet,
    ReplicaSetSpec,
    ReplicaSetStatus,
    RollingUpdateDeployment,
)

__all__ = [
    "KINDS",
    "Base",
    "ClientIPConfig",
    "Condition",
    "Container",
    "ContainerPort",
    "Deployment",
    "DeploymentSpec",
    "DeploymentStatus",
    "DeploymentStrategy",
    "Endpoint",
    "EndpointAddress",
    "EndpointConditions",
    "EndpointHints",
    "EndpointPort",
    "EndpointSlice",
    "EndpointSubset",
    "Endpoints",
    "EnvVar",
    "EnvVarSource",
    "ExecAction",
    "ForNode",
    "ForZone",
    "HTTPGetAction",
    "HTTPHeader",
    "HostAlias",
    "LabelSelector",
    "LabelSelectorRequirement",
    "LoadBalancerIngress",
    "LoadBalancerStatus",
    "Namespace",
    "Node",
    "NodeAddress",
    "NodeSpec",
    "NodeStatus",
    "Object",
    "ObjectFieldSelector",
    "ObjectMeta",
    "OwnerReference",
    "Pod",
    "PodDNSConfig",
    "PodDNSConfigOption",
    "PodIP",
    "PodSpec",
    "PodStatus",
    "PodTemplateSpec",
    "Probe",
    "ReplicaSet",
    "ReplicaSetSpec",
    "ReplicaSetStatus",
    "RollingUpdateDeployment",
    "Service",
    "ServiceAccount",
    "ServicePort",
    "ServiceSpec",
    "ServiceStatus",
    "SessionAffinityConfig",
    "TCPSocketAction",
    "TargetRef",
    "raw",
    "view",
]

KINDS: dict[str, type[Object]] = {
    cls.__name__: cls
    for cls in (
        Deployment,
        EndpointSlice,
        Endpoints,
        Namespace,
        Node,
        Pod,
        ReplicaSet,
        Service,
        ServiceAccount,
    )
}

T = TypeVar("T", bound=Object)


def view(raw: Mapping[str, Any], cls: type[T]) -> T:
    """A stored object as its struct. Raises `msgspec.ValidationError` where a value has the wrong type."""
    return msgspec.convert(raw, cls)


def raw(obj: Base) -> dict[str, Any]:
    """A struct as the plain JSON values that the store keeps."""
    value: dict[str, Any] = msgspec.to_builtins(obj)
    return value
