"""How containers begin and end: hooks, sidecars, grace periods, requests in flight."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import msgspec
from inside import in_sandbox
from running import Cluster, running_in

from labkit.linux import execute, httpclient


def script(name: str, text: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "image": "busybox", "command": ["sh", "-c", text], **more}


def hook(kind: str, **action: Any) -> dict[str, Any]:
    return {"lifecycle": {kind: action}}


@in_sandbox
async def test_events_and_the_status_of_a_run() -> None:
    c = Cluster()
    await c.start(script("x", "exit 3"), restartPolicy="Never")
    status = await c.until(lambda s: "terminated" in s["state"])
    ended = status["state"]["terminated"]
    assert (ended["exitCode"], ended["reason"]) == (3, "Error")
    assert ended["startedAt"] <= ended["finishedAt"] and ended["containerID"] == status["containerID"]
    assert status["containerID"].startswith("labkit://") and status["imageID"] == "busybox"
    assert c.events == [
        'Normal Pulled Container image "busybox" already present on machine',
        "Normal Created Created container: x",
        "Normal Started Started container x",
    ]
    assert await c.logs() == ""  # they stay until the pod is forgotten
    await c.stop()


@in_sandbox
async def test_pre_stop_runs_while_the_server_serves_and_before_sigterm() -> None:
    c = Cluster()
    waits = "until [ -e /tmp/go ]; do sleep 0.02; done"
    program = script("p", "trap 'echo term; exit 0' TERM; echo up; while :; do sleep 0.05; done")
    program |= hook("preStop", exec={"command": ["sh", "-c", f"touch /tmp/begun; {waits}"]})
    server = {"name": "web", "image": "nginx", **hook("preStop", exec={"command": ["sh", "-c", waits]})}
    await c.start(program, server)
    await c.said("up", "p")
    stopping = asyncio.create_task(c.runtime.stop_pod("u1", 20))
    c.runtime.withdrawn(["u1"])
    place = msgspec.to_builtins(c.place)
    async with asyncio.timeout(5):
        while (await c.runtime.run(place, "test -e /tmp/begun"))["code"]:
            await asyncio.sleep(0.01)
    asked = await execute.run(c.client, "curl -s http://10.244.1.3/hostname")
    assert asked.stdout == "pod-1"
    assert "term" not in await c.logs("p")
    assert "Normal Killing Stopping container web" in c.events
    await c.runtime.run(place, "touch /tmp/go")
    await c.said("term", "p")
    await stopping
    last = {s["name"]: s["state"]["terminated"] for s in c.reports[-1]}
    assert (last["p"]["exitCode"], last["p"]["reason"]) == (0, "Completed")
    assert (last["web"]["exitCode"], last["web"]["reason"]) == (0, "Completed")


@in_sandbox
async def test_a_hook_that_takes_all_of_the_time_or_fails() -> None:
    c = Cluster()
    slow = script("x", "trap 'echo term; exit 0' TERM; echo up; while :; do sleep 0.05; done")
    await c.start(slow | hook("preStop", sleep={"seconds": 1000}))
    await c.said("up")
    began = time.monotonic()
    await c.stop(grace=0.3)
    assert time.monotonic() - began < 60
    assert c.reports[-1][0]["state"]["terminated"]["exitCode"] == 0  # two seconds are left to it
    await c.start(slow | hook("preStop", exec={"command": ["false"]}))
    await c.said("up")
    await c.stop()
    assert "Warning FailedPreStopHook PreStopHook failed" in c.events
    assert (left := running_in(c.place)) == [], left


@in_sandbox
async def test_post_start() -> None:
    c = Cluster()
    good = script("x", "sleep 1000") | hook("postStart", exec={"command": ["touch", "/tmp/started"]})
    await c.start(good)
    place = msgspec.to_builtins(c.place)
    async with asyncio.timeout(5):
        while (await c.runtime.run(place, "test -e /tmp/started"))["code"]:
            await asyncio.sleep(0.01)
    await c.stop()
    bad = script("x", "sleep 1000") | hook("postStart", httpGet={"port": 1})
    await c.start(bad, terminationGracePeriodSeconds=1)
    await c.until(lambda s: s["restartCount"] == 1)
    await c.heard("Warning FailedPostStartHook PostStartHook failed")
    await c.stop()


@in_sandbox
async def test_the_time_to_end_can_be_made_shorter() -> None:
    c = Cluster()
    await c.start(script("x", "trap '' TERM; echo up; while :; do sleep 1; done"))
    await c.said("up")
    stopping = asyncio.create_task(c.runtime.stop_pod("u1", 1000))
    await asyncio.sleep(0)
    await c.runtime.stop_pod("u1", 0)
    await asyncio.wait_for(stopping, 30)
    assert c.reports[-1][0]["state"]["terminated"]["exitCode"] == 137
    assert (left := running_in(c.place)) == [], left


@in_sandbox
async def test_init_containers_and_sidecars_in_their_order() -> None:
    c = Cluster()
    sidecar = script("side", "trap 'echo side; exit 0' TERM; echo up; while :; do sleep 0.02; done")
    init = [script("one", "echo 1 >>/tmp/order"), sidecar | {"restartPolicy": "Always"}, script("two", "sleep 0.05")]
    main = script("main", "trap 'echo main; exit 0' TERM; echo up; while :; do sleep 0.02; done")
    [status] = await c.start(main, initContainers=init)
    assert status["state"] == {"waiting": {"reason": "PodInitializing"}}
    await c.until(lambda s: s["ready"])
    one, side, two = c.init_reports[-1]
    assert one["ready"] and one["state"]["terminated"]["reason"] == "Completed" and not one["started"]
    assert side["ready"] and side["started"] and "running" in side["state"]
    assert two["ready"] and two["restartCount"] == 0
    place = msgspec.to_builtins(c.place)
    assert (await c.runtime.run(place, "cat /tmp/order"))["stdout"] == "1\n"
    await c.said("up", "main")
    await c.said("up", "side")
    await c.runtime.stop_pod("u1", 10)
    ended = [s["state"]["terminated"] for s in (*c.reports[-1], *c.init_reports[-1])]
    assert [state["exitCode"] for state in ended] == [0, 0, 0, 0]
    killed = [event.split()[-1] for event in c.events if "Killing" in event]
    assert killed == ["main", "side"]
    assert await c.logs("main") == "up\nmain\n" and await c.logs("side") == "up\nside\n"


@in_sandbox
async def test_a_sidecar_ends_when_the_work_is_done() -> None:
    c = Cluster()
    init = [{"name": "side", "image": "nginx", "restartPolicy": "Always"}]
    await c.start(script("job", "exit 0"), initContainers=init, restartPolicy="Never")
    await c.until(lambda s: "terminated" in s["state"])
    async with asyncio.timeout(10):
        while "terminated" not in c.init_reports[-1][0]["state"]:
            await asyncio.sleep(0.01)
    await c.stop()


@in_sandbox
async def test_an_init_container_that_fails() -> None:
    c = Cluster()
    await c.start({"name": "web", "image": "nginx"}, initContainers=[script("one", "exit 2")], restartPolicy="Never")
    async with asyncio.timeout(10):
        while "terminated" not in c.init_reports[-1][0]["state"]:
            await asyncio.sleep(0.01)
    assert not c.init_reports[-1][0]["ready"]
    assert c.reports[-1][0]["state"] == {"waiting": {"reason": "PodInitializing"}}
    await c.stop()


@in_sandbox
async def test_a_server_that_is_withdrawn_answers_what_was_asked() -> None:
    c = Cluster()
    await c.start({"name": "web", "image": "nginx"})
    loop = asyncio.get_running_loop()
    with (
        await httpclient.connect(c.client.netns, "10.244.1.3", 80) as slow,
        await httpclient.connect(c.client.netns, "10.244.1.3", 80) as kept,
    ):
        asked = b"GET /hostname HTTP/1.1\r\nHost: web\r\n\r\n"
        await loop.sock_sendall(kept, asked)
        assert b"Connection: close" not in await loop.sock_recv(kept, 4096)
        await loop.sock_sendall(slow, b"GET /shell?cmd=sleep+0.5 HTTP/1.1\r\nHost: web\r\n\r\n")
        stopping = asyncio.create_task(c.runtime.stop_pod("u1", 20))
        await c.heard("Stopping container web")
        await loop.sock_sendall(kept, asked)  # it serves until it is withdrawn, each connection once
        assert b"Connection: close" in await loop.sock_recv(kept, 4096)
        done = await execute.run(c.client, "curl -s http://10.244.1.3/hostname")
        assert done.stdout == "pod-1"
        c.runtime.withdrawn(["u1"])
        assert (await loop.sock_recv(slow, 4096)).startswith(b"HTTP/1.1 200 OK")
        await stopping
    assert c.reports[-1][0]["state"]["terminated"]["reason"] == "Completed"


@in_sandbox
async def test_a_client_that_says_nothing_holds_nobody_up() -> None:
    c = Cluster()
    await c.start({"name": "web", "image": "nginx"})
    with await httpclient.connect(c.client.netns, "10.244.1.3", 80):
        await asyncio.wait_for(c.stop(1000), 30)


@in_sandbox
async def test_logs_are_followed_to_the_end_and_kept_of_the_run_before() -> None:
    c = Cluster(first_delay=1000)
    await c.start(script("x", "echo one; until [ -e /tmp/go ]; do sleep 0.02; done; echo two >&2; exit 1"))
    await c.said("one")
    opened = c.runtime.open_log("u1", "x")
    found, at, ended = b"", opened["start"], False

    async def follow() -> None:
        nonlocal found, at, ended
        while not ended:
            read = await c.runtime.read_log("u1", "x", opened["run"], at, wait=True)
            found, at, ended = found + read["data"], read["next"], read["ended"]

    following = asyncio.create_task(follow())
    await c.runtime.run(msgspec.to_builtins(c.place), "touch /tmp/go")
    await asyncio.wait_for(following, 10)
    assert found == b"one\ntwo\n"
    await c.until(lambda s: s["restartCount"] == 1)
    assert await c.logs("x", previous=True) == "one\ntwo\n"
    assert await c.logs("x", previous=True, tail=1) == "two\n"
    await c.stop()


@in_sandbox
async def test_usage_of_commands_and_servers() -> None:
    c = Cluster()
    await c.start(
        script("busy", "while :; do :; done"), {"name": "web", "image": "nginx"}, script("idle", "sleep 1000")
    )
    await execute.run(c.client, "for i in $(seq 20); do curl -s http://10.244.1.3/hostname; done")
    async with asyncio.timeout(30):
        while (found := c.runtime.usage()["u1"])["busy"][0] < 10_000_000 or found["idle"][0] >= found["busy"][0]:
            await asyncio.sleep(0.05)  # until what the starts have taken is past
    assert found["web"][0] > 0 and found["web"][1] > 1 << 20
    assert 0 < found["idle"][1] < 64 << 20
    await c.stop()
    assert c.runtime.usage() == {}
