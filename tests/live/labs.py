"""Whole labs for live tests: the manifests they run, and what is looked at from outside."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from labkit.errors import SandboxError
from labkit.lab import Lab

ROOT = Path(__file__).parents[2]
SHOP = ROOT / "tests" / "data" / "shop.yaml"
BOOKINFO = ROOT / "tests" / "data" / "bookinfo.yaml"  # as Istio publishes it

# Requests and answers of the API are the same in a kernel of its own, where they come by a tunnel: test_api_kubectl,
# test_api_streams and test_api_watch go through it.
API = pytest.mark.sandbox("namespaces")
# What is decided outside of the lab, or by code that asks nothing of a kernel.
ONCE = pytest.mark.sandbox("namespaces")

# The Services of the shop that answer over TCP: name and port.
SHOP_SERVICES = (("web", 80), ("api", 8080))


def wait_until(condition: Callable[[], object], seconds: float, what: str = "") -> None:
    """Wait for what happens outside the lab's own knowledge, such as the end of processes."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            pytest.fail(f"{what or 'it'} did not happen within {seconds} s")
        time.sleep(0.005)


def places(lab: Lab, kind: str = "pod") -> list[dict[str, Any]]:
    """The lab's places of a kind, without the pods of kube-system."""
    return [p for p in lab.topology()["places"] if p["kind"] == kind and not p["name"].startswith("kube-system/")]


def pod_names(lab: Lab, prefix: str) -> list[str]:
    """Full names of the pods that begin so."""
    return sorted(p["name"] for p in places(lab) if p["name"].startswith(prefix))


def errors(rows: Any) -> list[str]:
    """The different errors of a table of requests."""
    return sorted(set(rows["error"]) - {""})


def descendants(launcher: int) -> set[int]:
    """All processes below a lab's launcher, seen from outside: the lab's own, or those of its kernel."""
    try:
        children = {int(c) for c in Path(f"/proc/{launcher}/task/{launcher}/children").read_text().split()}
    except OSError:  # gone meanwhile
        return set()
    return children.union(*map(descendants, children))


def alive(processes: set[int]) -> set[int]:
    """Those that still run; one that is dead and not yet waited for does not."""
    return {p for p in processes if Path(f"/proc/{p}/exe").exists()}


def inside(lab: Lab, script: str) -> str:
    """What a shell script prints that sees all of the lab's processes, whatever sandbox they live in."""
    return lab.node("node-1").run(script).stdout


def end_role(lab: Lab, role: str) -> None:
    """SIGKILL one of the lab's own processes, from inside; the lab may end before it can say so."""
    found = (
        f'for p in /proc/[0-9]*; do read -r name <$p/comm; [ "$name" != labkit-{role} ] || kill -9 ${{p#/proc/}}; done'
    )
    with suppress(SandboxError):
        inside(lab, found)


def client(code: str, *, python: str = sys.executable, wrap: tuple[str, ...] = (), **env: str) -> subprocess.Popen[str]:
    """A process of its own that runs `code` as a notebook would; its output comes line by line."""
    return subprocess.Popen(
        [*wrap, python, "-W", "error", "-c", textwrap.dedent(code)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=ROOT,
        env={**os.environ, **env},
    )
