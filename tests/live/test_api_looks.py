"""What kubectl of three generations shows of a running lab: descriptions, every format, logs, the server itself."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import commanding
import pytest
import yaml
from commanding import Kubectl, table
from labs import API

from labkit import lab
from labkit.lab import Lab

pytestmark = API


@pytest.fixture(scope="module")
def running(sandbox: str) -> Iterator[Lab]:
    with lab.start(nodes=2, name="looks") as started:
        yield started


@pytest.fixture(scope="module", params=commanding.VERSIONS)
def kubectl(running: Lab, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Kubectl:
    return commanding.started(running, request.param, tmp_path_factory.mktemp("home"))


def addresses(kubectl: Kubectl) -> list[str]:
    return kubectl("get", "pods", "-l", "app=web", "-o", "jsonpath={.items[*].status.podIP}").split()


def test_describe_a_pod(kubectl: Kubectl) -> None:
    told = kubectl("describe", "pod", "-l", "app=web").split("\n\n\n")[0]
    assert re.search(r"^Node: +node-\d/172\.18\.\d+\.\d+$", told, re.M)
    assert re.search(r"^Controlled By: +ReplicaSet/web-\w+$", told, re.M)
    assert re.search(r"^    State: +Running$", told, re.M) and re.search(r"^    Ready: +True$", told, re.M)
    assert re.search(r"^      cpu: +100m$", told, re.M)
    assert re.search(r"^      NODE: +\(v1:spec.nodeName\)$", told, re.M)
    assert re.search(r"^QoS Class: +Burstable$", told, re.M)
    events = [line.split() for line in told.rpartition("Events:\n")[2].splitlines()[2:]]
    assert [event[1] for event in events] == ["Scheduled", "Pulled", "Created", "Started"]
    assert {event[3] for event in events} == {"default-scheduler", "kubelet"}


def test_describe_a_service_and_an_ingress(kubectl: Kubectl) -> None:
    told = kubectl("describe", "service", "web")
    listed = re.search(r"^Endpoints: +(\S+)$", told, re.M)
    backends = sorted(f"{address}:80" for address in addresses(kubectl))
    assert listed and sorted(listed[1].split(",")) == backends
    assert re.search(r"^Port: +http  80/TCP$", told, re.M) and re.search(r"^IP Families: +IPv4$", told, re.M)
    told = kubectl("describe", "ingress", "web")
    listed = re.search(r"web\.example *\n +/ +web:80 \((\S+)\)$", told, re.M)
    assert listed and sorted(listed[1].split(",")) == backends


def test_describe_a_node_and_a_deployment(kubectl: Kubectl) -> None:
    told = kubectl("describe", "node", "node-1")
    assert re.search(r"^  Ready +True .* KubeletReady ", told, re.M)
    assert re.search(r"^  InternalIP: +172\.18\.", told, re.M)
    assert re.search(r"^PodCIDR: +10\.244\.1\.0/24$", told, re.M)
    assert re.search(r"^  HolderIdentity: +node-1$", told, re.M)
    pods = kubectl("get", "pods", "-l", "app=web", "--field-selector=spec.nodeName=node-1", "-o", "name").split()
    for pod in pods:
        row = rf"^  {kubectl.space} +{pod.removeprefix('pod/')} +100m \(\d+%\) +0 \(0%\) +64Mi \(\d+%\)"
        assert re.search(row, told, re.M)
    told = kubectl("describe", "deployment", "web")
    assert "2 desired | 2 updated | 2 total | 2 available | 0 unavailable" in told
    assert re.search(r"^NewReplicaSet: +web-\w+ \(2/2 replicas created\)$", told, re.M)
    assert re.search(r"Scaled up replica set web-\w+ (from 0 )?to 2$", told, re.M)


def test_get_in_every_format(kubectl: Kubectl) -> None:
    as_json = json.loads(kubectl("get", "service", "web", "-o", "json"))
    assert yaml.safe_load(kubectl("get", "service/web", "-o", "yaml")) == as_json
    assert kubectl("get", "svc", "web", "-o", "name") == "service/web\n"
    assert kubectl("get", "svc", "web", "-o", "jsonpath={.spec.ports[?(@.name=='http')].port}") == "80"
    assert kubectl("get", "svc", "web", "-o", "go-template={{.spec.clusterIP}}") == as_json["spec"]["clusterIP"]
    rows = table(kubectl("get", "svc", "-o", "custom-columns=WHO:.metadata.name,IP:.spec.clusterIP"))
    assert rows == [["WHO", "IP"], ["web", as_json["spec"]["clusterIP"]]]
    ages = kubectl("get", "pods", "-A", "--sort-by=.metadata.name", "-o", "jsonpath={.items[*].metadata.name}").split()
    assert ages == sorted(ages) and any(name.startswith("coredns-") for name in ages)
    shown = {line.split()[0] for line in kubectl("get", "all", "-l", "app=web").splitlines() if "/" in line}
    assert {re.sub(r"/web(-.*)?", "", name) for name in shown} == {
        "pod", "service", "deployment.apps", "replicaset.apps",
    }  # fmt: skip
    (row,) = table(kubectl("get", "ingress", "web", "--no-headers"))
    assert row[:3] == ["web", "<none>", "web.example"] and row[3] == "80"
    assert table(kubectl("get", "svc,deploy", "-o", "wide", "--show-labels"))[0][-1] == "LABELS"


def test_jobs_and_their_logs(kubectl: Kubectl) -> None:
    kubectl("create", "job", "count", "--image=busybox", "--", "sh", "-c", "for i in 1 2 3; do echo $i; done")
    kubectl("wait", "--for=condition=complete", "job/count", "--timeout=30s")
    assert kubectl("logs", "job/count") == "1\n2\n3\n"
    assert kubectl("logs", "-l", "job-name=count", "--tail=1") == "3\n"
    assert re.fullmatch(r"(?:\d{4}-\d\d-\d\dT\S+Z \d\n){3}", kubectl("logs", "job/count", "--timestamps"))
    assert re.search(r"1 Succeeded / 0 Failed$", kubectl("describe", "job", "count"), re.M | re.I)
    assert table(kubectl("get", "job", "count"))[1][:3] == ["count", "Complete", "1/1"]
    if kubectl.since(21):
        kubectl("create", "cronjob", "tick", "--image=busybox", "--schedule=*/5 * * * *", "--", "true")
        kubectl("create", "job", "now", "--from=cronjob/tick")
        kubectl("wait", "--for=condition=complete", "job/now", "--timeout=30s")


def test_a_log_is_followed_to_its_end(kubectl: Kubectl) -> None:
    wait = "echo started; while [ ! -e /tmp/go ]; do sleep 0.05; done; echo over"
    kubectl("run", "slow", "--image=busybox", "--restart=Never", "--", "sh", "-c", wait)
    kubectl("wait", "--for=condition=Ready", "pod/slow", "--timeout=30s")
    with kubectl.open("logs", "-f", "slow") as following:
        assert following.stdout and following.stdout.readline() == "started\n"
        kubectl("exec", "slow", "--", "touch", "/tmp/go")
        assert following.stdout.read() == "over\n"
    assert following.returncode == 0
    kubectl("delete", "pod", "slow", "--now")


def test_what_the_server_says_of_itself(kubectl: Kubectl) -> None:
    assert kubectl("get", "--raw", "/readyz") == "ok"
    assert json.loads(kubectl("get", "--raw", "/api/v1/nodes/node-1"))["kind"] == "Node"
    assert "is running at" in kubectl("cluster-info")
    assert re.search(r"^deployments +deploy +apps/v1 +true +Deployment$", kubectl("api-resources"), re.M)
    assert "ScalingReplicaSet" in kubectl("get", "events", "--field-selector=involvedObject.kind=Deployment")
    if kubectl.since(26):
        told = table(kubectl("events", "--for=deployment/web"))
        assert told[1][1:4] == ["Normal", "ScalingReplicaSet", "Deployment/web"]
    if kubectl.since(28):
        assert "kubernetes-admin" in kubectl("auth", "whoami")
