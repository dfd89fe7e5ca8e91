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


class OwnerReference(Base, frozen=True):
    api_version: str
    kind: str
    name: str
    uid: str
    controller: bool = False
    block_owner_deletion: bool = False


class ObjectMeta(Base, frozen=True):
    name: str = ""
    generate_name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    generation: int = 0
    creation_timestamp: str = ""
    deletion_timestamp: str | None = None
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    owner_references: tuple[OwnerReference, ...] = ()


class Object(Base, frozen=True):
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


class Condition(Base, frozen=True):
    type: str
    status: str
    reason: str = ""
    message: str = ""
    last_transition_time: str | None = None


class Namespace(Object, frozen=True):
    pass


class ServiceAccount(Object, frozen=True):
    pass


class NodeAddress(Base, frozen=True):
    type: str
    address: str


class NodeSpec(Base, frozen=True):
    pod_cidr: str = msgspec.field(default="", name="podCIDR")
    unschedulable: bool = False


class NodeStatus(Base, frozen=True):
    addresses: tuple[NodeAddress, ...] = ()
    conditions: tuple[Condition, ...] = ()


class Node(Object, frozen=True):
    spec: NodeSpec = NodeSpec()
    status: NodeStatus = NodeStatus()

    @property
    def internal_ip(self) -> str:
        return next((a.address for a in self.status.addresses if a.type == "InternalIP"), "")

    @property
    def zone(self) -> str:
        return self.metadata.labels.get("topology.kubernetes.io/zone", "")


class ContainerPort(Base, frozen=True):
    container_port: int
    name: str = ""
    protocol: str = "TCP"


class ObjectFieldSelector(Base, frozen=True):
    field_path: str


class EnvVarSource(Base, frozen=True):
    """Without a `field_ref` the value comes from a ConfigMap, a Secret or the container's resources."""

    field_ref: ObjectFieldSelector | None = None


class EnvVar(Base, frozen=True):
    name: str
    value: str = ""
    value_from: EnvVarSource | None = None


class HTTPHeader(Base, frozen=True):
    name: str
    value: str = ""


class HTTPGetAction(Base, frozen=True):
    port: int | str
    path: str = "/"
    host: str = ""
    scheme: str = "HTTP"
    http_headers: tuple[HTTPHeader, ...] = ()


class TCPSocketAction(Base, frozen=True):
    port: int | str


class ExecAction(Base, frozen=True):
    command: tuple[str, ...] = ()


class Probe(Base, frozen=True):
    http_get: HTTPGetAction | None = None
    tcp_socket: TCPSocketAction | None = None
    exec: ExecAction | None = None
    initial_delay_seconds: int = 0
    period_seconds: int = 10
    timeout_seconds: int = 1
    success_threshold: int = 1
    failure_threshold: int = 3


class Container(Base, frozen=True):
    name: str
    image: str = ""
    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    working_dir: str = ""
    ports: tuple[ContainerPort, ...] = ()
    env: tuple[EnvVar, ...] = ()
    restart_policy: str = ""
    startup_probe: Probe | None = None
    liveness_probe: Probe | None = None
    readiness_probe: Probe | None = None


class PodDNSConfigOption(Base, frozen=True):
    name: str
    value: str | None = None


class PodDNSConfig(Base, frozen=True):
    nameservers: tuple[str, ...] = ()
    searches: tuple[str, ...] = ()
    options: tuple[PodDNSConfigOption, ...] = ()


class HostAlias(Base, frozen=True):
    ip: str
    hostnames: tuple[str, ...] = ()


class PodSpec(Base, frozen=True):
    init_containers: tuple[Container, ...] = ()
    containers: tuple[Container, ...] = ()
    node_name: str = ""
    node_selector: dict[str, str] = {}
    host_network: bool = False
    hostname: str = ""
    subdomain: str = ""
    dns_policy: str = "ClusterFirst"
    dns_config: PodDNSConfig | None = None
    host_aliases: tuple[HostAlias, ...] = ()
    restart_policy: str = "Always"
    service_account_name: str = ""
    termination_grace_period_seconds: int = 30


class PodIP(Base, frozen=True):
    ip: str


class PodStatus(Base, frozen=True):
    phase: str = ""
    conditions: tuple[Condition, ...] = ()
    pod_ip: str = msgspec.field(default="", name="podIP")
    pod_ips: tuple[PodIP, ...] = msgspec.field(default=(), name="podIPs")
    host_ip: str = msgspec.field(default="", name="hostIP")


class Pod(Object, frozen=True):
    spec: PodSpec = PodSpec()
    status: PodStatus = PodStatus()

    @property
    def ready(self) -> bool:
        return any(c.type == "Ready" and c.status == "True" for c in self.status.conditions)

    @property
    def terminating(self) -> bool:
        return self.metadata.deletion_timestamp is not None


class LabelSelectorRequirement(Base, frozen=True):
    key: str
    operator: str
    values: tuple[str, ...] = ()


class LabelSelector(Base, frozen=True):
    match_labels: dict[str, str] = {}
    match_expressions: tuple[LabelSelectorRequirement, ...] = ()


class PodTemplateSpec(Base, frozen=True):
    metadata: ObjectMeta = ObjectMeta()
    spec: PodSpec = PodSpec()


class ReplicaSetSpec(Base, frozen=True):
    replicas: int = 1
    selector: LabelSelector = LabelSelector()
    template: PodTemplateSpec = PodTemplateSpec()
    min_ready_seconds: int = 0


class ReplicaSetStatus(Base, frozen=True):
    replicas: int = 0
    ready_replicas: int = 0
    available_replicas: int = 0
    observed_generation: int = 0


class ReplicaSet(Object, frozen=True):
    spec: ReplicaSetSpec = ReplicaSetSpec()
    status: ReplicaSetStatus = ReplicaSetStatus()


class RollingUpdateDeployment(Base, frozen=True):
    max_surge: int | str = "25%"
    max_unavailable: int | str = "25%"


class DeploymentStrategy(Base, frozen=True):
    type: str = "RollingUpdate"
    rolling_update: RollingUpdateDeployment = RollingUpdateDeployment()


class DeploymentSpec(ReplicaSetSpec, frozen=True):
    strategy: DeploymentStrategy = DeploymentStrategy()
    revision_history_limit: int = 10
    paused: bool = False


class DeploymentStatus(ReplicaSetStatus, frozen=True):
    updated_replicas: int = 0


class Deployment(Object, frozen=True):
    spec: DeploymentSpec = DeploymentSpec()
    status: DeploymentStatus = DeploymentStatus()


class ServicePort(Base, frozen=True):
    port: int
    name: str = ""
    protocol: str = "TCP"
    target_port: int | str = 0
    node_port: int = 0
    app_protocol: str = ""


class ClientIPConfig(Base, frozen=True):
    timeout_seconds: int = 10800


class SessionAffinityConfig(Base, frozen=True):
    client_ip: ClientIPConfig | None = msgspec.field(default=None, name="clientIP")


class ServiceSpec(Base, frozen=True):
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


class LoadBalancerIngress(Base, frozen=True):
    ip: str = ""
    hostname: str = ""
    ip_mode: str | None = None


class LoadBalancerStatus(Base, frozen=True):
    ingress: tuple[LoadBalancerIngress, ...] = ()


class ServiceStatus(Base, frozen=True):
    load_balancer: LoadBalancerStatus = LoadBalancerStatus()


class Service(Object, frozen=True):
    spec: ServiceSpec = ServiceSpec()
    status: ServiceStatus = ServiceStatus()

    @property
    def headless(self) -> bool:
        return self.spec.cluster_ip == "None"


class TargetRef(Base, frozen=True):
    kind: str = ""
    namespace: str = ""
    name: str = ""
    uid: str = ""


class EndpointConditions(Base, frozen=True):
    """None means unknown, which consumers take for ready (and serving), as discovery/v1 says."""

    ready: bool | None = None
    serving: bool | None = None
    terminating: bool | None = None


class ForZone(Base, frozen=True):
    name: str


class ForNode(Base, frozen=True):
    name: str


class EndpointHints(Base, frozen=True):
    for_zones: tuple[ForZone, ...] = ()
    for_nodes: tuple[ForNode, ...] = ()


class Endpoint(Base, frozen=True):
    addresses: tuple[str, ...]
    conditions: EndpointConditions = EndpointConditions()
    hostname: str = ""
    target_ref: TargetRef | None = None
    node_name: str = ""
    zone: str = ""
    hints: EndpointHints | None = None


class EndpointPort(Base, frozen=True):
    name: str = ""
    protocol: str = "TCP"
    port: int | None = None
    app_protocol: str = ""


class EndpointSlice(Object, frozen=True):
    address_type: str = "IPv4"
    endpoints: tuple[Endpoint, ...] = ()
    ports: tuple[EndpointPort, ...] = ()

    @property
    def service(self) -> str:
        """Name of the Service that this slice belongs to, from its label."""
        return self.metadata.labels.get("kubernetes.io/service-name", "")


class EndpointAddress(Base, frozen=True):
    ip: str
    hostname: str = ""
    node_name: str = ""
    target_ref: TargetRef | None = None


class EndpointSubset(Base, frozen=True):
    addresses: tuple[EndpointAddress, ...] = ()
    not_ready_addresses: tuple[EndpointAddress, ...] = ()
    ports: tuple[EndpointPort, ...] = ()


class Endpoints(Object, frozen=True):
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
