"""Pods and what is in them (core/v1)."""

from __future__ import annotations

import msgspec

from labkit.api.objects.meta import Base, Condition, Object
from labkit.api.objects.volume import ObjectFieldSelector, ResourceFieldSelector, SourceReference, Volume


class ContainerPort(Base, frozen=True):
    container_port: int
    name: str = ""
    protocol: str = "TCP"


class KeySelector(Base, frozen=True):
    """One key of a ConfigMap or a Secret."""

    key: str
    name: str = ""
    optional: bool = False


class EnvVarSource(Base, frozen=True):
    """Exactly one of them is given."""

    field_ref: ObjectFieldSelector | None = None
    resource_field_ref: ResourceFieldSelector | None = None
    config_map_key_ref: KeySelector | None = None
    secret_key_ref: KeySelector | None = None


class EnvFromSource(Base, frozen=True):
    prefix: str = ""
    config_map_ref: SourceReference | None = None
    secret_ref: SourceReference | None = None


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


class GRPCAction(Base, frozen=True):
    port: int
    service: str | None = None


class SleepAction(Base, frozen=True):
    seconds: int = 0


class LifecycleHandler(Base, frozen=True):
    exec: ExecAction | None = None
    http_get: HTTPGetAction | None = None
    sleep: SleepAction | None = None


class Lifecycle(Base, frozen=True):
    post_start: LifecycleHandler | None = None
    pre_stop: LifecycleHandler | None = None


class Probe(Base, frozen=True):
    http_get: HTTPGetAction | None = None
    tcp_socket: TCPSocketAction | None = None
    exec: ExecAction | None = None
    grpc: GRPCAction | None = None
    termination_grace_period_seconds: int | None = None
    initial_delay_seconds: int = 0
    period_seconds: int = 10
    timeout_seconds: int = 1
    success_threshold: int = 1
    failure_threshold: int = 3


class ResourceRequirements(Base, frozen=True):
    limits: dict[str, str | int | float] = {}
    requests: dict[str, str | int | float] = {}


class VolumeMount(Base, frozen=True):
    name: str
    mount_path: str
    sub_path: str = ""
    sub_path_expr: str = ""
    read_only: bool = False


class Container(Base, frozen=True):
    name: str
    image: str = ""
    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    working_dir: str = ""
    ports: tuple[ContainerPort, ...] = ()
    env: tuple[EnvVar, ...] = ()
    env_from: tuple[EnvFromSource, ...] = ()
    resources: ResourceRequirements = ResourceRequirements()
    volume_mounts: tuple[VolumeMount, ...] = ()
    lifecycle: Lifecycle | None = None
    restart_policy: str = ""
    stdin: bool = False
    stdin_once: bool = False
    tty: bool = False
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


class PodReadinessGate(Base, frozen=True):
    condition_type: str


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
    active_deadline_seconds: int | None = None
    enable_service_links: bool = True
    readiness_gates: tuple[PodReadinessGate, ...] = ()
    volumes: tuple[Volume, ...] = ()


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
