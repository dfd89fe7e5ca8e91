"""What `kubectl rollout` and `kubectl drain` make of the controllers' work, with the kubectl of this machine."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator

import pytest
from labs import API, wait_until

from labkit import lab
from labkit.lab import Lab

pytestmark = API
Kubectl = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def running(sandbox: str) -> Iterator[Lab]:
    with lab.start(name="rollouts") as started:
        yield started


@pytest.fixture
def kubectl(running: Lab) -> Kubectl:
    program = shutil.which("kubectl") or pytest.skip("there is no kubectl here")

    def run(*words: str, fails: bool = False) -> subprocess.CompletedProcess[str]:
        command = [program, "--kubeconfig", str(running.kubeconfig), *words]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert bool(done.returncode) is fails, done
        return done

    return run


def test_a_rollout_there_and_back(running: Lab, kubectl: Kubectl) -> None:
    kubectl("create", "deployment", "web", "--image=nginx:1", "--replicas=3")
    kubectl("rollout", "status", "deployment/web", "--timeout=30s")
    kubectl("set", "image", "deployment/web", "*=nginx:2")
    kubectl("rollout", "status", "deployment/web", "--timeout=30s")
    history = kubectl("rollout", "history", "deployment/web").stdout
    assert [line.split()[0] for line in history.splitlines()[2:] if line] == ["1", "2"]
    kubectl("rollout", "undo", "deployment/web")
    kubectl("rollout", "status", "deployment/web", "--timeout=30s")
    (container,) = running.get("deployment/web")["spec"]["template"]["spec"]["containers"]
    assert container["image"] == "nginx:1"
    assert "Scaled up replica set web-" in kubectl("describe", "deployment", "web").stdout
    kubectl("rollout", "pause", "deployment/web")
    kubectl("set", "image", "deployment/web", "*=nginx:3")
    sets = len(running.objects("replicaset"))
    kubectl("rollout", "resume", "deployment/web")
    kubectl("rollout", "status", "deployment/web", "--timeout=30s")
    assert len(running.objects("replicaset")) == sets + 1
    kubectl("delete", "deployment", "web", "--cascade=foreground", "--timeout=30s")


def test_an_edited_configuration_of_kube_proxy_is_rolled_out(running: Lab, kubectl: Kubectl) -> None:
    """As the manuals have it: edit the ConfigMap, restart the DaemonSet, read the logs."""
    here = ("-n", "kube-system")
    kube_proxies = (*here, "-l", "k8s-app=kube-proxy")
    listed = kubectl("get", "ds,pods", *kube_proxies, "--no-headers").stdout.splitlines()
    assert [line.split()[0].partition("/")[0] for line in listed if line] == ["daemonset.apps", *["pod"] * 3]
    text = running.get("configmap/kube-proxy", "kube-system")["data"]["config.conf"]
    edited = text.replace("masqueradeBit: null", "masqueradeBit: 9\n  masqueradeBits: 9", 1)
    patch = json.dumps({"data": {"config.conf": edited}})
    kubectl("patch", "configmap/kube-proxy", *here, "--type=merge", "-p", patch)
    kubectl("rollout", "restart", "ds/kube-proxy", *here)
    kubectl("rollout", "status", "ds/kube-proxy", *here, "--timeout=30s")
    after = kubectl("get", "pods", *kube_proxies, "--no-headers").stdout.splitlines()
    assert not {line.split()[0] for line in after} & {line.split()[0].partition("/")[2] for line in listed if line}
    logs = kubectl("logs", *kube_proxies).stdout
    assert logs.count('err="strict decoding error: unknown field \\"iptables.masqueradeBits\\""') == 3
    assert logs.count('"Using iptables Proxier"') == 3
    running.wait()
    for name in ("node-1", "node-2", "node-3"):
        assert "0x200/0x200" in running.node(name).run("iptables-save -t nat", check=True).stdout, name


def test_a_budget_holds_up_a_drain(running: Lab, kubectl: Kubectl) -> None:
    kubectl("create", "deployment", "api", "--image=nginx:1", "--replicas=2")
    kubectl("create", "pdb", "api", "--selector=app=api", "--min-available=2")
    kubectl("rollout", "status", "deployment/api", "--timeout=30s")
    wait_until(lambda: running.get("pdb/api").get("status", {}).get("currentHealthy") == 2, 10)
    pod = next(p for p in running.objects("pod") if p["metadata"].get("labels", {}).get("app") == "api")
    node = pod["spec"]["nodeName"]
    options = ("--ignore-daemonsets", "--force", "--pod-selector=app=api")
    refused = kubectl("drain", node, *options, "--timeout=2s", fails=True)
    assert "Cannot evict pod as it would violate the pod's disruption budget." in refused.stdout + refused.stderr
    kubectl("scale", "deployment", "api", "--replicas=3")
    kubectl("rollout", "status", "deployment/api", "--timeout=30s")
    kubectl("drain", node, *options, "--timeout=30s")
    kubectl("uncordon", node)
    kubectl("delete", "deployment/api", "pdb/api")


def test_jobs_and_history_of_a_stateful_set(running: Lab, kubectl: Kubectl) -> None:
    kubectl("create", "job", "sum", "--image=busybox:1", "--", "true")
    kubectl("wait", "--for=condition=complete", "job/sum", "--timeout=30s")
    labels = {"app": "db"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": "redis:1"}]}}
    spec = {"replicas": 2, "serviceName": "db", "selector": {"matchLabels": labels}, "template": template}
    running.apply({"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "db"}, "spec": spec})
    kubectl("rollout", "status", "statefulset/db", "--timeout=30s")
    kubectl("set", "image", "statefulset/db", "c=redis:2")
    kubectl("rollout", "status", "statefulset/db", "--timeout=30s")
    kubectl("rollout", "undo", "statefulset/db")
    kubectl("rollout", "status", "statefulset/db", "--timeout=30s")
    images = {p["spec"]["containers"][0]["image"] for p in running.objects("pod")
              if p["metadata"].get("labels", {}).get("app") == "db"}  # fmt: skip
    assert images == {"redis:1"}
