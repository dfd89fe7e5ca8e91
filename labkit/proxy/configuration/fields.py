"""KubeProxyConfiguration as a file has it: every field of v1alpha1, empty where the file says nothing.

Source: Kubernetes v1.34, staging/src/k8s.io/kube-proxy/config/v1alpha1/types.go; component-base/config/v1alpha1 and
component-base/logs/api/v1 for the client's connection and logging.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from labkit.proxy.configuration.duration import Duration

GROUP_VERSION = "kubeproxy.config.k8s.io/v1alpha1"
KIND = "KubeProxyConfiguration"
ZERO = Duration(0)
PRIMARY = "primary"
"""The one nodePortAddresses that is no range: the node's primary address of each family."""


class ClientConnection(msgspec.Struct, frozen=True, rename="camel"):
    kubeconfig: str = ""
    accept_content_types: str = ""
    content_type: str = ""
    qps: float = 0
    burst: int = 0


class IPTables(msgspec.Struct, frozen=True, rename="camel"):
    masquerade_bit: int | None = None
    masquerade_all: bool = False
    localhost_node_ports: bool | None = None
    sync_period: Duration = ZERO
    min_sync_period: Duration = ZERO


class IPVS(msgspec.Struct, frozen=True, rename="camel"):
    sync_period: Duration = ZERO
    min_sync_period: Duration = ZERO
    scheduler: str = ""
    exclude_cidrs: tuple[str, ...] | None = msgspec.field(default=None, name="excludeCIDRs")
    strict_arp: bool = msgspec.field(default=False, name="strictARP")
    tcp_timeout: Duration = ZERO
    tcp_fin_timeout: Duration = ZERO
    udp_timeout: Duration = ZERO


class NFTables(msgspec.Struct, frozen=True, rename="camel"):
    masquerade_bit: int | None = None
    masquerade_all: bool = False
    sync_period: Duration = ZERO
    min_sync_period: Duration = ZERO


class Winkernel(msgspec.Struct, frozen=True, rename="camel"):
    network_name: str = ""
    source_vip: str = ""
    enable_dsr: bool = msgspec.field(default=False, name="enableDSR")
    root_hns_endpoint_name: str = ""
    forward_health_check_vip: bool = False


class Ebpf(msgspec.Struct, frozen=True, rename="camel"):
    """The lab's own, of the mode ebpf: as Cilium's loadBalancer.algorithm and bpf.lbMapMax."""

    algorithm: Literal["random", "maglev"] = "random"
    map_max: int = 16384


class DetectLocal(msgspec.Struct, frozen=True, rename="camel"):
    bridge_interface: str = ""
    interface_name_prefix: str = ""


class Conntrack(msgspec.Struct, frozen=True, rename="camel"):
    max_per_core: int | None = None
    min: int | None = None
    tcp_established_timeout: Duration | None = None
    tcp_close_wait_timeout: Duration | None = None
    tcp_be_liberal: bool = False
    udp_timeout: Duration = ZERO
    udp_stream_timeout: Duration = ZERO


class OutputRouting(msgspec.Struct, frozen=True, rename="camel"):
    split_stream: bool = False
    info_buffer_size: str | int = "0"


class LoggingOptions(msgspec.Struct, frozen=True, rename="camel"):
    text: OutputRouting = OutputRouting()
    json: OutputRouting = OutputRouting()


class VModule(msgspec.Struct, frozen=True, rename="camel"):
    file_pattern: str = ""
    verbosity: int = 0


class Logging(msgspec.Struct, frozen=True, rename="camel"):
    """flush_frequency: a time, or nanoseconds; empty means 5 s."""

    format: str = ""
    flush_frequency: str | int = 0
    verbosity: int = 0
    vmodule: tuple[VModule, ...] = ()
    options: LoggingOptions = LoggingOptions()


class KubeProxyConfiguration(msgspec.Struct, frozen=True, rename="camel"):
    """The whole file. `None` where Go has a null pointer, list or map."""

    api_version: str = GROUP_VERSION
    kind: str = KIND
    feature_gates: dict[str, bool] = msgspec.field(default_factory=dict)
    client_connection: ClientConnection = ClientConnection()
    logging: Logging = Logging()
    hostname_override: str = ""
    bind_address: str = ""
    healthz_bind_address: str = ""
    metrics_bind_address: str = ""
    bind_address_hard_fail: bool = False
    enable_profiling: bool = False
    show_hidden_metrics_for_version: str = ""
    mode: str = ""
    iptables: IPTables = IPTables()
    ipvs: IPVS = IPVS()
    nftables: NFTables = NFTables()
    winkernel: Winkernel = Winkernel()
    ebpf: Ebpf = Ebpf()
    detect_local_mode: str = ""
    detect_local: DetectLocal = DetectLocal()
    cluster_cidr: str = msgspec.field(default="", name="clusterCIDR")
    node_port_addresses: tuple[str, ...] | None = None
    oom_score_adj: int | None = None
    conntrack: Conntrack = Conntrack()
    config_sync_period: Duration = ZERO
    port_range: str = ""
    windows_run_as_service: bool = False

    @property
    def backend(self) -> IPTables | IPVS | NFTables:
        """The part that the mode goes by."""
        if self.mode == "ipvs":
            return self.ipvs
        return self.nftables if self.mode == "nftables" else self.iptables
