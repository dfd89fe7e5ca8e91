"""`labkit bench api`: what the lab's API does, over TLS, with validation, field management and SQLite; beside etcd."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from labkit.lab.bench import etcd, manifests, rounds, taking, wire
from labkit.lab.bench.etcd import Etcd
from labkit.lab.bench.report import Report, Row, figure
from labkit.lab.bench.requests import Kubernetes
from labkit.lab.bench.wire import Connection
from labkit.lab.starting import start

CONNECTIONS, READY, NODES = 8, 1000, 5
CONTROL = "labkit-control"
MEMORY = Path("/dev/shm")  # noqa: S108 - where neither the lab nor etcd waits for a disk


@dataclass(frozen=True)
class Load:
    """How much is asked: objects that are made and listed, gets, watches, and events that they hear of."""

    objects: int
    reads: int
    watchers: int
    events: int


FULL = Load(10_000, 10_000, 100, 20)
AS_MANY = "etcd, as many writes"

ROWS = (
    Row(f"creates, {CONNECTIONS} connections", "create", 1, "/s", "etcd's", "etcd create", ">= 1500"),
    Row(f"gets, {CONNECTIONS} connections", "get", 1, "/s", "etcd's", "etcd get", ">= 3000"),
    Row(f"a list of {FULL.objects} pods", "list", 1, "s", "etcd's", "etcd list", "< 1 s"),
    Row(f"an event to {FULL.watchers} watchers", "event", 1000, "ms", "etcd's", "etcd event", "< 50 ms"),
    Row(f"{READY} pods on {NODES} nodes, from apply to Ready", "ready", 1, "s", AS_MANY, "etcd ready", "< 8 s"),
    Row("of that, CPU of the control process", "ready cpu", 1, "s"),
    Row("the same on hollow nodes: API and controllers", "hollow", 1, "s", AS_MANY, "etcd hollow", "< 2 s"),
)


def bench_api(repeats: int) -> Report:
    """Raises `CommandError` and what else a lab raises that does not start."""
    measured = rounds.medians("api", repeats)
    missing = "" if etcd.installed() else "etcd is not installed"
    return Report(tuple(figure(row, measured, missing) for row in ROWS))


def measure() -> dict[str, float]:
    """One round."""
    with _folder() as folder:
        found = {**_served(), **_ready()}
        hollow = rounds.medians("hollow", 1, str(READY), str(NODES), str(folder))
        writes = {"ready": found.pop("writes"), "hollow": hollow.pop("writes")}
        found |= hollow
        if etcd.installed():
            with closing(Etcd(folder)) as beside:
                bare = asked(beside, FULL)
            found |= {f"etcd {name}": value for name, value in bare.items()}
            found |= {f"etcd {name}": count / bare["create"] for name, count in writes.items()}
        return found


def _served() -> dict[str, float]:
    with start(nodes=1, name="bench", sandbox="namespaces", keep=True) as lab:
        return asked(Kubernetes(lab.kubeconfig), FULL)


def _ready() -> dict[str, float]:
    """A Deployment from its creation until all of its pods are Ready, and every node's rules know of them."""
    with start(nodes=NODES, name="bench-ready", sandbox="namespaces", keep=True) as lab:
        server = Kubernetes(lab.kubeconfig)
        request = server.apply(manifests.deployment("many", READY))
        control = taking.named(lab.facts["pid"], CONTROL)
        writes, ticks, began = server.version(), taking.ticks(control), time.perf_counter()
        server.ask(request)
        lab.wait("deployment/many", timeout=120)
        return {
            "ready": time.perf_counter() - began,
            "ready cpu": (taking.ticks(control) - ticks) / 100,
            "writes": server.version() - writes,
        }


def asked(server: Kubernetes | Etcd, load: Load) -> dict[str, float]:
    """Creates and gets a second, and the seconds of a list and of an event. Raises `RuntimeError` for a refusal."""
    with connected(server, CONNECTIONS) as clients:
        creates = [server.create(number) for number in range(load.objects)]
        reads = [server.read(number * 7919 % load.objects) for number in range(load.reads)]
        made, read = wire.seconds(clients, creates), wire.seconds(clients, reads)
        lists = [wire.seconds(clients[:1], [server.every()]) for _ in range(3)]
    heard = _event(server, load)
    return {"create": len(creates) / made, "get": len(reads) / read, "list": statistics.median(lists), "event": heard}


def _event(server: Kubernetes | Etcd, load: Load) -> float:
    """Seconds from a write until the last watcher has heard of it."""
    taken = []
    with connected(server, load.watchers + 1) as (writer, *watchers):
        for watcher in watchers:
            server.watch(watcher)
        for number in range(load.events):
            request, mark = server.happen(f"event-{number}")
            began = time.perf_counter()
            writer.send(request)
            for watcher in watchers:
                watcher.until(mark)
            taken.append(time.perf_counter() - began)
            writer.receive()
    return statistics.median(taken)


@contextmanager
def connected(server: Kubernetes | Etcd, count: int) -> Iterator[list[Connection]]:
    """Connections to a server."""
    with ExitStack() as stack:
        yield [stack.enter_context(closing(server.connect())) for _ in range(count)]


@contextmanager
def _folder() -> Iterator[Path]:
    """A folder for all state; labs that are kept are kept in there."""
    where = MEMORY if os.access(MEMORY, os.W_OK) else None
    with TemporaryDirectory(prefix="labkit-bench-", dir=where) as folder:
        os.environ["XDG_STATE_HOME"] = folder
        yield Path(folder)
