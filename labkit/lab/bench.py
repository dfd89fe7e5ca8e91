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
        (
            Figure("import labkit.lab, show, learn", m["import"], "s", "< 0.3 s"),
            Figure("3 nodes alone, DNS answering", m["empty"], "s", "", "the whole start", m["empty"] / m["start"]),
            Figure("3 nodes, 30 pods, 10 Services answering", m["start"], "s", "0.8 s"),
            Figure("a further pod, ready", m["pod"] * 1e3, "ms", "2 x", "bare netlink", m["pod"] / m["bare"]),
            Figure(
                f"{REQUESTS} requests to a ClusterIP",
                m["requests"],
                "s",
                "1.5 s",
                "to the pod's own address",
                m["requests"] / m["direct"],
            ),
            Figure("resident memory, shared pages once (PSS)", m["pss"], "MB", "< 250 MB"),
            Figure("resident memory, process by process (RSS)", m["rss"], "MB"),
            Figure("idle CPU", m["idle"], "%", "< 2 %"),
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
    objects: list[dict[str, Any]] = [_pod("client")]
    for i in range(SERVICES):
        labels = {"app": f"app-{i}"}
        template = {"metadata": {"labels": labels}, "spec": {"containers": [_container()]}}
        spec = {"replicas": PODS_EACH, "selector": {"matchLabels": labels}, "template": template}
        objects.append({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": f"app-{i}"}, "spec": spec})
        service = {"selector": labels, "ports": [{"port": 80}]}
        objects.append({"apiVersion": "v1", "kind": "Service", "metadata": {"name": f"app-{i}"}, "spec": service})
    return objects


def _container() -> dict[str, Any]:
    return {"name": "web", "image": "nginx", "ports": [{"containerPort": 80}]}


def _pod(name: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": {"containers": [_container()]}}
