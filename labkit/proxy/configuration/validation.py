"""What kube-proxy says against a configuration, in its own words, one text for each fault.

Source: Kubernetes v1.34, pkg/proxy/apis/config/validation/validation.go; apimachinery's field errors; component-base
metrics/options.go (ValidateShowHiddenMetricsVersion), logs/api/v1/options.go.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from ipaddress import ip_address, ip_network
from typing import Any

from labkit.api.problem import shown
from labkit.proxy.configuration.duration import Duration
from labkit.proxy.configuration.fields import IPVS, PRIMARY, Conntrack, KubeProxyConfiguration

ROOT = "KubeProxyConfiguration"
MODES = ("iptables", "ipvs", "nftables")
LOCAL_MODES = ("ClusterCIDR", "NodeCIDR", "BridgeInterface", "InterfaceNamePrefix", "")
PREVIOUS_MINOR = "1.33"
_NOT_NEGATIVE = "must be greater than or equal to 0"
_PAIR = "must be a either a single CIDR or dual-stack pair of CIDRs (e.g. [10.100.0.0/16, fde4:8dba:82e1::/48]"


def validate(config: KubeProxyConfiguration, more_modes: Sequence[str] = ()) -> list[str]:
    """The faults of a configuration that has its defaults. `more_modes`: modes that are right besides kube-proxy's."""
    return [f"{ROOT}.{text}" for text in _faults(config, more_modes)]


def _faults(config: KubeProxyConfiguration, more_modes: Sequence[str]) -> Iterator[str]:
    yield from _bit(config.iptables.masquerade_bit, "KubeProxyIPTablesConfiguration")
    if config.mode == "ipvs":
        yield from _ipvs(config.ipvs)
    if config.mode == "nftables":
        yield from _bit(config.nftables.masquerade_bit, "KubeProxyNFTablesConfiguration")
    yield from _conntrack(config.conntrack, "KubeProxyLinuxConfiguration.KubeProxyConntrackConfiguration")
    oom = config.oom_score_adj
    if oom is not None and not -1000 <= oom <= 1000:
        yield invalid("KubeProxyLinuxConfiguration.OOMScoreAdj", oom, "must be within the range [-1000, 1000]")
    if config.mode not in ("", *MODES, *more_modes):
        blank = "blank (blank means the best-available proxy [currently iptables])"
        yield invalid("Mode.ProxyMode", config.mode, f"must be {', '.join(MODES)} or {blank}")
    if config.client_connection.burst < 0:
        yield invalid("ClientConnection.Burst", config.client_connection.burst, _NOT_NEGATIVE)
    yield from _periods(config)
    if not _is_ip(config.bind_address):
        yield invalid("BindAddress", config.bind_address, "not a valid textual representation of an IP address")
    if config.healthz_bind_address:
        yield from _host_port(config.healthz_bind_address, "HealthzBindAddress")
    if config.metrics_bind_address:
        yield from _host_port(config.metrics_bind_address, "MetricsBindAddress")
    if not _is_port_range(config.port_range):
        yield invalid("PortRange", config.port_range, "must be a valid port range (e.g. 300-2000)")
    yield from _node_port_addresses(config.node_port_addresses or ())
    hidden = config.show_hidden_metrics_for_version
    if hidden and hidden != PREVIOUS_MINOR:
        wanted = f"--show-hidden-metrics-for-version must be omitted or have the value '{PREVIOUS_MINOR}'. "
        yield invalid("ShowHiddenMetricsForVersion", hidden, wanted + "Only the previous minor version is allowed")
    yield from _detect_local(config)
    if config.logging.format not in ("", "text"):
        detail = "Unsupported log format"
        yield invalid("logging.format", config.logging.format, detail)


def _periods(config: KubeProxyConfiguration) -> Iterator[str]:
    if config.config_sync_period <= 0:
        yield invalid("ConfigSyncPeriod", config.config_sync_period, "must be greater than 0")
    period, least = config.backend.sync_period, config.backend.min_sync_period
    if period <= 0:
        yield invalid("SyncPeriod", period, "must be greater than 0")
    if least < 0:
        yield invalid("MinSyncPeriod", least, _NOT_NEGATIVE)
    if least > period:
        yield invalid("SyncPeriod", least, f"must be greater than or equal to {ROOT}.MinSyncPeriod")


def _bit(bit: int | None, part: str) -> Iterator[str]:
    if bit is not None and not 0 <= bit <= 31:
        yield invalid(f"{part}.MasqueradeBit", bit, "must be within the range [0, 31]")


def _ipvs(ipvs: IPVS) -> Iterator[str]:
    part = "KubeProxyIPVSConfiguration"
    times = (
        ("TCPTimeout", ipvs.tcp_timeout),
        ("TCPFinTimeout", ipvs.tcp_fin_timeout),
        ("UDPTimeout", ipvs.udp_timeout),
    )
    yield from (invalid(f"{part}.{name}", time, _NOT_NEGATIVE) for name, time in times if time < 0)
    for index, cidr in enumerate(ipvs.exclude_cidrs or ()):
        if not _is_cidr(cidr):
            yield invalid(f"{part}.ExcludeCidrs[{index}]", cidr, "must be a valid CIDR")


def _conntrack(conntrack: Conntrack, part: str) -> Iterator[str]:
    values = (
        ("MaxPerCore", conntrack.max_per_core),
        ("Min", conntrack.min),
        ("TCPEstablishedTimeout", conntrack.tcp_established_timeout),
        ("TCPCloseWaitTimeout", conntrack.tcp_close_wait_timeout),
        ("UDPTimeout", conntrack.udp_timeout),
        ("UDPStreamTimeout", conntrack.udp_stream_timeout),
    )
    for name, value in values:
        if value is not None and value < 0:
            yield invalid(f"{part}.{name}", value, _NOT_NEGATIVE)


def _host_port(text: str, field: str) -> Iterator[str]:
    found = re.fullmatch(r"(?:\[([^\]]*)\]|([^:\[\]]*)):([^:]*)", text)
    if found is None:
        yield invalid(field, text, "must be IP:port")
        return
    host, port = found[1] if found[1] is not None else found[2], found[3]
    if not _is_ip(host):
        yield invalid(field, host, "must be a valid IP")
    if not re.fullmatch(r"[+-]?\d+", port, re.ASCII) or not 1 <= int(port) <= 65535:
        yield invalid(field, port, "must be a valid port")


def _node_port_addresses(addresses: Sequence[str]) -> Iterator[str]:
    for index, address in enumerate(addresses):
        if address == PRIMARY:
            if len(addresses) != 1:
                yield invalid(f"NodePortAddresses[{index}]", address, "can't use both 'primary' and CIDRs")
            return
        if not _is_cidr(address):
            yield invalid(f"NodePortAddresses[{index}]", address, "must be a valid CIDR")


def _detect_local(config: KubeProxyConfiguration) -> Iterator[str]:
    mode, part = config.detect_local_mode, "DetectLocalConfiguration"
    if mode not in LOCAL_MODES:
        supported = ", ".join(f'"{each}"' for each in sorted(LOCAL_MODES))
        yield f"DetectLocalMode: Unsupported value: {shown(mode)}: supported values: {supported}"
    if mode == "BridgeInterface" and not config.detect_local.bridge_interface:
        yield invalid(f"{part}.InterfaceName", "", "must not be empty")
    if mode == "InterfaceNamePrefix" and not config.detect_local.interface_name_prefix:
        yield invalid(f"{part}.InterfacePrefix", "", "must not be empty")
    if mode == "ClusterCIDR" and config.cluster_cidr:
        yield from _cluster_cidrs(config.cluster_cidr.split(","), f"{part}.ClusterCIDRs")


def _cluster_cidrs(cidrs: list[str], field: str) -> Iterator[str]:
    bad = [(index, cidr) for index, cidr in enumerate(cidrs) if not _is_cidr(cidr)]
    if len(cidrs) > 2:
        yield invalid(field, cidrs, _PAIR)
        return
    for index, cidr in bad:
        detail = "must be a valid CIDR block (e.g. 10.100.0.0/16 or fde4:8dba:82e1::/48)"
        yield invalid(f"{field}[{index}]", cidr, detail)
    if len(cidrs) == 2 and not bad and len({":" in cidr for cidr in cidrs}) == 1:
        yield invalid(field, cidrs, _PAIR)


def invalid(field: str, value: Any, detail: str) -> str:
    """As apimachinery's field.Invalid prints."""
    text = shown(str(value)) if isinstance(value, Duration) else shown(value)
    return f"{field}: Invalid value: {text}: {detail}"


def _is_ip(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return "%" not in text


def _is_cidr(text: str) -> bool:
    try:
        ip_network(text, strict=False)
    except ValueError:
        return False
    return "/" in text and text.rpartition("/")[2].isdecimal()


def _is_port_range(text: str) -> bool:
    """Empty, `80`, `80-90`, `80+10` (apimachinery/pkg/util/net/port_range.go)."""
    found = re.fullmatch(r"(?:(\d+)(?:([-+])(\d+))?)?", text.strip(), re.ASCII)
    if found is None:
        return False
    if not found[1]:
        return True
    low, rest = int(found[1]), int(found[3] or found[1])
    high = min(low + rest, 65535) if found[2] == "+" else rest
    return low <= high <= 65535
