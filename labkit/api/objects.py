"""The Kubernetes objects that the lab reads, as frozen structs: the fields that something here uses.

The store keeps objects whole, as plain JSON values; these structs are views of them (`view`). A field that
is not listed here is kept by the store and not seen by the view. Field names are Kubernetes' own in snake case;
encoding gives camelCase back. Source: k8s.io/api v0.34 (core/v1, apps/v1, discovery/v1).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec


class Base(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True, kw_only=True):
    """What all views share: frozen, camelCase outside, empty fields left out."""


class OwnerReference(Base):
    api_version: str
    kind: str
    name: str
    uid: str
    controller: bool = False
    block_owner_deletion: bool = False


class ObjectMeta(Base):
    name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    generation: int = 0
    creation_timestamp: str = ""
    deletion_timestamp: str | None = None
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    owner_references: tuple[OwnerReference, ...] = ()


class Object(Base):
    """Any object: `kind`, `metadata`. The other views add `spec` and `status`."""

    api_version: str = "v1"
    kind: str = ""
    metadata: ObjectMeta = ObjectMeta()

    @property
    def name(self) -> str:
        return self.metadata.name

    @property
    def namespace(self) -> str:
        return self.metadata.namespace

    @property
    def key(self) -> str:
        """`namespace/name`, or the bare name of a cluster-scoped object."""
        return f"{self.namespace}/{self.name}" if self.namespace else self.name


class Condition(Base):
    type: str
    status: str
    reason: str = ""
    message: str = ""


class Namespace(Object):
    pass


class ServiceAccount(Object):
    pass


class NodeAddress(Base):
    type: str
    address: str


class NodeSpec(Base):
    pod_cidr: str = msgspec.field(default="", name="podCIDR")
    unschedulable: bool = False


class NodeStatus(Base):
    addresses: tuple[NodeAddress, ...] = ()
    conditions: tuple[Condition, ...] = ()


class Node(Object):
    spec: NodeSpec = NodeSpec()
    status: NodeStatus = NodeStatus()

    @property
    def internal_ip(self) -> str:
        return next((a.address for a in self.status.addresses if a.type == "InternalIP"), "")

    @property
    def zone(self) -> str:
        return self.metadata.labels.get("topology.kubernetes.io/zone", "")


class ContainerPort(Base):
    container_port: int
    name: str = ""
    protocol: str = "TCP"


class EnvVar(Base):
    name: str
    value: str = ""


class HTTPGetAction(Base):
    port: int | str
    path: str = "/"
    host: str = ""
    scheme: str = "HTTP"


class TCPSocketAction(Base):
    port: int | str


class ExecAction(Base):
    command: tuple[str, ...] = ()


class Probe(Base):
    http_get: HTTPGetAction | None = None
    tcp_socket: TCPSocketAction | None = None
    exec: ExecAction | None = None
    initial_delay_seconds: int = 0
    period_seconds: int = 10
    timeout_seconds: int = 1
    success_threshold: int = 1
    failure_threshold: int = 3


class Container(Base):
    name: str
    image: str = ""
    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    working_dir: str = ""
    ports: tuple[ContainerPort, ...] = ()
    env: tuple[EnvVar, ...] = ()
    readiness_probe: Probe | None = None


class PodDNSConfigOption(Base):
    name: str
    value: str | None = None


class PodDNSConfig(Base):
    nameservers: tuple[str, ...] = ()
    searches: tuple[str, ...] = ()
    options: tuple[PodDNSConfigOption, ...] = ()


class PodSpec(Base):
    containers: tuple[Container, ...] = ()
    node_name: str = ""
    node_selector: dict[str, str] = {}
    host_network: bool = False
    hostname: str = ""
    subdomain: str = ""
    dns_policy: str = "ClusterFirst"
    dns_config: PodDNSConfig | None = None
    restart_policy: str = "Always"
    service_account_name: str = ""
    termination_grace_period_seconds: int = 30


class PodIP(Base):
    ip: str


class PodStatus(Base):
    phase: str = ""
    conditions: tuple[Condition, ...] = ()
    pod_ip: str = msgspec.field(default="", name="podIP")
    pod_ips: tuple[PodIP, ...] = msgspec.field(default=(), name="podIPs")
    host_ip: str = msgspec.field(default="", name="hostIP")


class Pod(Object):
    spec: PodSpec = PodSpec()
    status: PodStatus = PodStatus()

    @property
    def ready(self) -> bool:
        return any(c.type == "Ready" and c.status == "True" for c in self.status.conditions)

    @property
    def terminating(self) -> bool:
        return self.metadata.deletion_timestamp is not None


class LabelSelectorRequirement(Base):
    key: str
    operator: str
    values: tuple[str, ...] = ()


class LabelSelector(Base):
    match_labels: dict[str, str] = {}
    match_expressions: tuple[LabelSelectorRequirement, ...] = ()


class PodTemplateSpec(Base):
    metadata: ObjectMeta = ObjectMeta()
    spec: PodSpec = PodSpec()


class ReplicaSetSpec(Base):
    replicas: int = 1
    selector: LabelSelector = LabelSelector()
    template: PodTemplateSpec = PodTemplateSpec()


class ReplicaSetStatus(Base):
    replicas: int = 0
    ready_replicas: int = 0
    available_replicas: int = 0
    observed_generation: int = 0


class ReplicaSet(Object):
    spec: ReplicaSetSpec = ReplicaSetSpec()
    status: ReplicaSetStatus = ReplicaSetStatus()


class DeploymentStatus(ReplicaSetStatus):
    updated_replicas: int = 0


class Deployment(Object):
    spec: ReplicaSetSpec = ReplicaSetSpec()
    status: DeploymentStatus = DeploymentStatus()


class ServicePort(Base):
    port: int
    name: str = ""
    protocol: str = "TCP"
    target_port: int | str = 0
    node_port: int = 0
    app_protocol: str = ""


class ClientIPConfig(Base):
    timeout_seconds: int = 10800


class SessionAffinityConfig(Base):
    client_ip: ClientIPConfig | None = msgspec.field(default=None, name="clientIP")


class ServiceSpec(Base):
    """An empty `cluster_ip` means none was allocated; "None" a headless Service."""

    type: str = "ClusterIP"
    selector: dict[str, str] = {}
    ports: tuple[ServicePort, ...] = ()
    cluster_ip: str = msgspec.field(default="", name="clusterIP")
    cluster_ips: tuple[str, ...] = msgspec.field(default=(), name="clusterIPs")
    external_name: str = ""
    external_ips: tuple[str, ...] = msgspec.field(default=(), name="externalIPs")
    session_affinity: str = "None"
    session_affinity_config: SessionAffinityConfig | None = None
    internal_traffic_policy: str = "Cluster"
    external_traffic_policy: str = "Cluster"
    publish_not_ready_addresses: bool = False
    load_balancer_source_ranges: tuple[str, ...] = ()
    health_check_node_port: int = 0
    traffic_distribution: str | None = None
    ip_families: tuple[str, ...] = ()


class LoadBalancerIngress(Base):
    ip: str = ""
    hostname: str = ""
    ip_mode: str | None = None


class LoadBalancerStatus(Base):
    ingress: tuple[LoadBalancerIngress, ...] = ()


class ServiceStatus(Base):
    load_balancer: LoadBalancerStatus = LoadBalancerStatus()


class Service(Object):
    spec: ServiceSpec = ServiceSpec()
    status: ServiceStatus = ServiceStatus()

    @property
    def headless(self) -> bool:
        return self.spec.cluster_ip == "None"


class TargetRef(Base):
    kind: str = ""
    namespace: str = ""
    name: str = ""
    uid: str = ""


class EndpointConditions(Base):
    """None means unknown, which consumers take for ready (and serving), as discovery/v1 says."""

    ready: bool | None = None
    serving: bool | None = None
    terminating: bool | None = None


class ForZone(Base):
    name: str


class EndpointHints(Base):
    for_zones: tuple[ForZone, ...] = ()


class Endpoint(Base):
    addresses: tuple[str, ...]
    conditions: EndpointConditions = EndpointConditions()
    hostname: str = ""
    target_ref: TargetRef | None = None
    node_name: str = ""
    zone: str = ""
    hints: EndpointHints | None = None


class EndpointPort(Base):
    name: str = ""
    protocol: str = "TCP"
    port: int | None = None
    app_protocol: str = ""


class EndpointSlice(Object):
    address_type: str = "IPv4"
    endpoints: tuple[Endpoint, ...] = ()
    ports: tuple[EndpointPort, ...] = ()

    @property
    def service(self) -> str:
        """Name of the Service that this slice belongs to, from its label."""
        return self.metadata.labels.get("kubernetes.io/service-name", "")


class EndpointAddress(Base):
    ip: str
    hostname: str = ""
    node_name: str = ""
    target_ref: TargetRef | None = None


class EndpointSubset(Base):
    addresses: tuple[EndpointAddress, ...] = ()
    not_ready_addresses: tuple[EndpointAddress, ...] = ()
    ports: tuple[EndpointPort, ...] = ()


class Endpoints(Object):
    subsets: tuple[EndpointSubset, ...] = ()


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
