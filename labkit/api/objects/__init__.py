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
    TRIGGER_TIME,
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
    EnvFromSource,
    EnvVar,
    EnvVarSource,
    ExecAction,
    GRPCAction,
    HostAlias,
    HTTPGetAction,
    HTTPHeader,
    KeySelector,
    Lifecycle,
    LifecycleHandler,
    Pod,
    PodDNSConfig,
    PodDNSConfigOption,
    PodIP,
    PodReadinessGate,
    PodSpec,
    PodStatus,
    Probe,
    ResourceRequirements,
    SleepAction,
    TCPSocketAction,
    VolumeMount,
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
from labkit.api.objects.volume import (
    ConfigMapVolumeSource,
    DownwardAPIVolumeFile,
    DownwardAPIVolumeSource,
    HostPathVolumeSource,
    KeyToPath,
    ObjectFieldSelector,
    ProjectedVolumeSource,
    ResourceFieldSelector,
    SecretVolumeSource,
    ServiceAccountTokenProjection,
    SourceReference,
    Volume,
    VolumeProjection,
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
    "TRIGGER_TIME",
    "Base",
    "ClientIPConfig",
    "Condition",
    "ConfigMapVolumeSource",
    "Container",
    "ContainerPort",
    "Deployment",
    "DeploymentSpec",
    "DeploymentStatus",
    "DeploymentStrategy",
    "DownwardAPIVolumeFile",
    "DownwardAPIVolumeSource",
    "Endpoint",
    "EndpointAddress",
    "EndpointConditions",
    "EndpointHints",
    "EndpointPort",
    "EndpointSlice",
    "EndpointSubset",
    "Endpoints",
    "EnvFromSource",
    "EnvVar",
    "EnvVarSource",
    "ExecAction",
    "ForNode",
    "ForZone",
    "GRPCAction",
    "HTTPGetAction",
    "HTTPHeader",
    "HostAlias",
    "HostPathVolumeSource",
    "KeySelector",
    "KeyToPath",
    "LabelSelector",
    "LabelSelectorRequirement",
    "Lifecycle",
    "LifecycleHandler",
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
    "PodReadinessGate",
    "PodSpec",
    "PodStatus",
    "PodTemplateSpec",
    "Probe",
    "ProjectedVolumeSource",
    "ReplicaSet",
    "ReplicaSetSpec",
    "ReplicaSetStatus",
    "ResourceFieldSelector",
    "ResourceRequirements",
    "RollingUpdateDeployment",
    "SecretVolumeSource",
    "Service",
    "ServiceAccount",
    "ServiceAccountTokenProjection",
    "ServicePort",
    "ServiceSpec",
    "ServiceStatus",
    "SessionAffinityConfig",
    "SleepAction",
    "SourceReference",
    "TCPSocketAction",
    "TargetRef",
    "Volume",
    "VolumeMount",
    "VolumeProjection",
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
