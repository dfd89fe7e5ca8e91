"""Probes of containers that really run."""

from __future__ import annotations

import asyncio

import msgspec
from inside import in_sandbox
from running import Cluster, running_in


@in_sandbox
async def test_readiness_follows_its_probe() -> None:
    c = Cluster()
    probe = {"exec": {"command": ["test", "-e", "/tmp/ready"]}, "periodSeconds": 1, "failureThreshold": 1}
    [status] = await c.start({"name": "web", "image": "nginx", "readinessProbe": probe})
    assert not status["ready"] and status["started"]
    await c.runtime.run(msgspec.to_builtins(c.place), "touch /tmp/ready")
    await c.until(lambda s: s["ready"])
    c.reports.clear()
    await c.runtime.run(msgspec.to_builtins(c.place), "rm /tmp/ready")
    await c.until(lambda s: not s["ready"])
    assert "Warning Unhealthy Readiness probe failed: " in c.events
    await c.stop()


@in_sandbox
async def test_http_and_tcp_probes() -> None:
    c = Cluster()
    good = {"httpGet": {"path": "/healthz", "port": "http"}}
    bad = {"httpGet": {"path": "/echo?code=503", "port": 80}}
    closed = {"tcpSocket": {"port": 81}}
    await c.start(
        {"name": "a", "image": "nginx", "ports": [{"name": "http", "containerPort": 80}], "readinessProbe": good},
        {"name": "b", "image": "pause", "readinessProbe": bad},
        {"name": "c", "image": "pause", "readinessProbe": closed},
    )
    await c.until(lambda s: s["ready"])
    async with asyncio.timeout(5):
        while len(failed := [e for e in c.events if "Unhealthy" in e]) < 2:
            await asyncio.sleep(0.01)
    assert sorted(failed) == [
        "Warning Unhealthy Readiness probe failed: HTTP probe failed with statuscode: 503",
        "Warning Unhealthy Readiness probe failed: dial tcp 10.244.1.3:81: connect: connection refused",
    ]
    assert [s["ready"] for s in c.reports[-1]] == [True, False, False]
    await c.stop()


@in_sandbox
async def test_liveness_restarts() -> None:
    c = Cluster()
    probe = {"exec": {"command": ["false"]}, "periodSeconds": 1, "failureThreshold": 1}
    await c.start({"name": "x", "image": "busybox", "command": ["sleep", "1000"], "livenessProbe": probe})
    status = await c.until(lambda s: s["restartCount"] == 1)
    assert status["lastState"]["terminated"]["exitCode"] == 143
    assert any("failed liveness probe, will be restarted" in event for event in c.events)
    await c.stop()
    assert (left := running_in(c.place)) == [], left
