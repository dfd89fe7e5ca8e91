"""`labkit bench`: the lab's figures, each beside the bare tool's, all within one run."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from labkit.lab.lab import Lab
from labkit.lab.starting import start
from labkit.linux import memory
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

# what, key of the measurement, factor to the unit, unit, what stands beside it, its key
FIGURES = (
    ("import labkit.lab, show, learn", "import", 1, "s", "", ""),
    ("the sandbox alone", "sandbox", 1, "s", "", ""),
    ("3 nodes alone, DNS answering", "empty", 1, "s", "the sandbox alone", "sandbox"),
    ("3 nodes, {pods} pods, {services} Services answering", "start", 1, "s", "the sandbox alone", "sandbox"),
    ("a further pod, ready", "pod", 1000, "ms", "bare netlink", "bare"),
    ("the same behind a Service, rules on 3 nodes", "served pod", 1000, "ms", "bare netlink", "bare"),
    ("{requests} requests to a ClusterIP", "requests", 1, "s", "to a pod's own address", "direct"),
    ("a cell's call and its answer", "call", 1000, "ms", "", ""),
    ("resident memory, shared pages once (PSS)", "pss", 1, "MB", "", ""),
    ("resident memory, process by process (RSS)", "rss", 1, "MB", "", ""),
    ("idle CPU", "idle", 1, "%", "", ""),
)


@dataclass(frozen=True)
class Figure:
    """One measurement: median over the rounds, the target, and the ratio to what was measured beside it."""

    name: str
    value: float
    unit: str
    target: str = ""
    beside: str = ""
    ratio: float | None = None


@dataclass(frozen=True)
class Report:
    figures: tuple[Figure, ...]

    def __str__(self) -> str:
        lines = [f"{'':44} {'measured':>12}  {'target':>9}  beside"]
        for f in self.figures:
            beside = f"{f.ratio:.2f} x {f.beside}" if f.ratio is not None else ""
            lines.append(f"{f.name:44} {f.value:8.2f} {f.unit:3}  {f.target:>9}  {beside}")
        return "\n".join(lines)

    def as_json(self) -> str:
        return json.dumps([asdict(f) for f in self.figures], indent=1)


def bench_start(rounds: int, sandbox: str) -> Report:
    """Start labs one after another, each from a fresh interpreter as a notebook does, and measure each."""
    load = LOADS[sandbox]
    found: dict[str, list[float]] = {}
    for _ in range(rounds):
        command = [sys.executable, "-c", f"from labkit.lab import bench; bench.one_round({sandbox!r})"]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        for name, value in json.loads(done.stdout).items():
            found.setdefault(name, []).append(value)
    m = {name: statistics.median(values) for name, values in found.items()}
    sizes = {"pods": load.services * PODS_EACH, "services": load.services, "requests": load.requests}
    return Report(
        tuple(
            Figure(
                name.format(**sizes),
                m[key] * scale,
                unit,
                load.targets.get(key, ""),
                beside,
                m[key] / m[bare] if bare else None,
            )
            for name, key, scale, unit, beside, bare in FIGURES
        )
    )


def one_round(sandbox: str) -> None:
    """Print one round's measurements as JSON."""
    sys.stdout.write(json.dumps(_round(sandbox, LOADS[sandbox])))


def _round(sandbox: str, load: Load) -> dict[str, float]:
    found = {"import": _import_time(), **_bare(sandbox)}
    began = time.perf_counter()
    lab = start(nodes=3, name="bench", sandbox=sandbox)
    found["empty"] = time.perf_counter() - began
    try:
        lab.apply(_manifest(load.services))
        lab.wait()
        _answering(lab, load.services)
        found["start"] = time.perf_counter() - began
        client = lab.pod("client")
        address = next(o["status"]["podIP"] for o in lab.objects("Pod") if o["metadata"]["name"].startswith("app-0-"))
        found["requests"] = _timed(lambda: client.get("http://app-0", n=load.requests))
        found["direct"] = _timed(lambda: client.get(f"http://{address}", n=load.requests))
        found["call"] = _call(lab)
        found |= _load(lab.facts["pid"])
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


def _load(launcher: int, seconds: float = 3.0) -> dict[str, float]:
    """Memory of all processes of the lab in MB, and the share of one CPU that they use while nobody asks anything."""
    processes = memory.below(launcher)
    taken = {name: size / (1 << 20) for name, size in memory.resident(processes).items()}
    before = _ticks(processes)
    time.sleep(seconds)  # an observation of nothing has no condition to wait for
    return {**taken, "idle": (_ticks(processes) - before) / seconds}


def _ticks(processes: list[int]) -> int:
    """CPU time in hundredths of a second, which is the kernel's unit here (USER_HZ)."""
    fields = [Path(f"/proc/{p}/stat").read_text().rpartition(")")[2].split() for p in processes]
    return sum(int(f[11]) + int(f[12]) for f in fields)


def _manifest(services: int) -> list[dict[str, Any]]:
    objects: list[dict[str, Any]] = [_pod("client"), _deployment("alone", 0)]
    for i in range(services):
        name = f"app-{i}"
        service = {"selector": {"app": name}, "ports": [{"port": 80}]}
        objects.append(_deployment(name, PODS_EACH))
        objects.append({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": service})
    return objects


def _deployment(name: str, replicas: int) -> dict[str, Any]:
    labels = {"app": name}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [_container()]}}
    spec = {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": spec}


def _container() -> dict[str, Any]:
    return {"name": "web", "image": "nginx", "ports": [{"containerPort": 80}]}


def _pod(name: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": {"containers": [_container()]}}
