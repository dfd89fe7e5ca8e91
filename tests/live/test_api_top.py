"""`kubectl top`: what pods and nodes take of the processor and of memory, by real kubectl."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Iterator

import pytest
from kubectls import need
from labs import wait_until

from labkit import lab
from labkit.lab import Lab

WORK = "while :; do i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; sleep 0.1; done"
BUSY = """
apiVersion: v1
kind: Pod
metadata: {name: busy, labels: {app: busy}}
spec:
  containers:
  - {name: work, image: busybox, command: [sh, -c, "{WORK}"]}
  - {name: idle, image: busybox, command: [sleep, "1000"]}
---
apiVersion: v1
kind: Pod
metadata: {name: web, labels: {app: web}}
spec: {containers: [{name: web, image: nginx}]}
""".replace("{WORK}", WORK)


@pytest.fixture(scope="module")
def running(sandbox: str) -> Iterator[Lab]:
    with lab.start(nodes=2, name="top") as started:
        started.apply(BUSY)
        started.wait()
        yield started


@pytest.fixture(params=["1.27", "1.33"])
def kubectl(running: Lab, request: pytest.FixtureRequest) -> Callable[[str], str]:
    program = need(request.param)

    def run(command: str) -> str:
        line = [program, "--kubeconfig", str(running.kubeconfig), *command.split()]
        return subprocess.run(line, capture_output=True, text=True, timeout=60, check=True).stdout

    return run


def test_top(kubectl: Callable[[str], str]) -> None:
    def load(container: str) -> int:
        return int(re.findall(rf"busy +{container} +(\d+)m", kubectl("top pods --containers"))[0])

    wait_until(lambda: load("work") > 50, 30, "load")
    wait_until(lambda: load("idle") <= 5, 60, "what the start has taken to be past")
    lines = kubectl("top pods --containers").splitlines()
    assert [line.split()[:2] for line in lines[1:]] == [["busy", "idle"], ["busy", "work"], ["web", "web"]]
    assert [line.split()[0] for line in kubectl("top pods -l app=web --no-headers").splitlines()] == ["web"]
    assert kubectl("top pods -A").split()[0] == "NAMESPACE"
    nodes = [line.split() for line in kubectl("top nodes --no-headers").splitlines()]
    assert [node[0] for node in nodes] == ["node-1", "node-2"]
    assert sum(int(node[1].removesuffix("m")) for node in nodes) > 50
    assert "v1beta1.metrics.k8s.io" in kubectl(
        "wait --for=condition=Available apiservice/v1beta1.metrics.k8s.io -o name"
    )
