"""When a probe's result counts (worker.go: resultRun, thresholds), and ports by name."""

import asyncio
import functools
from typing import Any

import msgspec
import pytest

from labkit.api.objects import Container, Probe
from labkit.linux import execute
from labkit.net.place import Place
from labkit.workloads.checks import port_number
from labkit.workloads.probes import Health, Settling


def settled(results: str, count: int, **fields: Any) -> tuple[list[bool], int]:
    """Results as they settle, and how many probes that took; "+" is a success."""
    probe = msgspec.convert({"periodSeconds": 0, **fields}, Probe)
    left = list(results)

    async def check() -> str | None:
        return None if left.pop(0) == "+" else "down"

    async def collect() -> list[bool]:
        settling = Settling(probe, check)
        return [await settling.next() for _ in range(count)]

    return asyncio.run(collect()), len(results) - len(left)


def test_one_success_is_enough_and_three_failures() -> None:
    assert settled("+---", 2) == ([True, False], 4)


def test_a_run_that_is_broken_starts_anew() -> None:
    assert settled("--+--+---", 3) == ([True, True, False], 9)


def test_success_threshold() -> None:
    assert settled("++-+++", 1, successThreshold=3) == ([True], 6)


def test_above_the_threshold_every_result_counts() -> None:
    assert settled("----", 2) == ([False, False], 4)


PLACE = Place("x", "pod", "/nowhere")


def health(*results: str, **probes: Any) -> list[str]:
    """What follows from exec probes that give these results in turn."""
    said: list[str] = []
    container = msgspec.convert({"name": "c", "image": "x", **probes}, Container)

    async def watch() -> None:
        watcher = Health(
            container, PLACE, functools.partial(execute.run, PLACE),
            started=lambda: said.append("started"),
            ready=lambda ready: said.append(f"ready {ready}"),
            kill=lambda probe: said.append(f"kill {probe}"),
            unhealthy=said.append,
        )  # fmt: skip
        await asyncio.wait_for(watcher.watch(), 5)

    asyncio.run(watch())
    return said


def test_a_probe_that_cannot_run_fails_and_ends_the_container() -> None:
    probe = {"exec": {"command": ["true"]}, "periodSeconds": 0, "failureThreshold": 2}
    said = health(startupProbe=probe)
    assert said[-1] == "kill startup"
    assert len(said) == 3 and all(text.startswith("Startup probe failed: x has no network") for text in said[:2])
    assert health(livenessProbe=probe)[-1] == "kill liveness"


@pytest.mark.parametrize(("port", "number"), [(80, 80), ("http", 8080), ("81", 81)])
def test_ports(port: int | str, number: int) -> None:
    container = msgspec.convert({"name": "c", "ports": [{"name": "http", "containerPort": 8080}]}, Container)
    assert port_number(port, container) == number


def test_no_such_port() -> None:
    with pytest.raises(ValueError, match="no port of container c is named 'web'"):
        port_number("web", Container(name="c"))
