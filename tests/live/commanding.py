"""kubectl of one version, in a namespace of its own of a running lab."""

from __future__ import annotations

import os
import subprocess
import textwrap
from dataclasses import dataclass
from pathlib import Path

import kubectls
from labs import wait_until

from labkit.lab import Lab

VERSIONS = ("1.20", "1.28", "1.33")
WEB = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {app: web}}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - name: web
        image: nginx:1
        ports: [{containerPort: 80}]
        resources: {requests: {cpu: 100m, memory: 64Mi}}
        env: [{name: NODE, valueFrom: {fieldRef: {fieldPath: spec.nodeName}}}]
---
apiVersion: v1
kind: Service
metadata: {name: web, labels: {app: web}}
spec: {selector: {app: web}, ports: [{name: http, port: 80}]}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: web}
spec:
  rules: [{host: web.example, http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]}}]
"""  # noqa: E501 - one line of YAML


@dataclass(frozen=True)
class Kubectl:
    """`home` is where the program keeps what it remembers of the API; the user's own is left alone."""

    program: str
    version: str
    lab: Lab
    space: str
    home: Path

    def __call__(self, *words: str, stdin: str = "", fails: bool = False, editor: str = "") -> str:
        """Run a command that must succeed, or, with `fails`, must not; all that it said."""
        done = subprocess.run(
            self._argv(words),
            input=textwrap.dedent(stdin),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=60,
            env={**self._environment(), "EDITOR": editor},
        )
        assert bool(done.returncode) is fails, f"{' '.join(words)}: {done.stdout}"
        return done.stdout

    def open(self, *words: str) -> subprocess.Popen[str]:
        """A command that goes on until it is told to end."""
        return subprocess.Popen(self._argv(words), stdout=subprocess.PIPE, text=True, env=self._environment())

    def gone(self, selector: str) -> None:
        """Wait until there are no such pods any more; `kubectl wait` of 1.20 fails where there are none."""
        wait_until(lambda: not self("get", "pods", "-l", selector, "-o", "name"), 30, "the end of the pods")

    def since(self, minor: int) -> bool:
        """Whether this is version 1.`minor` or a newer one."""
        return int(self.version.partition(".")[2]) >= minor

    def _argv(self, words: tuple[str, ...]) -> list[str]:
        return [self.program, "-n", self.space, *words]

    def _environment(self) -> dict[str, str]:
        return {**os.environ, "KUBECONFIG": str(self.lab.kubeconfig), "HOME": str(self.home)}


def table(text: str) -> list[list[str]]:
    """The words of each line."""
    return [line.split() for line in text.splitlines() if line.strip()]


def started(lab: Lab, version: str, home: Path) -> Kubectl:
    """kubectl in a namespace in which the web runs; skips where this machine has none of the version."""
    space = f"v{version.replace('.', '-')}"
    command = Kubectl(kubectls.need(version), version, lab, space, home)
    command("create", "namespace", space)
    command("apply", "-f", "-", stdin=WEB)
    command("rollout", "status", "deployment/web", "--timeout=30s")
    return command
