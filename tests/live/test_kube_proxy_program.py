"""kube-proxy as a program of its own: `labkit kube-proxy` in the place of the lab's, as a real binary would be."""

from __future__ import annotations

import shlex
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from labs import ROOT, errors, wait_until
from web import WEB

from labkit import lab
from labkit.errors import LabError
from labkit.lab import Lab

CALL = f"PYTHONPATH={shlex.quote(str(ROOT))} {shlex.quote(sys.executable)} -W error -m labkit.cli kube-proxy"


@pytest.fixture(scope="module")
def program() -> Iterator[Path]:
    """Where the lab sees it: a lab has a /tmp of its own."""
    build = ROOT / "build"
    build.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=build) as folder:
        path = Path(folder) / "kube-proxy"
        path.write_text(f'#!/bin/sh\nexport PYTHONPATH={ROOT}\nexec {sys.executable} -m labkit.cli kube-proxy "$@"\n')
        path.chmod(0o755)
        yield path


@pytest.fixture(scope="module")
def k(program: Path) -> Iterator[Lab]:
    config = {"iptables": {"minSyncPeriod": "10ms", "syncPeriod": "1s"}}
    with lab.start(nodes=2, name="program", kube_proxy=program, proxy_config=config) as started:
        started.apply(WEB)
        started.wait()
        yield started


def rules(k: Lab, node: str) -> str:
    return k.node(node).run("iptables-save -t nat", check=True).stdout


def is_proxy(pod: dict[str, Any]) -> bool:
    return bool(pod["metadata"]["labels"].get("k8s-app") == "kube-proxy")


def figure(k: Lab, name: str) -> float:
    """A figure of node-2's proxy for IPv4; 0 where there is none."""
    lines = k.node("node-2").run("curl -s 127.0.0.1:10249/metrics", check=True).stdout.splitlines()
    return next((float(line.split()[1]) for line in lines if line.startswith(f'{name}{{ip_family="IPv4"}} ')), 0.0)


def served(k: Lab) -> None:
    """Wait until both nodes have the rules of both endpoints."""
    for node in ("node-1", "node-2"):
        wait_until(lambda n=node: rules(k, n).count('"default/web -> 10.244.') == 2, 60, f"rules on {node}")  # type: ignore[misc]


def test_it_serves_the_cluster(k: Lab) -> None:
    served(k)
    assert errors(k.pod("client").get("http://web/", n=30)) == []
    assert errors(k.host().get("http://172.18.1.11:30080/", n=10)) == []
    assert k.node("node-1").run("curl -s 127.0.0.1:10249/proxyMode").stdout == "iptables"
    assert '"healthy":true' in k.node("node-1").run("curl -s 127.0.0.1:10256/healthz").stdout
    metrics = k.node("node-1").run("curl -s 127.0.0.1:10249/metrics").stdout
    assert 'rest_client_requests_total{code="200",host="172.18.1.11:6443",method="GET"}' in metrics
    assert 'rest_client_requests_total{code="201",host="172.18.1.11:6443",method="POST"} 1' in metrics
    starts = [e for e in k.objects("events", None) if e["reason"] == "Starting"]
    assert {e["involvedObject"]["name"] for e in starts} == {"node-1", "node-2"}
    assert '] "Version info" version="v1.34.0"' in k.node("node-1").proxy.log
    assert "kube-proxy of node-1" in repr(k.node("node-1").proxy)


def test_changes_reach_it(k: Lab) -> None:
    served(k)
    synced = figure(k, "kubeproxy_sync_proxy_rules_last_timestamp_seconds")
    wait_until(lambda: time.time() >= synced + 1, 3, "another second: what was in that of its start does not count")
    k.scale("deployment/web", 3)
    wait_until(lambda: rules(k, "node-2").count('"default/web -> 10.244.') == 3, 30, "the third endpoint")
    wait_until(lambda: figure(k, "kubeproxy_network_programming_duration_seconds_count") > 0, 10, "its count")
    k.scale("deployment/web", 2)
    wait_until(lambda: rules(k, "node-2").count('"default/web -> 10.244.') == 2, 30, "its end")
    k.node("node-2").run("iptables -t nat -F KUBE-SERVICES", check=True)
    wait_until(lambda: '"default/web cluster IP"' in rules(k, "node-2"), 30, "the repair")


def test_one_that_ends_is_started_again_as_its_pods_container_and_its_rules_stay(k: Lab) -> None:
    served(k)
    proxy = k.node("node-1").proxy
    before = proxy.state
    k.node("node-1").run(f"kill {before['pid']}", check=True)
    assert errors(k.pod("client").get("http://web/", n=30)) == []
    wait_until(lambda: proxy.state["pid"] not in (None, before["pid"]), 30, "the restart")
    assert proxy.state["restarts"] == before["restarts"] + 1
    (pod,) = [p for p in k.objects("pods", "kube-system") if p["spec"]["nodeName"] == "node-1" and is_proxy(p)]
    (status,) = pod["status"]["containerStatuses"]
    assert (status["restartCount"], status["lastState"]["terminated"]["exitCode"]) == (1, 143)
    name = pod["metadata"]["name"]
    wait_until(lambda: '"Version info" version="v1.34.0"' in k.logs(name, "kube-system"), 30, "its log")


def test_it_is_told_of_its_config_map_when_it_is_started_again(k: Lab) -> None:
    served(k)
    config_map = k.get("configmap/kube-proxy", "kube-system")
    text = config_map["data"]["config.conf"].replace("masqueradeBit: null", "masqueradeBit: 7")
    data = {**config_map["data"], "config.conf": text}
    k.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "kube-proxy"}, "data": data}, "kube-system")
    k.node("node-1").proxy.restart()
    wait_until(lambda: "0x80/0x80" in rules(k, "node-1"), 30, "the other mark")
    assert "0x4000/0x4000" in rules(k, "node-2")


def test_its_other_duties(k: Lab) -> None:
    served(k)
    node = k.node("node-2")

    def call(words: str) -> Any:
        return node.run(f"{CALL} {words}")

    assert call("--version").stdout == "Kubernetes v1.34.0\n"
    assert call("--write-config-to=/tmp/written").code == 0
    assert "healthzBindAddress: 0.0.0.0:10256" in node.run("cat /tmp/written").stdout
    for words, said in {
        "--proxy-mode=magic": "failed validate: KubeProxyConfiguration.Mode.ProxyMode: Invalid value",
        "--nonsense": "unknown flag: --nonsense",
        "--config=/nowhere": "failed complete: open /nowhere: no such file or directory",
        "--kubeconfig=/nowhere": "stat /nowhere: no such file or directory",
        "": "unable to load in-cluster configuration, KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT must be",
    }.items():
        done = call(words)
        assert done.code == 1
        assert said in done.stderr, done.stderr
    assert "KUBE-SVC-" in rules(k, "node-2")
    k.node("node-2").run(f"kill -STOP {k.node('node-2').proxy.state['pid']}", check=True)
    assert call("--cleanup").code == 0
    assert "KUBE-SVC-" not in rules(k, "node-2") and "KUBE-SERVICES" not in rules(k, "node-2")


def test_what_cannot_be_started_is_said(program: Path, tmp_path: Path) -> None:
    with pytest.raises(LabError, match="there is no program of this name"):
        lab.start(kube_proxy=program.parent / "other")
    hidden = tmp_path / "kube-proxy"
    hidden.write_text("#!/bin/sh\n")
    hidden.chmod(0o755)
    with pytest.raises(LabError, match="a lab does not see /tmp"):
        lab.start(kube_proxy=hidden)
