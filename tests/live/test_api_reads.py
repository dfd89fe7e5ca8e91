"""What real clients read: tables, explanations, resources by name; and kubectl's protobuf, which the server reads."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable, Iterator

import kubectls
import pytest
from labs import API

from labkit import lab

pytestmark = API

WIDGETS = """
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.example.com}
spec:
  group: example.com
  scope: Namespaced
  names: {plural: widgets, kind: Widget, shortNames: [wd]}
  versions:
  - name: v1
    served: true
    storage: true
    additionalPrinterColumns:
    - {name: Size, type: integer, jsonPath: .spec.size}
    - {name: Color, type: string, jsonPath: ".spec.colors[?(@.first==true)].name", priority: 1}
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec:
            type: object
            description: What a widget is like.
            properties:
              size: {type: integer, description: How big it is.}
              colors: {type: array, items: {type: object, x-kubernetes-preserve-unknown-fields: true}}
"""
WIDGET = """
apiVersion: example.com/v1
kind: Widget
metadata: {name: one}
spec: {size: 3, colors: [{name: red}, {name: green, first: true}]}
"""
MISSPELLED = """
apiVersion: v1
kind: Service
metadata: {name: misspelled}
spec: {selector: {app: web}, portz: [{port: 80}]}
"""

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def k(sandbox: str) -> Iterator[lab.Lab]:
    with lab.start(nodes=2, name="reads") as started:
        started.apply("apiVersion: v1\nkind: Pod\nmetadata: {name: web}\nspec: {containers: [{name: c, image: nginx}]}")
        started.wait()
        yield started


@pytest.fixture(params=kubectls.VERSIONS)
def run(k: lab.Lab, request: pytest.FixtureRequest) -> Run:
    """kubectl of each generation."""
    program = kubectls.need(request.param)
    environment = {**os.environ, "KUBECONFIG": str(k.kubeconfig)}

    def command(*words: str, stdin: str = "", fails: bool = False) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [program, *words], input=stdin, capture_output=True, text=True, timeout=60, env=environment
        )
        assert fails is (done.returncode != 0), done.stdout + done.stderr
        return done

    return command


def columns(line: str) -> list[str]:
    return re.split(r"\s{2,}", line.strip())


def test_tables(run: Run) -> None:
    head, row = run("get", "pods", "-o", "wide").stdout.splitlines()
    assert columns(head) == [
        "NAME", "READY", "STATUS", "RESTARTS", "AGE", "IP", "NODE", "NOMINATED NODE", "READINESS GATES",
    ]  # fmt: skip
    name, ready, status, restarts, age, ip, node, *rest = columns(row)
    assert (name, ready, status, restarts) == ("web", "1/1", "Running", "0")
    assert re.fullmatch(r"\d+[sm]\d*s?", age) and ip.startswith("10.244.") and node.startswith("node-")
    assert rest == ["<none>", "<none>"]
    head, *rows = run("get", "nodes").stdout.splitlines()
    assert columns(head) == ["NAME", "STATUS", "ROLES", "AGE", "VERSION"]
    assert [columns(row)[:2] for row in rows] == [["node-1", "Ready"], ["node-2", "Ready"]]


def test_explanations(run: Run) -> None:
    told = run("explain", "service.spec.ports").stdout
    assert "ServicePort contains information on service's port." in told
    assert re.search(r"appProtocol\s+<string>", told) and re.search(r"port\s+<integer> -required-", told)
    assert "PodSpec" in run("explain", "deployment.spec.template.spec").stdout


def test_resources_by_name(run: Run) -> None:
    listed = run("api-resources", "-o", "name").stdout.split()
    assert {"pods", "deployments.apps", "events.events.k8s.io", "servicecidrs.networking.k8s.io"} <= {*listed}
    assert listed.index("pods") < listed.index("deployments.apps")
    assert "autoscaling/v1" in run("api-versions").stdout.split()
    assert "v1.34" in run("version").stdout


def test_what_it_creates_with_its_own_types(run: Run) -> None:
    """kubectl sends these as protobuf from 1.32 on; a zero that was asked for stays, those of Go do not."""
    try:
        run("create", "deployment", "zero", "--image=nginx", "--replicas=0", "--port=80")
        spec = "{.spec.replicas} {.spec.paused} {.spec.template.spec.containers[0].ports[0].containerPort}"
        assert run("get", "deployment", "zero", "-o", f"jsonpath={spec}").stdout == "0  80"
        run("create", "service", "nodeport", "zero", "--tcp=80:8080")
        port = "{.spec.ports[0].targetPort} {.spec.ports[0].protocol} {.spec.type}"
        assert run("get", "service", "zero", "-o", f"jsonpath={port}").stdout == "8080 TCP NodePort"
        run("create", "secret", "generic", "zero", "--from-literal=a=b")
        assert run("get", "secret", "zero", "-o", "jsonpath={.data.a} {.type}").stdout == "Yg== Opaque"
        assert run("auth", "can-i", "create", "pods").stdout.strip() == "yes"
    finally:
        run("delete", "deployment,service,secret", "zero", "--ignore-not-found")


def test_a_kind_of_ones_own(run: Run) -> None:
    try:
        run("apply", "-f", "-", stdin=WIDGETS)
        run("wait", "--for=condition=Established", "crd/widgets.example.com")
        run("apply", "-f", "-", stdin=WIDGET)
        assert [columns(line) for line in run("get", "wd").stdout.splitlines()] == [["NAME", "SIZE"], ["one", "3"]]
        assert columns(run("get", "wd", "-o", "wide").stdout.splitlines()[1]) == ["one", "3", "green"]
        told = run("explain", "widget.spec").stdout
        assert "What a widget is like." in told and re.search(r"size\s+<integer>", told)
        assert run("apply", "-f", "-", stdin=WIDGET).stdout.strip() == "widget.example.com/one unchanged"
    finally:
        run("delete", "crd", "widgets.example.com", "--ignore-not-found")


def test_a_misspelled_field_is_found(run: Run) -> None:
    """By kubectl itself before 1.25, from OpenAPI v2; by the server since."""
    told = run("apply", "-f", "-", stdin=MISSPELLED, fails=True).stderr
    assert re.search(r'unknown field "(spec\.)?portz"', told)
