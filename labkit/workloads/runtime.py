"""The workload process: the containers of all pods, and commands run inside any place.

start_pod ── init containers, one after the other ── containers ──> statuses; every later change by notify
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from labkit.api.objects import Container, Pod, view
from labkit.errors import NotFound
from labkit.linux import execute, process, views
from labkit.net.place import Place
from labkit.workloads.containers import ContainerRun

FIRST_DELAY = 10.0  # seconds before the second restart of a container that keeps ending

Notify = Callable[[str, dict[str, Any]], None]
Raw = dict[str, Any]


class PodRun:
    """A pod's containers.

    notify("container", {uid, statuses}) follows every change; notify("event", {uid, type, reason, message}) is what the
    kubelet would record.
    """

    def __init__(self, place: Place, pod: Pod, notify: Notify, first_delay: float) -> None:
        self.place = place
        self.pod = pod
        self._notify = notify
        self._first_delay = first_delay
        self._reporting = False
        policy = pod.spec.restart_policy
        once = "Never" if policy == "Never" else "OnFailure"
        self.init = [self._container(c, c.restart_policy or once) for c in pod.spec.init_containers]
        self.main = [self._container(c, policy) for c in pod.spec.containers]
        self._setup: asyncio.Task[None] | None = None

    async def start(self) -> list[Raw]:
        """Start the containers; with init containers they follow in the background, when those have done their work."""
        if self.init:
            self._setup = asyncio.get_running_loop().create_task(self._initialize())
        else:
            await self._start_main()
        self._reporting = True
        return self.statuses()

    async def stop(self, grace: float) -> None:
        if self._setup:
            self._setup.cancel()
        self._reporting = False
        await asyncio.gather(*(container.stop(grace) for container in (*self.main, *self.init)))
        mounts = views.mounts(self.place)
        if mounts is not None:
            await process.end_members(mounts)  # what commands run in the pod left behind
        views.forget(self.place)

    def statuses(self) -> list[Raw]:
        """The `containerStatuses`; while init containers are at work, all say so and what those wait for."""
        statuses = [container.status() for container in self.main]
        if self._setup and not self._setup.done():
            for status in statuses:
                status["state"] = {"waiting": {"reason": "PodInitializing", "message": self._waits_for()}}
        return statuses

    def _waits_for(self) -> str:
        """What the first init container that is not done is about."""
        for container in self.init:
            if not container.ended.is_set() or container.state["terminated"]["exitCode"]:
                (kind, facts), *_ = container.state.items()
                why = facts.get("message") or facts.get("reason") or kind
                return f"init container {container.spec.name}: {why}"
        return ""

    def find(self, name: str) -> ContainerRun:
        """A container by its name; without one the first. Raises `NotFound`."""
        for container in (*self.main, *self.init):
            if name in ("", container.spec.name):
                return container
        names = ", ".join(container.spec.name for container in (*self.main, *self.init))
        raise NotFound(f"pod {self.place.name} has no container {name!r}; it has {names}")

    def _container(self, spec: Container, restart_policy: str) -> ContainerRun:
        return ContainerRun(spec, self.pod, self.place, restart_policy, self._first_delay, self._changed, self._event)

    async def _initialize(self) -> None:
        for container in self.init:
            await container.start()
            if container.spec.restart_policy == "Always":  # a sidecar: the others follow when it has started
                await container.started.wait()
                continue
            await container.ended.wait()
            if container.state["terminated"]["exitCode"]:
                await asyncio.Event().wait()  # restartPolicy Never: the others never start
        self._setup = None
        await self._start_main()

    async def _start_main(self) -> None:
        for container in self.main:
            await container.start()

    def _changed(self) -> None:
        if self._reporting:
            self._notify("container", {"uid": self.pod.metadata.uid, "statuses": self.statuses()})

    def _event(self, kind: str, reason: str, message: str) -> None:
        self._notify("event", {"uid": self.pod.metadata.uid, "type": kind, "reason": reason, "message": message})


class Runtime:
    """The role's handlers: what control may ask of this process."""

    def __init__(self, notify: Notify, first_delay: float = FIRST_DELAY) -> None:
        self._notify = notify
        self._first_delay = first_delay
        self._pods: dict[str, PodRun] = {}

    async def start_pod(self, place: Raw, pod: Raw) -> list[Raw]:
        """Start a pod's containers in its place; returns their statuses when its servers listen."""
        run = PodRun(msgspec.convert(place, Place), view(pod, Pod), self._notify, self._first_delay)
        self._pods[run.pod.metadata.uid] = run
        return await run.start()

    async def stop_pod(self, uid: str, grace: float) -> None:
        """End a pod's containers: SIGTERM, after `grace` seconds SIGKILL. Nothing happens for a pod not known here."""
        if run := self._pods.pop(uid, None):
            await run.stop(grace)

    async def run(
        self,
        place: Raw,
        command: str | Sequence[str],
        timeout: float | None = None,
        env: dict[str, str] | None = None,
        stdin: bytes = b"",
        container: str = "",
    ) -> Raw:
        """Run a command in a place (`execute.run`); in a pod with the environment of its container."""
        where = msgspec.convert(place, Place)
        variables = dict(env or {})
        for run in self._pods.values():
            if run.place == where:
                variables = run.find(container).variables() | variables
        done = await execute.run(where, command, timeout=timeout, env=variables, stdin=stdin)
        completed: Raw = msgspec.to_builtins(done)
        return completed

    async def logs(self, uid: str, container: str = "", previous: bool = False) -> str:
        """The last megabyte that a container wrote; `previous`: before its last restart. Raises `NotFound`."""
        if uid not in self._pods:
            raise NotFound(f"no pod with uid {uid} runs here")
        found = self._pods[uid].find(container)
        return (found.previous_log if previous else found.log).text()
