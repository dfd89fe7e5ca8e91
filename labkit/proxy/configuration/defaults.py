"""What kube-proxy takes where a configuration says nothing.

Source: Kubernetes v1.34, pkg/proxy/apis/config/v1alpha1/defaults.go; cmd/kube-proxy/app/server_linux.go
(platformApplyDefaults) for mode and detectLocalMode.
"""

from __future__ import annotations

from ipaddress import ip_address

from msgspec.structs import replace

from labkit.proxy.configuration.duration import HOUR, MINUTE, SECOND, Duration
from labkit.proxy.configuration.fields import KubeProxyConfiguration, Logging

HEALTHZ_PORT, METRICS_PORT = 10256, 10249
MIN_SYNC = Duration(SECOND)
PERIOD = Duration(30 * SECOND)


def completed(config: KubeProxyConfiguration, min_sync: Duration = MIN_SYNC) -> KubeProxyConfiguration:
    """The configuration with every default in it; `min_sync` is that of the minSyncPeriod."""
    bind = config.bind_address or "0.0.0.0"
    everywhere, own = ("[::]", "[::1]") if _is_ipv6(bind) else ("0.0.0.0", "127.0.0.1")
    client, conntrack = config.client_connection, config.conntrack
    bit = config.iptables.masquerade_bit
    localhost = config.iptables.localhost_node_ports
    return replace(
        config,
        bind_address=bind,
        healthz_bind_address=with_port(config.healthz_bind_address or everywhere, HEALTHZ_PORT),
        metrics_bind_address=with_port(config.metrics_bind_address or own, METRICS_PORT),
        oom_score_adj=-999 if config.oom_score_adj is None else config.oom_score_adj,
        iptables=replace(
            config.iptables,
            masquerade_bit=14 if bit is None else bit,
            localhost_node_ports=True if localhost is None else localhost,
            sync_period=config.iptables.sync_period or PERIOD,
            min_sync_period=config.iptables.min_sync_period or min_sync,
        ),
        ipvs=replace(config.ipvs, sync_period=config.ipvs.sync_period or PERIOD),
        nftables=replace(
            config.nftables,
            masquerade_bit=14 if config.nftables.masquerade_bit is None else config.nftables.masquerade_bit,
            sync_period=config.nftables.sync_period or PERIOD,
            min_sync_period=config.nftables.min_sync_period or min_sync,
        ),
        conntrack=replace(
            conntrack,
            max_per_core=32 * 1024 if conntrack.max_per_core is None else conntrack.max_per_core,
            min=128 * 1024 if conntrack.min is None else conntrack.min,
            tcp_established_timeout=_or(conntrack.tcp_established_timeout, 24 * HOUR),
            tcp_close_wait_timeout=_or(conntrack.tcp_close_wait_timeout, HOUR),
        ),
        config_sync_period=config.config_sync_period or Duration(15 * MINUTE),
        client_connection=replace(
            client,
            content_type=client.content_type or "application/vnd.kubernetes.protobuf",
            qps=client.qps or 5.0,
            burst=client.burst or 10,
        ),
        logging=_logging(config.logging),
    )


def platform(config: KubeProxyConfiguration) -> KubeProxyConfiguration:
    """What Linux adds to them when the proxy starts."""
    return replace(config, mode=config.mode or "iptables", detect_local_mode=config.detect_local_mode or "ClusterCIDR")


def with_port(address: str, port: int) -> str:
    """An address with this port, unless it has one."""
    try:
        ip = ip_address(address.strip("[]"))
    except ValueError:
        return address
    return f"[{ip}]:{port}" if ip.version == 6 else f"{ip}:{port}"


def _or(given: Duration | None, default: int) -> Duration:
    return Duration(default) if given is None else given


def _logging(logging: Logging) -> Logging:
    return replace(logging, format=logging.format or "text", flush_frequency=logging.flush_frequency or 5 * SECOND)


def _is_ipv6(address: str) -> bool:
    try:
        return ip_address(address).version == 6
    except ValueError:
        return False
