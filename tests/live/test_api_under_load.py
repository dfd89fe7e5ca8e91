"""Other projects' manifests, by kubectl: rolled out, scaled, rolled back, while a client never sees a request fail."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import kubectls
import pytest
from commanding import Kubectl
from labs import BOOKINFO, ROOT, errors
from steady import Load

from labkit import lab

MANIFESTS = ROOT / "tests" / "data" / "manifests"
CLIENT = """
apiVersion: v1
kind: Pod
metadata: {name: client}
spec: {containers: [{name: c, image: busybox, command: [sleep, "100000"]}]}
"""


@dataclass(frozen=True)
class Case:
    """A manifest, who is asked in it, and the Deployments that change meanwhile."""

    manifest: Path
    url: str
    deployments: tuple[str, ...]


CASES = {
    "bookinfo-productpage": Case(BOOKINFO, "http://productpage:9080/productpage", ("productpage-v1",)),
    "bookinfo-reviews": Case(BOOKINFO, "http://reviews:9080/reviews/1", ("reviews-v1", "reviews-v2", "reviews-v3")),
    "nginx": Case(MANIFESTS / "nginx.yaml", "http://nginx-deployment/", ("nginx-deployment",)),
    "whoami": Case(MANIFESTS / "whoami.yaml", "http://whoami/", ("whoami",)),
}

# In User-Mode Linux it takes a minute, and a generation may be gone before a request has come to it.
pytestmark = pytest.mark.sandbox("namespaces")


@pytest.fixture(scope="module")
def started(sandbox: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[Path], Kubectl]]:
    """Applies a manifest in a namespace of its own, once."""
    program = kubectls.need(kubectls.VERSIONS[-1])
    home = tmp_path_factory.mktemp("home")
    with lab.start(name="load") as running:

        def applied(manifest: Path) -> Kubectl:
            kubectl = Kubectl(program, kubectls.VERSIONS[-1], running, manifest.stem, home)
            if manifest.stem not in {o["metadata"]["name"] for o in running.objects("namespace", None)}:
                kubectl("create", "namespace", manifest.stem)
                kubectl("apply", "-f", "-", stdin=CLIENT)
                kubectl("apply", "-f", str(manifest))
                if manifest.stem == "nginx":  # as the page that has it goes on
                    kubectl("expose", "-f", str(manifest), "--port=80")
            kubectl("wait", "--for=condition=Ready", "pod/client", "--timeout=60s")
            return kubectl

        yield applied


@pytest.mark.parametrize("name", CASES)
def test_no_request_fails(started: Callable[[Path], Kubectl], name: str) -> None:
    case = CASES[name]
    kubectl = started(case.manifest)
    targets = [f"deployment/{deployment}" for deployment in case.deployments]

    def rolled() -> None:
        for target in targets:
            kubectl("rollout", "status", target, "--timeout=60s")

    rolled()
    before = images(kubectl, targets)
    kubectl.lab.wait()  # a rollout is complete when its pods are ready, even if no node has rules for them yet
    with Load(kubectl.lab, f"{kubectl.space}/client", case.url) as load:
        kubectl("set", "image", *targets, "*=other:2")
        rolled()
        kubectl("scale", *targets, "--replicas=4")
        rolled()
        kubectl("set", "env", *targets, "MODE=new")
        rolled()
        kubectl("scale", *targets, "--replicas=1")
        rolled()
        for target in targets:
            kubectl("rollout", "undo", target, "--to-revision=1")
        rolled()
    rows = load.rows
    assert errors(rows) == [], rows[rows["error"] != ""].to_dict("records")
    assert set(rows["status"]) == {200}
    assert images(kubectl, targets) == before
    answered = {pod.rpartition("/")[2].rpartition("-")[0] for pod in rows["pod"]}
    assert generations(kubectl, case) <= answered, "each generation's pods have answered"


def images(kubectl: Kubectl, targets: list[str]) -> str:
    return kubectl("get", *targets, "-o", "jsonpath={..image}")


def generations(kubectl: Kubectl, case: Case) -> set[str]:
    """Names of the ReplicaSets that the Deployments have had: three each."""
    sets = [o["metadata"] for o in kubectl.lab.objects("replicaset", kubectl.space)]
    found = {of["name"] for of in sets if of["ownerReferences"][0]["name"] in case.deployments}
    assert len(found) == 3 * len(case.deployments)
    return found
