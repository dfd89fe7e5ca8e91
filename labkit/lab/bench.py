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
from labkit.sandbox.start import Sandbox

SERVICES, PODS_EACH, REQUESTS, MORE_PODS = 10, 3, 3000, 20

# what, key of the measurement, factor to the unit, unit, target, what stands beside it, its key
FIGURES = (
    ("import labkit.lab, show, learn", "import", 1, "s", "< 0.3 s", "", ""),
    ("3 nodes alone, DNS answering", "empty", 1, "s", "", "the whole start", "start"),
    ("3 nodes, 30 pods, 10 Services answering", "start", 1, "s", "0.8 s", "", ""),
    ("a further pod, ready", "pod", 1000, "ms", "2 x", "bare netlink", "bare"),
    ("the same behind a Service, rules on 3 nodes", "served pod", 1000, "ms", "", "bare netlink", "bare"),
    (f"{REQUESTS} requests to a ClusterIP", "requests", 1, "s", "1.5 s", "to a pod's own address", "direct"),
    ("resident memory, shared pages once (PSS)", "pss", 1, "MB", "< 250 MB", "", ""),
    ("resident memory, process by process (RSS)", "rss", 1, "MB", "", "", ""),
    ("idle CPU", "idle", 1, "%", "< 2 %", "", ""),
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


def bench_start(rounds: int) -> Report:
    """Start labs one after another, each from a fresh interpreter as a notebook does, and measure each."""
    found: dict[str, list[float]] = {}
    for _ in range(rounds):
        command = [sys.executable, "-c", "from labkit.lab import bench; bench.one_round()"]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        for name, value in json.loads(done.stdout).items():
            found.setdefault(name, []).append(value)
    m = {name: statistics.median(values) for name, values in found.items()}
    return Report(
        tuple(
            Figure(name, m[key] * scale, unit, target, beside, m[key] / m[bare] if bare else None)
            for name, key, scale, unit, target, beside, bare in FIGURES
        )
    )


def one_round() -> None:
    """Print one round's measurements as JSON."""
    sys.stdout.write(json.dumps(_round()))


def _round() -> dict[str, float]:
    found = {"import": _import_time(), "bare": _bare_pod()}
    began = time.perf_counter()
    lab = start(nodes=3, name="bench")
    found["empty"] = time.perf_counter() - began
    try:
        lab.apply(_manifest())
        lab.wait()
        _answering(lab)
        found["start"] = time.perf_counter() - began
        client = lab.pod("client")
        address = next(o["status"]["podIP"] for o in lab.objects("Pod") if o["metadata"]["name"].startswith("app-0-"))
        found["requests"] = _timed(lambda: client.get("http://app-0", n=REQUESTS))
        found["direct"] = _timed(lambda: client.get(f"http://{address}", n=REQUESTS))
        found["pod"] = _scaled(lab, "alone", MORE_PODS)
        found["served pod"] = _scaled(lab, "app-0", PODS_EACH + MORE_PODS)
        found |= _load(lab.facts["pid"])
    finally:
        lab.close()
    return found


def _answering(lab: Lab) -> None:
    """Every Service answers by name, from a pod."""
    for i in range(SERVICES):
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


def _bare_pod() -> float:
    sandbox = Sandbox("labkit.lab.bare:main")
    seconds: float = sandbox.call("pods", n=30)
    sandbox.close()
    return seconds


def _load(launcher: int, seconds: float = 3.0) -> dict[str, float]:
    """Memory of all processes of the lab in MB, and the share of one CPU that they use while nobody asks anything."""
    processes = _tree(launcher)
    pss = rss = 0
    for process in processes:
        for line in (process / "smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                pss += int(line.split()[1])
            elif line.startswith("Rss:"):
                rss += int(line.split()[1])
    before = _ticks(processes)
    time.sleep(seconds)  # an observation of nothing has no condition to wait for
    return {"pss": pss / 1024, "rss": rss / 1024, "idle": (_ticks(processes) - before) / seconds}


def _tree(pid: int) -> list[Path]:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [Path(f"/proc/{pid}"), *(p for child in children for p in _tree(int(child)))]


def _ticks(processes: list[Path]) -> int:
    """CPU time in hundredths of a second, which is the kernel's unit here (USER_HZ)."""
    fields = [(p / "stat").read_text().rpartition(")")[2].split() for p in processes]
    return sum(int(f[11]) + int(f[12]) for f in fields)


def _manifest() -> list[dict[str, Any]]:
    objects: list[dict[str, Any]] = [_pod("client"), _deployment("alone", 0)]
    for i in range(SERVICES):
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
