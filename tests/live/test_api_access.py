"""Tokens and identities by real kubectl: for how long, for whom, and as whom."""

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import Callable, Iterator

import pytest
from kubectls import need
from labs import API

from labkit import lab
from labkit.lab import Lab

pytestmark = API
Kubectl = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def running(sandbox: str) -> Iterator[Lab]:
    with lab.start(nodes=1, name="access") as started:
        yield started


@pytest.fixture
def kubectl(running: Lab) -> Kubectl:
    program = need("1.33")

    def run(command: str, token: str = "") -> subprocess.CompletedProcess[str]:
        config = ["--kubeconfig", str(running.kubeconfig)]
        if token:  # kubectl prefers the certificate of its user to a token
            described = subprocess.run([program, *config, "config", "view", "--raw", "-o", "json"], capture_output=True)
            cluster = json.loads(described.stdout)["clusters"][0]["cluster"]
            authority = running.kubeconfig.with_name("authority.crt")
            authority.write_bytes(base64.b64decode(cluster["certificate-authority-data"]))
            config = ["--server", cluster["server"], "--certificate-authority", str(authority), "--token", token]
            config += ["--kubeconfig", "/dev/null"]
        return subprocess.run([program, *config, *command.split()], capture_output=True, text=True, timeout=60)

    return run


def claims(token: str) -> dict[str, int]:
    found: dict[str, int] = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
    return found


def test_a_token_for_as_long_as_asked(kubectl: Kubectl) -> None:
    kubectl("create serviceaccount ada")
    token = kubectl("create token ada --duration 30m").stdout.strip()
    assert claims(token)["exp"] - claims(token)["iat"] == 1800
    who = json.loads(kubectl("auth whoami -o json", token).stdout)["status"]["userInfo"]
    assert who["username"] == "system:serviceaccount:default:ada"
    assert "system:serviceaccounts:default" in who["groups"]
    short = kubectl("create token ada --duration 1m")
    assert "may not specify a duration less than 10 minutes" in short.stderr
    kubectl("delete serviceaccount ada")
    assert "Unauthorized" in kubectl("auth whoami", token).stderr


def test_acting_as_another(kubectl: Kubectl) -> None:
    kubectl("create rolebinding dev --clusterrole view --group dev")
    assert "No resources found" in kubectl("get pods --as eve --as-group dev").stderr
    refused = kubectl("get pods --as eve").stderr
    assert (
        'pods is forbidden: User "eve" cannot list resource "pods" in API group "" in the namespace "default"'
        in refused
    )
    assert kubectl("auth can-i create pods --as eve --as-group dev").stdout.strip() == "no"
    who = json.loads(kubectl("auth whoami -o json --as eve --as-group dev").stdout)["status"]["userInfo"]
    assert who == {"username": "eve", "groups": ["dev", "system:authenticated"]}
