"""Pods and what is in them (core/v1)."""

from __future__ import annotations

import msgspec

from labkit.api.objects.meta import Base, Condition, Object


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
