"""StatefulSets, DaemonSets, Jobs with real pods; a node whose cable is pulled."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from labs import errors, pod_names, wait_until

from labkit import lab
from labkit.errors import LabError, NotFound, WaitTimeout
from labkit.lab import Lab

UNREACHABLE = {"key": "node.kubernetes.io/unreachable", "operator": "Exists", "effect": "NoExecute"}

RULES = "iptables-save -t nat | grep ^-A"  # without counters and the time of day


@pytest.fixture(scope="module")
def k(sandbox: str) -> Iterator[Lab]:
    with lab.start(name="workloads", pace=20) as started:
        yield started


def workload(kind: str, name: str, **spec: Any) -> dict[str, Any]:
    labels = {"app": name}
    pod = {"containers": [{"name": "c", "image": "nginx:1"}], **spec.pop("pod", {})}
    template = {"metadata": {"labels": labels}, "spec": pod}
    spec = {"selector": {"matchLabels": labels}, "template": template, **spec}
    return {"apiVersion": "apps/v1", "kind": kind, "metadata": {"name": name}, "spec": spec}


def service(name: str, **spec: Any) -> dict[str, Any]:
    spec = {"selector": {"app": name}, "ports": [{"port": 80}], **spec}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec}


def job(name: str, *command: str, **spec: Any) -> dict[str, Any]:
    pod = {"restartPolicy": "Never", "containers": [{"name": "c", "image": "busybox:1", "command": list(command)}]}
    spec = {"template": {"spec": pod}, **spec}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name}, "spec": spec}


def ready(k: Lab, node: str) -> str:
    conditions = k.get(f"node/{node}")["status"]["conditions"]
    return next(str(c["status"]) for c in conditions if c["type"] == "Ready")


def test_a_stateful_set_has_names_that_resolve(k: Lab) -> None:
    k.apply([workload("StatefulSet", "db", replicas=2, serviceName="db"), service("db", clusterIP="None")])
    k.wait("statefulset/db")
    assert pod_names(k, "default/db-") == ["default/db-0", "default/db-1"]
    answers = k.pod("db-0").get("http://db-1.db", n=2)
    assert set(answers["pod"]) == {"db-1"}
    for _ in range(5):  # the new one may be there before anybody has seen that the old one is gone
        uid = k.get("pod/db-1")["metadata"]["uid"]
        k.delete("pod/db-1", timeout=5)
        k.wait("statefulset/db")
        assert k.get("pod/db-1")["metadata"]["uid"] != uid
    k.scale("statefulset/db", 1)
    assert pod_names(k, "default/db-") == ["default/db-0"]
    k.delete("statefulset/db")


def test_a_daemon_set_runs_everywhere(k: Lab) -> None:
    k.apply(workload("DaemonSet", "agent"))
    k.wait("daemonset/agent")
    found = [pod["spec"]["nodeName"] for pod in k.objects("pod") if pod["metadata"]["name"].startswith("agent-")]
    assert sorted(found) == sorted(k.facts["nodes"])
    k.delete("daemonset/agent")


def test_jobs_run_to_their_end(k: Lab) -> None:
    k.apply(job("sum", "sh", "-c", "echo $((2 + 3))", completions=2))
    k.wait("job/sum")
    k.apply(job("bad", "false", backoffLimit=0))
    with pytest.raises(WaitTimeout, match="bad is failed: Job has reached the specified backoff limit"):
        k.wait("job/bad", timeout=3)
    k.delete("job/sum")
    k.delete("job/bad")
    wait_until(lambda: not [p for p in k.objects("pod") if p["metadata"]["name"].startswith(("sum", "bad"))], 10)


def test_a_failed_node_is_replaced_and_comes_back(k: Lab) -> None:
    tolerations = [{**UNREACHABLE, "tolerationSeconds": 1}]
    k.apply([workload("Deployment", "web", replicas=3, pod={"tolerations": tolerations}), service("web")])
    k.apply(
        {
            "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "client"},
            "spec": {"nodeName": "node-1", "containers": [{"name": "c", "image": "pause"}]},
        }
    )  # fmt: skip
    k.wait()
    (victim,) = [p for p in k.objects("pod") if p["spec"].get("nodeName") == "node-2"
                 and p["metadata"]["name"].startswith("web-")]  # fmt: skip
    rules = k.node("node-2").run(RULES).stdout
    k.node("node-2").fail()
    with pytest.raises(LabError, match="has failed already"):
        k.node("node-2").fail()
    assert k.pod("client").get(f"http://{victim['status']['podIP']}", timeout=0.3)["error"][0]
    wait_until(lambda: ready(k, "node-2") == "Unknown", 30, "the node's failure")
    wait_until(lambda: k.get("deployment/web")["status"].get("availableReplicas") == 3, 30, "the replacement")
    lost = f"pod/{victim['metadata']['name']}"
    assert "deletionTimestamp" in k.get(lost)["metadata"], "its node cannot say that it has ended"
    k.wait("svc/web")
    answers = k.pod("client").get("http://web", n=60)
    assert errors(answers) == []
    assert "node-2" not in set(answers["node"])
    k.apply(service("later", selector={"app": "web"}))
    k.wait("svc/later")
    assert k.node("node-2").run(RULES).stdout == rules, "nobody could tell its kube-proxy anything"
    k.node("node-2").recover()
    k.wait("node/node-2")
    assert "taints" not in k.get("node/node-2")["spec"]
    wait_until(lambda: not [p for p in k.objects("pod") if p["metadata"]["uid"] == victim["metadata"]["uid"]], 40)
    k.wait()
    there = k.node("node-2").run(RULES).stdout
    assert "default/later" in there and victim["status"]["podIP"] not in there
    direct = k.pod("client").run("ping -c 1 -W 2 172.18.2.12")
    assert direct.code == 0, direct


def test_a_node_that_there_is_not(k: Lab) -> None:
    with pytest.raises(NotFound):
        k.node("node-9").fail()
