"""A real Prometheus scrapes the nodes' kube-proxies, and finds kube-proxy's metrics."""

from __future__ import annotations

import json
import shutil
from typing import Any
from urllib.parse import quote

import pytest
from labs import wait_until
from web import WEB

from labkit import lab
from labkit.lab import Lab

CONFIG = """
global: {scrape_interval: 1s, scrape_timeout: 1s}
scrape_configs:
- job_name: kube-proxy
  static_configs: [{targets: ['172.18.1.11:10249', '172.18.2.12:10249']}]
"""
# It looks its own host's name up before it begins, and on a node nobody answers: ten seconds by default.
START = (
    "cat >/tmp/prometheus.yml; RES_OPTIONS='timeout:1 attempts:1' prometheus --config.file=/tmp/prometheus.yml "
    "--storage.tsdb.path=/tmp/prometheus --web.listen-address=127.0.0.1:9090 >/tmp/prometheus.log 2>&1 </dev/null &"
)
COUNTED = (
    "kubeproxy_sync_proxy_rules_duration_seconds_count",
    "kubeproxy_sync_proxy_rules_last_timestamp_seconds",
    "kubeproxy_sync_proxy_rules_service_changes_total",
    "kubeproxy_sync_proxy_rules_endpoint_changes_pending",
    "kubeproxy_sync_proxy_rules_iptables_total",
    "kubeproxy_sync_proxy_rules_iptables_restore_failures_total",
    "kubeproxy_sync_proxy_rules_no_local_endpoints_total",
    "kubeproxy_conntrack_reconciler_deleted_entries_total",
    "process_resident_memory_bytes",
    "kubernetes_build_info",
)


def ask(k: Lab, query: str) -> list[dict[str, Any]]:
    """The series that Prometheus finds; none while it cannot answer."""
    done = k.node("node-1").run(f"curl -s '127.0.0.1:9090/api/v1/query?query={quote(query)}'")
    answer = json.loads(done.stdout) if done.code == 0 and done.stdout.startswith("{") else {}
    found: list[dict[str, Any]] = answer.get("data", {}).get("result", [])
    return found


@pytest.mark.sandbox("namespaces")  # in a kernel of its own it takes the one processor for half a minute
def test_prometheus_finds_what_kube_proxy_counts() -> None:
    if not shutil.which("prometheus"):
        pytest.skip("Prometheus is not installed (tests/apt.txt)")
    with lab.start(nodes=2, name="prometheus", proxy_config={"metricsBindAddress": "0.0.0.0"}) as k:
        k.apply(WEB)
        k.wait()
        page = k.node("node-1").run("curl -s 172.18.1.11:10249/metrics", check=True).stdout
        checked = k.node("node-1").run("promtool check metrics", stdin=page)
        faults = [line for line in checked.stderr.splitlines() if "error" in line or "parsing" in line]
        assert faults == []
        k.node("node-1").run(START, stdin=CONFIG, check=True)
        wait_until(lambda: [s["value"][1] for s in ask(k, "up")] == ["1", "1"], 30, "a scrape of both nodes")
        for name in COUNTED:
            series = ask(k, name)
            assert {s["metric"]["instance"] for s in series} == {"172.18.1.11:10249", "172.18.2.12:10249"}, name
            assert {s["metric"].get("ip_family", "IPv4") for s in series} == {"IPv4"}
        rules = ask(k, 'kubeproxy_sync_proxy_rules_iptables_total{table="nat"}')
        assert all(int(s["value"][1]) > 20 for s in rules)
        quantile = ask(k, "histogram_quantile(0.99, kubeproxy_sync_proxy_rules_duration_seconds_bucket)")
        assert all(0 < float(s["value"][1]) < 33 for s in quantile)
