"""A lab with pods for exec, attach and port-forward, and clients of it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from labs import inside

from labkit import lab

PODS = """
apiVersion: v1
kind: Pod
metadata: {name: web}
spec:
  containers:
  - {name: web, image: nginx, workingDir: /usr, env: [{name: GREETING, value: hello}]}
---
apiVersion: v1
kind: Pod
metadata: {name: pair}
spec:
  containers:
  - {name: shell, image: busybox, command: [sleep, "100000"]}
  - {name: server, image: agnhost, args: [netexec]}
---
apiVersion: v1
kind: Pod
metadata: {name: nowhere}
spec:
  nodeSelector: {disk: none}
  containers: [{name: web, image: nginx}]
---
apiVersion: v1
kind: Pod
metadata: {name: done}
spec:
  restartPolicy: Never
  containers: [{name: done, image: busybox, command: ["true"]}]
"""


class Cluster:
    """The lab, with kubectl."""

    def __init__(self, started: lab.Lab) -> None:
        self.lab = started
        self.env = {**os.environ, "KUBECONFIG": str(started.kubeconfig)}

    def open(self, program: str, *words: str, **options: int | None) -> subprocess.Popen[bytes]:
        pipe = subprocess.PIPE
        return subprocess.Popen([program, *words], env=self.env, stdout=pipe, stderr=pipe, **{"stdin": pipe, **options})

    def run(self, program: str, *words: str, input: bytes = b"") -> subprocess.CompletedProcess[bytes]:  # noqa: A002
        return subprocess.run([program, *words], env=self.env, input=input, capture_output=True, timeout=60)

    def sleeping(self, seconds: int) -> bool:
        """Whether a process of the lab sleeps so many seconds: what a command is known by."""
        found = f'for p in /proc/[0-9]*; do tr "\\0" " " <$p/cmdline; echo; done | grep -x "sleep {seconds} "'
        return bool(inside(self.lab, found))


@contextmanager
def started() -> Iterator[Cluster]:
    """The lab, with those of its pods ready that can be."""
    with lab.start(nodes=2, name="streams") as running:
        running.apply(PODS)
        for pod in ("web", "pair"):
            running.wait(f"pod/{pod}")
        yield Cluster(running)
