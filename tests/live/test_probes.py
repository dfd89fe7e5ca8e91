"""Probes of containers that really run."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

import msgspec
from inside import ONCE, in_sandbox
from running import Cluster, running_in

from labkit.linux import httpclient

pytestmark = ONCE


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


@in_sandbox
async def test_grpc_probes() -> None:
    c = Cluster()
    server = str(Path(__file__).with_name("grpc_server.py"))

    def container(name: str, service: str, port: int = 5000) -> dict[str, Any]:
        probe = {"grpc": {"port": port, "service": service}, "periodSeconds": 1}
        return {"name": name, "image": "pause", "readinessProbe": probe}

    program = {"name": "server", "image": "x", "command": [sys.executable, server, "5000"]}
    program["readinessProbe"] = {"grpc": {"port": 5000}, "periodSeconds": 1}
    names = {"good": "web", "sick": "bad", "old": "old", "unknown": "none"}
    await c.start(program, *(container(n, s) for n, s in names.items()), container("closed", "", 5001))
    await c.until(lambda s: s["ready"])
    await c.until(lambda s: s["ready"], container=1)
    failures = (
        'service unhealthy (responded with "NOT_SERVING")',
        "error: this server does not implement the grpc health protocol (grpc.health.v1.Health): unknown service",
        "error: health rpc probe failed: rpc error: code = NotFound desc = unknown",
        'error: failed to connect service at "10.244.1.3:5001"',
    )
    for text in failures:
        await c.heard(f"Warning Unhealthy Readiness probe failed: {text}")
    assert [s["ready"] for s in c.reports[-1]] == [True, True, False, False, False, False]
    await c.stop()


@in_sandbox
async def test_the_built_in_server_answers_grpc_probes() -> None:
    c = Cluster()
    probe = {"grpc": {"port": 80, "service": "shop.Cart"}, "periodSeconds": 1}
    await c.start({"name": "web", "image": "nginx", "readinessProbe": probe})
    await c.until(lambda s: s["ready"])
    assert not [event for event in c.events if "Unhealthy" in event]
    with await httpclient.connect(c.client.netns, "10.244.1.3", 80) as sock:
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(sock, b"PRI * HTTP/2.0\r\n\r\nnonsense" + b"x" * 100)
        while await loop.sock_recv(sock, 4096):  # it says so and closes
            pass
    await c.stop()


@in_sandbox
async def test_a_probe_s_own_grace_period() -> None:
    c = Cluster()
    probe = {"exec": {"command": ["false"]}, "periodSeconds": 1, "failureThreshold": 1}
    deaf = ["sh", "-c", "trap '' TERM; while :; do sleep 1; done"]
    probe["terminationGracePeriodSeconds"] = 1
    await c.start({"name": "x", "image": "busybox", "command": deaf, "livenessProbe": probe})
    status = await c.until(lambda s: s["restartCount"] == 1)
    assert status["lastState"]["terminated"]["exitCode"] == 137
    await c.stop()


@in_sandbox
async def test_a_startup_probe_holds_the_others_back() -> None:
    c = Cluster()
    startup = {"exec": {"command": ["test", "-e", "/tmp/up"]}, "periodSeconds": 1, "failureThreshold": 60}
    never = {"exec": {"command": ["false"]}, "periodSeconds": 1, "failureThreshold": 1}
    web = {"name": "web", "image": "nginx", "startupProbe": startup}
    [status] = await c.start(web | {"livenessProbe": never}, terminationGracePeriodSeconds=1)
    assert not status["started"] and not status["ready"]
    await c.heard("Warning Unhealthy Startup probe failed: ")
    assert c.reports[-1][0]["restartCount"] == 0
    await c.runtime.run(msgspec.to_builtins(c.place), "touch /tmp/up")
    await c.until(lambda s: s["started"])
    status = await c.until(lambda s: s["restartCount"] == 1)
    assert status["lastState"]["terminated"]["reason"] == "Completed"
    await c.stop()
