"""Whole labs for live tests: the manifests they run, and what is looked at from outside."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from labkit.lab import Lab

ROOT = Path(__file__).parents[2]
SHOP = ROOT / "tests" / "data" / "shop.yaml"
BOOKINFO = Path(__file__).parents[3] / "shared" / "manifests" / "bookinfo.yaml"  # beside the project, or not there

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


def inhabitants(launcher: int) -> set[int]:
    """The processes in a lab's PID namespace, its init first of all, seen from outside."""
    children = Path(f"/proc/{launcher}/task/{launcher}/children").read_text().split()
    own = _pid_namespace("self")
    inside = {ns for c in children if (ns := _pid_namespace(c)) not in ("", own)}
    return {int(p.name) for p in Path("/proc").iterdir() if p.name.isdigit() and _pid_namespace(p.name) in inside}


def _pid_namespace(pid: str) -> str:
    try:
        return str(Path(f"/proc/{pid}/ns/pid").readlink())
    except OSError:  # gone meanwhile
        return ""


def alive(processes: set[int]) -> set[int]:
    """Those that still run; one that is dead and not yet waited for does not."""
    return {p for p in processes if Path(f"/proc/{p}/exe").exists()}


def named(processes: set[int], name: str) -> int:
    """The one process of this name (as `ps -o comm` shows it)."""
    (found,) = (p for p in processes if Path(f"/proc/{p}/comm").read_text().strip() == name)
    return found


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
