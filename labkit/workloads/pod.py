"""The containers of one pod: in which order they start and end.

    volumes ── init containers, one after the other, sidecars among them ── containers ──> … ──> containers ── sidecars

Source: SyncPod and killContainersWithSyncResult of pkg/kubelet/kuberuntime; KEP-753 (sidecar containers).
"""

from __future__ import annotations

import asyncio
from typing import Any

from labkit.api.objects import Container
from labkit.errors import CommandError, NotFound
from labkit.linux import filesystem, views
from labkit.workloads import states, volumes
from labkit.workloads.containers import ContainerRun
from labkit.workloads.deadline import Deadline
from labkit.workloads.surroundings import Surroundings

Raw = dict[str, Any]


class PodRun:
    """A pod's containers. `uses`: (kind, name) of the objects of its namespace that it takes something from."""

    def __init__(self, shared: Surroundings) -> None:
        self.shared = shared
        self.place = shared.place
        spec = shared.pod.spec
        policy = spec.restart_policy
        once = "Never" if policy == "Never" else "OnFailure"
        self.init = [self._container(c, c.restart_policy or once) for c in spec.init_containers]
        self.main = [self._container(c, policy) for c in spec.containers]
        self.uses = volumes.references(shared.pod)
        self._starting: asyncio.Task[None] | None = None
        self._news = asyncio.Event()
        self._deadline: Deadline | None = None
        self._over: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start the containers; what takes longer than that of the built-in servers goes on in the background."""
        quick = not self.init and not any(c.spec.lifecycle for c in self.main)
        if quick and self._missing() is None:
            await self._start_main()
        else:
            self._starting = asyncio.get_running_loop().create_task(self._start())

    async def stop(self, grace: float) -> None:
        """End all containers within `grace` seconds; called again, it can only shorten the time."""
        if self._deadline:
            self._deadline.shorten(grace)
        else:
            self._deadline = Deadline(grace)
            self._over = asyncio.get_running_loop().create_task(self._stop(self._deadline))
        assert self._over  # noqa: S101 - made together with the deadline
        await asyncio.shield(self._over)

    def heard(self, kind: str, name: str) -> bool:
        """An object has changed. Says whether the pod's volumes may have to follow."""
        if (kind, name) not in self.uses or self._deadline:
            return False
        self._news.set()
        for container in (*self.init, *self.main):
            container.retry()
        return True

    def statuses(self) -> Raw:
        """`initContainerStatuses`, `containerStatuses`."""
        found: Raw = {"containerStatuses": [container.status() for container in self.main]}
        if self.init:
            found["initContainerStatuses"] = [self._init_status(container) for container in self.init]
        return found

    def find(self, name: str) -> ContainerRun:
        """A container by its name; without one the first. Raises `NotFound`."""
        for container in (*self.main, *self.init):
            if name in ("", container.spec.name):
                return container
        names = ", ".join(container.spec.name for container in (*self.main, *self.init))
        raise NotFound(f"pod {self.place.name} has no container {name!r}; it has {names}")

    def _init_status(self, container: ContainerRun) -> Raw:
        """An init container that has done its work is ready, whatever becomes of the others."""
        found = container.status()
        if "terminated" in container.state and container.spec.restart_policy != "Always":
            found["ready"] = container.state["terminated"]["exitCode"] == 0
        return found

    def _container(self, spec: Container, restart_policy: str) -> ContainerRun:
        run = ContainerRun(spec, self.shared, restart_policy)
        if self.shared.pod.spec.init_containers:
            run.state = states.INITIALIZING
        return run

    async def _start(self) -> None:
        while (missing := self._missing()) is not None:
            self._news.clear()
            volume = missing.details["volume"]
            text = f'MountVolume.SetUp failed for volume "{volume}" : {missing.message}'
            self.shared.event("", "Warning", "FailedMount", text)
            self.shared.changed()
            await self._news.wait()
        for container in self.init:
            await container.start()
            if container.spec.restart_policy == "Always":  # a sidecar: the others follow when it has started
                await container.started.wait()
                continue
            await container.ended.wait()
            if "terminated" not in container.state or container.state["terminated"]["exitCode"]:
                return  # restartPolicy Never: the others never start
        await self._start_main()

    def _missing(self) -> CommandError | None:
        """Why the volumes cannot be mounted."""
        try:
            self.shared.volumes.check()
        except CommandError as error:
            return error
        return None

    async def _start_main(self) -> None:
        for container in self.main:
            await container.start()
        if any(c.spec.restart_policy == "Always" for c in self.init):
            await asyncio.gather(*(container.ended.wait() for container in self.main))
            await self._stop_sidecars(Deadline(self.shared.pod.spec.termination_grace_period_seconds))

    async def _stop(self, deadline: Deadline) -> None:
        if self._starting:
            self._starting.cancel()
        withdrawn = self.shared.withdrawn
        await asyncio.gather(*(container.stop(deadline, withdrawn) for container in self.main))
        await self._stop_sidecars(deadline, withdrawn)
        inode = views.mounts(self.place)
        if inode is not None:
            await filesystem.end_members(inode)  # what commands run in the pod left behind
        views.forget(self.place)
        self.shared.volumes.remove()

    async def _stop_sidecars(self, deadline: Deadline, withdrawn: asyncio.Event | None = None) -> None:
        """Init containers end after all others, in the reverse order of their start."""
        for container in reversed(self.init):
            await container.stop(deadline, withdrawn)
