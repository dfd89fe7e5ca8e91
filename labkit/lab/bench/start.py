"""`labkit bench start`: from nothing to pods and Services that answer, beside the bare tools."""

from __future__ import annotations

import subprocess
import sys
import time
from dataclasses import dataclass, replace
from typing import Any

from labkit.lab.bench import manifests, rounds, taking
from labkit.lab.bench.report import Report, Row, figure
from labkit.lab.lab import Lab
from labkit.lab.starting import start
from labkit.sandbox.start import Sandbox

PODS_EACH, MORE_PODS, CALLS = 3, 20, 200


@dataclass(frozen=True)
class Load:
    """How much a sandbox is given, and what it should take: targets by the key of the measurement."""

    services: int
    requests: int
    targets: dict[str, str]


LOADS = {
    "namespaces": Load(
        10,
        3000,
        {"import": "< 0.3 s", "start": "0.8 s", "pod": "2 x", "requests": "1.5 s", "pss": "< 250 MB", "idle": "< 2 %"},
    ),
    "uml": Load(3, 1000, {"start": "4 s", "requests": "5 s", "pss": "< 300 MB", "call": "< 2 ms"}),
}

ROWS = (
    Row("import labkit.lab, show, learn", "import", 1, "s"),
    Row("the sandbox alone", "sandbox", 1, "s"),
    Row("3 nodes alone, DNS answering", "empty", 1, "s", "the sandbox alone", "sandbox"),
    Row("3 nodes, {pods} pods, {services} Services answering", "start", 1, "s", "the sandbox alone", "sandbox"),
    Row("a further pod, ready", "pod", 1000, "ms", "bare netlink", "bare"),
    Row("the same behind a Service, rules on 3 nodes", "served pod", 1000, "ms", "bare netlink", "bare"),
    Row("{requests} requests to a ClusterIP", "requests", 1, "s", "to a pod's own address", "direct"),
    Row("a cell's call and its answer", "call", 1000, "ms"),
    Row("resident memory, shared pages once (PSS)", "pss", 1, "MB"),
    Row("resident memory, process by process (RSS)", "rss", 1, "MB"),
    Row("idle CPU", "idle", 1, "%"),
)


def bench_start(repeats: int, sandbox: str) -> Report:
    """Start labs one after another, each from a fresh interpreter as a notebook does, and measure each."""
    given = LOADS[sandbox]
    measured = rounds.medians("start", repeats, sandbox)
    sizes = {"pods": given.services * PODS_EACH, "services": given.services, "requests": given.requests}
    rows = (replace(r, name=r.name.format(**sizes), target=given.targets.get(r.key, "")) for r in ROWS)
    return Report(tuple(figure(row, measured) for row in rows))


def measure(sandbox: str) -> dict[str, float]:
    """One round."""
    given = LOADS[sandbox]
    found = {"import": _import_time(), **_bare(sandbox)}
    began = time.perf_counter()
    lab = start(nodes=3, name="bench", sandbox=sandbox)
    found["empty"] = time.perf_counter() - began
    try:
        lab.apply(_manifest(given.services))
        lab.wait()
        _answering(lab, given.services)
        found["start"] = time.perf_counter() - began
        client = lab.pod("client")
        address = next(o["status"]["podIP"] for o in lab.objects("Pod") if o["metadata"]["name"].startswith("app-0-"))
        found["requests"] = _timed(lambda: client.get("http://app-0", n=given.requests))
        found["direct"] = _timed(lambda: client.get(f"http://{address}", n=given.requests))
        found["call"] = _call(lab)
        found |= taking.taken(lab.facts["pid"])
        found["pod"] = _scaled(lab, "alone", MORE_PODS)
        found["served pod"] = _scaled(lab, "app-0", PODS_EACH + MORE_PODS)
    finally:
        lab.close()
    return found


def _answering(lab: Lab, services: int) -> None:
    """Every Service answers by name, from a pod."""
    for i in range(services):
        errors = [e for e in lab.pod("client").get(f"http://app-{i}")["error"] if e]
        if errors:
            raise RuntimeError(f"app-{i} does not answer: {errors[0]}")


def _scaled(lab: Lab, deployment: str, replicas: int) -> float:
    """Seconds for each of MORE_PODS, from the wish to ready pods that every node knows of."""
    began = time.perf_counter()
    lab.scale(f"deployment/{deployment}", replicas)
    return (time.perf_counter() - began) / MORE_PODS


def _timed(work: Any) -> float:
    began = time.perf_counter()
    rows = work()
    seconds = time.perf_counter() - began
    failed = [error for error in rows["error"] if error]
    if failed:
        raise RuntimeError(f"{len(failed)} of {len(rows)} requests failed: {failed[0]}")
    return seconds


def _import_time() -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", "pass"], check=True)
    bare = time.perf_counter() - began
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", "from labkit import lab, learn, show"], check=True)
    return time.perf_counter() - began - bare


def _bare(kind: str) -> dict[str, float]:
    """Seconds until a sandbox with nothing in it answers, and for each pod by netlink alone."""
    began = time.perf_counter()
    sandbox = Sandbox("labkit.lab.bare:main", kind)
    sandbox.call("nothing")
    answered = time.perf_counter() - began
    seconds: float = sandbox.call("pods", n=30)
    sandbox.close()
    return {"sandbox": answered, "bare": seconds}


def _call(lab: Lab) -> float:
    """Seconds for one question and its answer."""
    began = time.perf_counter()
    for _ in range(CALLS):
        lab.get("svc/app-0")
    return (time.perf_counter() - began) / CALLS


def _manifest(services: int) -> list[dict[str, Any]]:
    objects = [manifests.pod("client"), manifests.deployment("alone", 0)]
    for name in (f"app-{i}" for i in range(services)):
        objects += [manifests.deployment(name, PODS_EACH), manifests.service(name)]
    return objects
