"""What a proxy shows of itself, in each mode what kube-proxy v1.34 registers there."""

from __future__ import annotations

import pytest

from labkit.proxy.metrics import PROGRAMMING, Metrics

SYNC = "kubeproxy_sync_proxy_rules_"
CORE = {
    "kubeproxy_network_programming_duration_seconds",
    "kubeproxy_proxy_healthz_total",
    "kubeproxy_proxy_livez_total",
    f"{SYNC}duration_seconds",
    f"{SYNC}endpoint_changes_pending",
    f"{SYNC}endpoint_changes_total",
    f"{SYNC}last_queued_timestamp_seconds",
    f"{SYNC}last_timestamp_seconds",
    f"{SYNC}no_local_endpoints_total",
    f"{SYNC}service_changes_pending",
    f"{SYNC}service_changes_total",
}
SYNCS = {"kubeproxy_sync_full_proxy_rules_duration_seconds", "kubeproxy_sync_partial_proxy_rules_duration_seconds"}
FLOWS = {
    "kubeproxy_conntrack_reconciler_deleted_entries_total",
    "kubeproxy_conntrack_reconciler_sync_duration_seconds",
}
RESTORE = f"{SYNC}iptables_restore_failures_total"
OF_MODE = {
    "iptables": {
        *SYNCS, *FLOWS, RESTORE, f"{SYNC}iptables_partial_restore_failures_total", f"{SYNC}iptables_total",
        f"{SYNC}iptables_last",
    },
    "ipvs": {*FLOWS, RESTORE},
    "nftables": {*SYNCS, *FLOWS, f"{SYNC}nftables_sync_failures_total", f"{SYNC}nftables_cleanup_failures_total"},
    "kernelspace": set(),
    "ebpf": {*SYNCS, *FLOWS},
    "userspace": {RESTORE},
}  # fmt: skip


@pytest.mark.parametrize("mode", OF_MODE)
def test_each_mode_shows_its_own(mode: str) -> None:
    metrics = Metrics(mode)
    metrics.begin("IPv4")
    for each in (metrics.sync, metrics.full, metrics.partial, metrics.programming, metrics.reconciled):
        each.observe(1.0, ip_family="IPv4")
    for gauge in (metrics.last, metrics.queued, metrics.no_local, metrics.rules, metrics.written):
        gauge.set(1, ip_family="IPv4")
    for counter in (metrics.healthz, metrics.livez):
        counter.add(code="200")
    shown = {line.split()[2] for line in metrics.text().splitlines() if line.startswith("# TYPE kubeproxy_")}
    assert shown == CORE | OF_MODE[mode]


def test_failures() -> None:
    metrics = Metrics("iptables")
    metrics.begin("IPv6")
    metrics.refused("IPv6", partial=False)
    metrics.refused("IPv6", partial=True)
    lines = metrics.text().splitlines()
    assert f'{RESTORE}{{ip_family="IPv6"}} 2' in lines
    assert f'{SYNC}iptables_partial_restore_failures_total{{ip_family="IPv6"}} 1' in lines
    assert f'{SYNC}nftables_sync_failures_total{{ip_family="IPv6"}} 2' not in lines


def test_the_bounds_are_kube_proxys() -> None:
    """Quarters of a second, seconds to a minute, 5 s to two, 30 s to five."""
    assert tuple(sorted(set(PROGRAMMING))) == PROGRAMMING
    assert (PROGRAMMING[:4], PROGRAMMING[61:64], PROGRAMMING[-8:]) == (
        (0.0, 0.25, 0.5, 1.0), (59.0, 60.0, 65.0), (115.0, 120.0, 150.0, 180.0, 210.0, 240.0, 270.0, 300.0)
    )  # fmt: skip
