"""What one node's kube-proxy counts, under kube-proxy's names.

Not here: what counts by nfnetlink_acct, as the lab's rules do without it (kubeproxy_iptables_: the packets
ct_state_invalid_dropped and localhost_nodeports_accepted), and Go's own.
Source: Kubernetes v1.34, pkg/proxy/metrics/metrics.go (RegisterMetrics).
"""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Mapping
from pathlib import Path

from labkit.net.exposition import Histogram, Values, exponential, linear, text
from labkit.net.rules import Family

VERSION = "v1.34.0"
LATENCY = exponential(0.001, 2, 15)
PROGRAMMING = (0.0, 0.25, 0.5, *linear(1, 1, 59), *linear(60, 5, 12), *linear(120, 30, 7))
_SYNC = "kubeproxy_sync_proxy_rules_"
_OF = {
    "full": ("iptables", "nftables", "ebpf"),
    "partial": ("iptables", "nftables", "ebpf"),
    "rules": ("iptables",),
    "written": ("iptables",),
    "restore_failures": ("iptables", "ipvs", "userspace"),
    "partial_failures": ("iptables",),
    "sync_failures": ("nftables",),
    "cleanup_failures": ("nftables",),
    "reconciled": ("iptables", "ipvs", "nftables", "ebpf"),
    "forgotten": ("iptables", "ipvs", "nftables", "ebpf"),
}
"""The modes that show what not all of them show. Of ebpf, which kube-proxy has not, it is what there is to tell."""
_PAGE, _TICK = resource.getpagesize(), os.sysconf("SC_CLK_TCK")


class Metrics:
    """The counters of a proxy in `mode`, which decides which of them are shown."""

    def __init__(self, mode: str) -> None:
        self.sync = Histogram(f"{_SYNC}duration_seconds", "SyncProxyRules latency in seconds", LATENCY)
        self.full = _latency("full", "full")
        self.partial = _latency("partial", "partial")
        about = "In Cluster Network Programming Latency in seconds"
        self.programming = Histogram("kubeproxy_network_programming_duration_seconds", about, PROGRAMMING)
        self.last = _gauge("last_timestamp_seconds", "The last time proxy rules were successfully synced")
        self.queued = _gauge("last_queued_timestamp_seconds", "The last time a sync of proxy rules was queued")
        self.endpoints_pending = _gauge("endpoint_changes_pending", "Pending proxy rules Endpoint changes")
        self.endpoints = _counter("endpoint_changes_total", "Cumulative proxy rules Endpoint changes")
        self.services_pending = _gauge("service_changes_pending", "Pending proxy rules Service changes")
        self.services = _counter("service_changes_total", "Cumulative proxy rules Service changes")
        about = "Number of services with a Local traffic policy and no endpoints"
        self.no_local = _gauge("no_local_endpoints_total", about)
        self.rules = _gauge("iptables_total", "Total number of iptables rules owned by kube-proxy")
        self.written = _gauge("iptables_last", "Number of iptables rules written by kube-proxy in last sync")
        self.restore_failures = _counter(
            "iptables_restore_failures_total", "Cumulative proxy iptables restore failures"
        )
        self.sync_failures = _counter("nftables_sync_failures_total", "Cumulative proxy nftables sync failures")
        about = "Cumulative proxy iptables partial restore failures"
        self.partial_failures = _counter("iptables_partial_restore_failures_total", about)
        about = "Cumulative proxy nftables cleanup failures"
        self.cleanup_failures = _counter("nftables_cleanup_failures_total", about)
        name = "kubeproxy_conntrack_reconciler_"
        about = "ReconcileConntrackFlowsLatency latency in seconds"
        self.reconciled = Histogram(f"{name}sync_duration_seconds", about, LATENCY)
        about = "Cumulative conntrack flows deleted by conntrack reconciler"
        self.forgotten = Values("counter", f"{name}deleted_entries_total", about)
        self.healthz = Values("counter", "kubeproxy_proxy_healthz_total", "Cumulative proxy healthz HTTP status")
        self.livez = Values("counter", "kubeproxy_proxy_livez_total", "Cumulative proxy livez HTTP status")
        about = "Number of HTTP requests, partitioned by status code, method, and host."
        self.requests = Values("counter", "rest_client_requests_total", about)
        self._mode = mode
        for metric in (self.endpoints_pending, self.endpoints, self.services_pending, self.services):
            metric.set(0)

    def begin(self, family: Family) -> None:
        """Let what has not happened yet be there as a zero."""
        failures = self.restore_failures, self.partial_failures, self.sync_failures, self.cleanup_failures
        for metric in (*failures, self.forgotten):
            metric.set(0, ip_family=family)

    def refused(self, family: Family, partial: bool) -> None:
        """The node did not take what a sync gave it."""
        self.restore_failures.add(ip_family=family)
        self.sync_failures.add(ip_family=family)
        if partial:
            self.partial_failures.add(ip_family=family)

    def text(self) -> str:
        own = (m for name, m in vars(self).items() if self._mode in _OF.get(name, (self._mode,)))
        return text([*(m for m in own if isinstance(m, Values | Histogram)), *process(), build()])


def build() -> Values:
    about = "A metric with a constant '1' value labeled by major, minor, git version."
    found = Values("gauge", "kubernetes_build_info", about)
    found.set(1, git_version=VERSION, major="1", minor="34", platform="linux")
    return found


def process() -> list[Values]:
    """Of this process, in which the proxies of all nodes of a lab run, unless it is a proxy by itself."""
    words = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    started = _boot() + int(words[19]) / _TICK
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    figures: Mapping[str, tuple[str, str, float]] = {
        "cpu_seconds_total": ("counter", "Total user and system CPU time spent in seconds.", time.process_time()),
        "open_fds": ("gauge", "Number of open file descriptors.", len(list(Path("/proc/self/fd").iterdir()))),
        "max_fds": ("gauge", "Maximum number of open file descriptors.", soft),
        "resident_memory_bytes": ("gauge", "Resident memory size in bytes.", int(words[21]) * _PAGE),
        "virtual_memory_bytes": ("gauge", "Virtual memory size in bytes.", int(words[20])),
        "start_time_seconds": ("gauge", "Start time of the process since unix epoch in seconds.", started),
    }
    found = []
    for name, (kind, about, value) in figures.items():
        metric = Values(kind, f"process_{name}", about)
        metric.set(value)
        found.append(metric)
    return found


def _boot() -> float:
    return time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)


def _latency(name: str, which: str) -> Histogram:
    about = f"SyncProxyRules latency in seconds for {which} resyncs"
    return Histogram(f"kubeproxy_sync_{name}_proxy_rules_duration_seconds", about, LATENCY)


def _counter(name: str, about: str) -> Values:
    return Values("counter", _SYNC + name, about)


def _gauge(name: str, about: str) -> Values:
    return Values("gauge", _SYNC + name, about)
