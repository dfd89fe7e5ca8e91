"""Real kubectl, the newest here and an old one, against a running lab: what a learner types, and what comes back."""

from __future__ import annotations

import shutil
import subprocess
import textwrap
import zlib
from collections.abc import Callable, Iterator

import pytest
from labs import wait_until

from labkit import lab
from labkit.lab import Lab
from labkit.lab import kubectl as programs

Kubectl = Callable[..., str]


def _installed() -> list[str]:
    """The newest kubectl and the oldest from 1.27 on, as far as there are any."""
    found = shutil.which("kubectl")
    if found is None:
        return []
    known = {number: path for number, path in programs.versions(found).items() if number >= 27}
    return list(dict.fromkeys([known[max(known)], known[min(known)]])) if known else [found]


@pytest.fixture(scope="module")
def running(sandbox: str) -> Iterator[Lab]:
    with lab.start(name="kubectl") as started:
        yield started


@pytest.fixture(params=["newest", "oldest"])
def program(request: pytest.FixtureRequest) -> str:
    found = _installed()
    if not found or (request.param == "oldest" and len(found) == 1):
        pytest.skip(f"there is no {request.param} kubectl here")
    return found[0] if request.param == "newest" else found[-1]


@pytest.fixture
def kubectl(running: Lab, program: str) -> Kubectl:
    """Runs a command that must succeed (or, with `fails`, must not); returns what it said."""

    def run(command: str, stdin: str = "", fails: bool = False) -> str:
        done = subprocess.run(
            ["/bin/sh", "-c", f"exec {program} --kubeconfig {running.kubeconfig} {command}"],
            input=textwrap.dedent(stdin),
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert (done.returncode != 0) is fails, f"kubectl {command}: {done.stdout}{done.stderr}"
        return (done.stdout + done.stderr).strip()

    return run


@pytest.fixture
def space(kubectl: Kubectl, request: pytest.FixtureRequest) -> Iterator[str]:
    """A namespace of the test's own."""
    name = f"t{zlib.crc32(request.node.name.encode())}"
    kubectl(f"create namespace {name}")
    yield name
    kubectl(f"delete namespace {name} --wait=false")


WEB = """
    apiVersion: apps/v1
    kind: Deployment
    metadata: {name: web}
    spec:
      replicas: 2
      selector: {matchLabels: {app: web}}
      template:
        metadata: {labels: {app: web}}
        spec:
          containers:
          - {name: web, image: "nginx:1"}
"""


def test_apply_get_change_and_delete(kubectl: Kubectl, space: str) -> None:
    assert kubectl(f"-n {space} apply -f -", WEB) == "deployment.apps/web created"
    assert kubectl(f"-n {space} apply -f -", WEB) == "deployment.apps/web unchanged"
    kubectl(f"-n {space} rollout status deployment/web --timeout=30s")
    lines = kubectl(f"-n {space} get deployment web -o wide").splitlines()
    assert lines[0].split()[:4] == ["NAME", "READY", "UP-TO-DATE", "AVAILABLE"]
    assert lines[1].split()[:2] == ["web", "2/2"] and lines[1].split()[-1] == "app=web"
    assert kubectl(f"-n {space} get deploy web -o jsonpath='{{.spec.strategy.type}}'") == "RollingUpdate"
    assert kubectl(f"-n {space} apply -f -", WEB.replace("nginx:1", "nginx:2")) == "deployment.apps/web configured"
    kubectl(f"-n {space} rollout status deployment/web --timeout=30s")
    assert "nginx:2" in kubectl(f"-n {space} get rs -o wide")
    kubectl(f"-n {space} rollout undo deployment/web")
    kubectl(f"-n {space} rollout status deployment/web --timeout=30s")
    assert kubectl(f"-n {space} get deploy web -o jsonpath='{{.spec.template.spec.containers[0].image}}'") == "nginx:1"
    kubectl(f"-n {space} scale deployment/web --replicas=1")
    kubectl(f"-n {space} label deployment/web tier=front")
    kubectl(f"-n {space} annotate deployment/web note=hello")
    told = kubectl(f"-n {space} describe deployment web")
    assert "tier=front" in told and "hello" in told and "1 desired" in told
    assert kubectl(f"-n {space} delete deployment web").startswith('deployment.apps "web" deleted')
    kubectl(f"-n {space} wait --for=delete pod -l app=web --timeout=40s")
    assert "No resources found" in kubectl(f"-n {space} get pods")


def test_create_speaks_protobuf_or_json(kubectl: Kubectl, space: str) -> None:
    kubectl(f"-n {space} create configmap conf --from-literal=a=b")
    assert kubectl(f"-n {space} get configmap conf -o jsonpath='{{.data.a}}'") == "b"
    kubectl(f"-n {space} create secret generic pass --from-literal=p=q")
    kubectl(f"-n {space} create serviceaccount bob")
    kubectl(f"-n {space} create deployment web --image=nginx --port=80")
    kubectl(f"-n {space} expose deployment web --port=80")
    kubectl(f"-n {space} rollout status deployment/web --timeout=30s")
    told = kubectl(f"-n {space} get endpoints web -o jsonpath='{{.subsets[0].ports[0].port}}'")
    assert told == "80Warning: v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice"


def test_strict_validation_and_refusals(kubectl: Kubectl, space: str) -> None:
    wrong = WEB.replace("replicas:", "replicaz:")
    assert 'unknown field "spec.replicaz"' in kubectl(f"-n {space} apply -f -", wrong, fails=True)
    warned = kubectl(f"-n {space} apply --validate=warn -f -", wrong)
    assert 'unknown field "spec.replicaz"' in warned and "deployment.apps/web created" in warned
    assert 'pods "none" not found' in kubectl(f"-n {space} get pod none", fails=True)
    assert "AlreadyExists" in kubectl(f"-n {space} create -f -", WEB, fails=True)
    patch = """-p '{"spec": {"replicas": -1}}'"""
    assert "Invalid value: -1" in kubectl(f"-n {space} patch deployment web {patch}", fails=True)


def test_explain_and_discovery(kubectl: Kubectl) -> None:
    assert "spec.clusterIP" in kubectl("explain service.spec") or "clusterIP" in kubectl("explain service.spec")
    assert "networkpolicies" in kubectl("api-resources")
    assert "apps/v1" in kubectl("api-versions")
    assert "v1.34" in kubectl("version")


def test_a_watch_shows_what_changes(kubectl: Kubectl, running: Lab, program: str, space: str) -> None:
    command = [program, "--kubeconfig", str(running.kubeconfig), "-n", space, "get", "configmaps", "-w", "--no-headers"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as watching:
        assert watching.stdout
        try:
            kubectl(f"-n {space} create configmap one --from-literal=a=b")
            while not watching.stdout.readline().startswith("one"):
                pass
            kubectl(f"-n {space} delete configmap one")
            assert watching.stdout.readline().startswith("one"), "its end is told too"
        finally:
            watching.terminate()


def test_access_of_a_service_account(kubectl: Kubectl, space: str) -> None:
    kubectl(f"-n {space} create serviceaccount bob")
    who = f"--as=system:serviceaccount:{space}:bob"
    assert kubectl(f"-n {space} auth can-i list pods {who}", fails=True).endswith("no")
    kubectl(f"-n {space} create rolebinding bob --clusterrole=view --serviceaccount={space}:bob")
    assert kubectl(f"-n {space} auth can-i list pods {who}") == "yes"
    token = kubectl(f"-n {space} create token bob")
    server = kubectl("config view --minify -o jsonpath='{.clusters[0].cluster.server}'")
    alone = f"--server {server} --insecure-skip-tls-verify --kubeconfig /dev/null --token {token} -n {space}"
    assert "No resources found" in kubectl(f"{alone} get pods")
    assert "cannot create resource" in kubectl(f"{alone} create configmap x", fails=True)
    assert "Unauthorized" in kubectl(f"{alone.replace(token, token[:-8])} get pods", fails=True)


def test_a_node_is_drained(kubectl: Kubectl, space: str) -> None:
    kubectl(f"-n {space} create deployment web --image=nginx --replicas=3")
    kubectl(f"-n {space} rollout status deployment/web --timeout=30s")
    kubectl("drain node-3 --ignore-daemonsets --timeout=60s")
    try:
        assert "SchedulingDisabled" in kubectl("get node node-3")
        kubectl(f"-n {space} rollout status deployment/web --timeout=30s")
        assert "node-3" not in kubectl(f"-n {space} get pods -o wide")
    finally:
        kubectl("uncordon node-3")


def test_a_custom_kind(kubectl: Kubectl, space: str) -> None:
    crd = """
        apiVersion: apiextensions.k8s.io/v1
        kind: CustomResourceDefinition
        metadata: {name: gizmos.example.com}
        spec:
          group: example.com
          scope: Namespaced
          names: {plural: gizmos, singular: gizmo, kind: Gizmo}
          versions:
          - name: v1
            served: true
            storage: true
            subresources: {status: {}, scale: {specReplicasPath: .spec.size, statusReplicasPath: .status.size}}
            additionalPrinterColumns: [{name: Size, type: integer, jsonPath: .spec.size}]
            schema:
              openAPIV3Schema:
                type: object
                properties:
                  spec: {type: object, properties: {size: {type: integer, minimum: 1, default: 3}}}
                  status: {type: object, properties: {size: {type: integer}}}
    """
    kubectl("apply -f -", crd)
    kubectl("wait --for=condition=established crd/gizmos.example.com --timeout=20s")
    gizmo = "apiVersion: example.com/v1\nkind: Gizmo\nmetadata: {name: one}\nspec: {}\n"
    assert kubectl(f"-n {space} apply -f -", gizmo) == "gizmo.example.com/one created"
    assert kubectl(f"-n {space} get gizmos").splitlines()[1].split()[:2] == ["one", "3"]
    kubectl(f"-n {space} scale gizmo/one --replicas=5")
    assert kubectl(f"-n {space} get gizmo one -o jsonpath='{{.spec.size}}'") == "5"
    refused = kubectl(f"-n {space} apply -f -", gizmo.replace("{}", "{size: 0}"), fails=True)
    assert "should be greater than or equal to 1" in refused
    kubectl("delete crd gizmos.example.com")
    assert "the server could not find the requested resource" in kubectl(f"-n {space} get gizmos", fails=True)


def test_from_the_notebook(running: Lab, sandbox: str) -> None:
    assert running.kubeconfig.stat().st_mode & 0o777 == 0o600
    if shutil.which("kubectl"):
        said = running.kubectl("get nodes -o name")
        assert said.stdout.split() == ["node/node-1", "node/node-2", "node/node-3"]
        refused = running.kubectl(["get", "pod", "none"])
        assert refused.code == 1 and 'pods "none" not found' in refused.stderr
        said = running.kubectl("apply -f -", stdin="apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\n")
        assert said.stdout == "configmap/c created\n"


def test_from_inside_the_cluster(running: Lab) -> None:
    for node in ("node-1", "node-2"):
        said = running.node(node).run("curl -sk --max-time 5 https://10.96.0.1/version")
        assert '"minor":"34"' in said.stdout
    services = running.services().set_index("NAME")
    assert services.loc["kubernetes", "CLUSTER-IP"] == "10.96.0.1"


def test_a_kubeconfig_goes_with_its_lab(sandbox: str) -> None:
    with lab.start(nodes=1, name="short") as short:
        path = short.kubeconfig
        assert path.exists()
    wait_until(lambda: not path.parent.exists(), 5)
