"""Containers for real: commands in a pod's namespaces, restarts, and that nothing outlives its pod."""

from __future__ import annotations

import asyncio
import time

import msgspec
from inside import in_sandbox
from running import Cluster, nothing_in, running_in

from labkit.linux import execute, httpclient, netns
from labkit.net.place import Place


@in_sandbox
async def test_a_server_is_ready_when_start_returns() -> None:
    c = Cluster()
    [status] = await c.start({"name": "web", "image": "nginx:1.27"})
    assert status["ready"] and "running" in status["state"] and status["restartCount"] == 0
    sock = await httpclient.connect(c.client.netns, "10.244.1.3", 80)
    sock.close()
    await c.stop()
    try:
        await httpclient.connect(c.client.netns, "10.244.1.3", 80)
    except ConnectionRefusedError:
        return
    raise AssertionError("still listening")


@in_sandbox
async def test_a_command_sees_its_pod() -> None:
    c = Cluster()
    env = [
        {"name": "NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
        {"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
        {"name": "GREETING", "value": "$(NAME) at $(IP)"},
    ]
    script = "echo $(GREETING); hostname; ls /sys/class/net | tr '\\n' ' '; pwd; cat /etc/resolv.conf; exec sleep 100"
    await c.start(
        {"name": "x", "image": "busybox", "command": ["sh", "-c"], "args": [script], "env": env, "workingDir": "/usr"}
    )
    lines = (await c.said("ndots")).splitlines()
    assert lines[:2] == ["pod-1 at 10.244.1.3", "pod-1"]
    assert lines[2].split() in (["eth0", "lo", "/usr"], ["eth0", "lo", "tunl0", "/usr"])
    assert lines[3] == "nameserver 10.96.0.10"
    ran = await c.runtime.run(msgspec.to_builtins(c.place), "echo $GREETING; cat /etc/hostname")
    assert ran["stdout"] == "pod-1 at 10.244.1.3\npod-1\n"
    await c.stop()


@in_sandbox
async def test_a_real_http_server() -> None:
    c = Cluster()
    await c.start(
        {"name": "x", "image": "python", "command": ["python3", "-m", "http.server", "8000"], "workingDir": "/etc"}
    )
    ready = "for i in $(seq 100); do curl -sf http://10.244.1.3:8000/hostname && exit; sleep 0.05; done; exit 1"
    done = await execute.run(c.client, ready, timeout=10)
    assert done.stdout == "pod-1\n", done
    await c.stop()
    assert (left := running_in(c.place)) == [], left


@in_sandbox
async def test_everything_a_container_started_ends_with_it() -> None:
    c = Cluster()
    script = "(setsid sleep 1000 &) ; nohup sleep 1001 & (trap '' TERM; sleep 1002; sleep 1003) & sleep 1004"
    await c.start({"name": "x", "image": "busybox", "command": ["sh", "-c", script]})
    async with asyncio.timeout(5):
        while len(running_in(c.place)) < 5:
            await asyncio.sleep(0.01)
    await c.stop()
    assert (left := running_in(c.place)) == [], left


@in_sandbox
async def test_what_ignores_sigterm_is_killed_after_the_grace_period() -> None:
    c = Cluster()
    script = "trap '' TERM; echo deaf; while :; do sleep 1; done"
    await c.start({"name": "x", "image": "busybox", "command": ["sh", "-c", script]})
    await c.said("deaf")
    start = time.monotonic()
    await c.stop(grace=0.3)
    assert 0.3 <= time.monotonic() - start < 3
    assert (left := running_in(c.place)) == [], left


@in_sandbox
async def test_crash_loop() -> None:
    c = Cluster(first_delay=0.2)
    await c.start({"name": "x", "image": "busybox", "command": ["sh", "-c", "echo run; exit 7"]})
    waiting = await c.until(lambda s: s["state"].get("waiting", {}).get("reason") == "CrashLoopBackOff")
    assert waiting["lastState"]["terminated"]["exitCode"] == 7
    assert waiting["restartCount"] == 1  # the first restart comes at once
    assert not waiting["ready"]
    assert "back-off 0.2s restarting failed container=x pod=pod-1_shop(u1)" in waiting["state"]["waiting"]["message"]
    again = await c.until(lambda s: s["state"].get("waiting", {}).get("message", "").startswith("back-off 0.4s"))
    assert again["restartCount"] == 2
    assert await c.logs(previous=True) == "run\n"
    assert any(e.startswith("Warning BackOff Back-off restarting failed container x") for e in c.events)
    await c.stop()


@in_sandbox
async def test_restart_policies() -> None:
    c = Cluster()
    await c.start({"name": "x", "image": "busybox", "command": ["true"]}, restartPolicy="OnFailure")
    done = await c.until(lambda s: "terminated" in s["state"])
    assert done["state"]["terminated"]["reason"] == "Completed" and done["restartCount"] == 0
    await c.stop()
    await c.start({"name": "x", "image": "busybox", "command": ["sh", "-c", "exit 2"]}, restartPolicy="Never")
    failed = await c.until(lambda s: s["state"].get("terminated", {}).get("exitCode") == 2)
    assert failed["state"]["terminated"]["reason"] == "Error"
    await c.stop()


@in_sandbox
async def test_exit_over_http_restarts_the_server() -> None:
    c = Cluster()
    await c.start({"name": "web", "image": "agnhost", "args": ["netexec", "--http-port=80"]})
    await execute.run(c.client, "curl -s http://10.244.1.3/exit?code=4")
    back = await c.until(lambda s: s["restartCount"] == 1 and s["ready"])
    assert back["lastState"]["terminated"]["exitCode"] == 4
    done = await execute.run(c.client, "curl -s http://10.244.1.3/hostname")
    assert done.stdout == "pod-1"
    await c.stop()


@in_sandbox
async def test_a_program_that_is_not_there_is_said_and_not_replaced() -> None:
    c = Cluster()
    [status] = await c.start(
        {"name": "x", "image": "web", "command": ["no-such-program"], "ports": [{"containerPort": 80}]}
    )
    assert status["state"]["waiting"]["reason"] == "RunContainerError"
    assert "no-such-program: command not found" in status["state"]["waiting"]["message"]
    assert not status["ready"]
    assert (left := running_in(c.place)) == [], left
    await c.stop()
    [status] = await c.start({"name": "x", "image": "web", "command": ["true"], "workingDir": "/no/where"})
    assert "working directory /no/where does not exist" in status["state"]["waiting"]["message"]
    await c.stop()
    secret = {"name": "P", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}
    [status] = await c.start({"name": "x", "image": "nginx", "env": [secret]})
    assert status["state"]["waiting"]["reason"] == "CreateContainerConfigError"
    await c.stop()


@in_sandbox
async def test_two_containers_want_one_port() -> None:
    c = Cluster()
    await c.start({"name": "a", "image": "nginx"}, {"name": "b", "image": "httpd"})
    await c.until(lambda s: s["state"].get("waiting", {}).get("reason") == "CrashLoopBackOff", container=1)
    assert "address already in use" in await c.logs("b")
    assert c.reports[-1][0]["ready"]
    await c.stop()


@in_sandbox
async def test_init_containers_come_first() -> None:
    c = Cluster()
    init = [
        {"name": "wait", "image": "busybox", "command": ["sh", "-c", "until [ -e /tmp/go ]; do sleep 0.02; done"]},
        {"name": "mark", "image": "busybox", "command": ["touch", "/tmp/marked"]},
    ]
    [status] = await c.start({"name": "web", "image": "nginx"}, initContainers=init)
    assert status["state"]["waiting"]["reason"] == "PodInitializing"
    assert not status["ready"]
    await c.runtime.run(msgspec.to_builtins(c.place), "touch /tmp/go")
    await c.until(lambda s: s["ready"])
    listed = (await c.runtime.run(msgspec.to_builtins(c.place), "ls /tmp"))["stdout"].split()
    assert {"go", "marked"} <= set(listed)
    await c.stop()


@in_sandbox
async def test_a_deleted_namespace_is_gone_although_others_saw_it() -> None:
    """Views copy the mounts below /run/netns: deleting one must not leave it pinned in the others."""
    c = Cluster()
    await execute.run(c.place, "true", check=True)
    node = Place("node", "node", "/run/netns/node")
    netns.delete(c.client.netns)
    async with asyncio.timeout(5):
        while "v0" in (links := (await execute.run(node, "ip -o link", check=True)).stdout):
            await asyncio.sleep(0.01)
    assert "v1" in links


@in_sandbox
async def test_run_bounds_time_and_output() -> None:
    c = Cluster()
    place = msgspec.to_builtins(c.place)
    slow = await c.runtime.run(place, "sleep 1000 & sleep 1001", timeout=0.1)
    assert slow["code"] == 124 and "timed out after 0.1 s" in slow["stderr"]
    await nothing_in(c.place)
    big = await c.runtime.run(place, "head -c 11000000 /dev/zero")
    assert len(big["stdout"]) == 10 * 1024 * 1024 and "bytes more" in big["stderr"]
    assert (await c.runtime.run(place, ["no-such-program"]))["code"] == 127
    assert (await c.runtime.run(place, "cat", stdin=b"x" * 500_000))["stdout"] == "x" * 500_000
    assert (await c.runtime.run(place, "kill -9 $$"))["code"] == 137
    task = asyncio.create_task(c.runtime.run(place, "sleep 1002"))
    async with asyncio.timeout(5):
        while not running_in(c.place):
            await asyncio.sleep(0.01)
    task.cancel()
    await asyncio.wait([task])
    await nothing_in(c.place)
