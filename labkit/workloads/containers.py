"""One container of a pod: started, probed, restarted with growing delays, stopped; its state as Kubernetes reports it.

    waiting ──> running ──> terminated ──restart policy──> waiting (CrashLoopBackOff: 0, 10, 20, … 300 s) ──> running
       └── CreateContainerConfigError: until what it needs is there     └── RunContainerError, …: stays so

Source: startContainer and killContainer of pkg/kubelet/kuberuntime/kuberuntime_container.go, doBackOff of
kuberuntime_manager.go.
"""

from __future__ import annotations

import asyncio
import errno
import time
from collections.abc import Mapping, Sequence

from labkit.api.objects import Container, LifecycleHandler
from labkit.errors import CommandError
from labkit.linux import execute
from labkit.linux.execute import Completed
from labkit.linux.process import NOT_EXECUTABLE, NOT_FOUND
from labkit.workloads import environment, hooks, images, states
from labkit.workloads.background import Background
from labkit.workloads.backoff import Backoff
from labkit.workloads.container_files import ContainerFiles
from labkit.workloads.deadline import Deadline
from labkit.workloads.inside import Inside
from labkit.workloads.logs import Log
from labkit.workloads.probes import Health
from labkit.workloads.states import State
from labkit.workloads.surroundings import Surroundings
from labkit.workloads.tasks import Idle, RealProcess, Served, Task

SHORTEST_GRACE = 2.0  # seconds that are left to a container whose preStop hook took all of its time
NOT_INSTALLED = (
    "containers run this machine's programs, nothing comes out of an image. Install the program on this machine, or "
    "leave `command` out: the built-in server then answers on the ports"
)


class ContainerRun:
    """A container. `restart_policy`: Always, OnFailure, Never.

    started  its startup probe, if any, has succeeded; ended: for good, it will not be restarted
    began    the monotonic time of its last start
    """

    def __init__(self, spec: Container, pod: Surroundings, restart_policy: str) -> None:
        self.spec = spec
        self.state: State = states.CREATING
        self.ready = False
        self.restarts = 0
        self.started = asyncio.Event()
        self.ended = asyncio.Event()
        self.log = Log()
        self.previous_log: Log | None = None
        self.task: Task | None = None
        self.files = ContainerFiles(spec, pod.volumes)
        self._pod = pod
        self._restart_policy = restart_policy
        self._backoff = Backoff(pod.first_delay)
        self._last: State = {}
        self.began = 0.0
        self._id = ""
        self._unconfigured = False
        self._stopping = self._over = False
        self._variables: dict[str, str] = {}
        self._health: Health | None = None
        self._probing: asyncio.Task[None] | None = None
        self._background = Background()

    @property
    def running(self) -> bool:
        return "running" in self.state

    def variables(self) -> dict[str, str]:
        """The container's environment as of now. Raises `CommandError` where a value cannot be had."""
        return environment.variables(self.spec, self._pod.pod, self._pod.facts, self._pod.sources)

    async def run(
        self,
        command: str | Sequence[str],
        *,
        timeout: float | None = None,
        env: Mapping[str, str] | None = None,
        stdin: bytes = b"",
    ) -> Completed:
        """Run a command in the container (`execute.run`); where it does not run, in its pod."""
        inside = await self.inside() if self.running else Inside()
        return await execute.run(
            self._pod.place,
            command,
            timeout=timeout,
            env=inside.variables | dict(env or {}),
            stdin=stdin,
            cwd=inside.cwd,
            filesystem=inside.filesystem,
        )

    async def inside(self) -> Inside:
        """What a command in the running container is to see. Raises `CommandError`, `OSError`."""
        return Inside(self._variables, self.spec.working_dir or "/", await self.files.open(self._variables))

    def status(self) -> State:
        """The `ContainerStatus` of core/v1."""
        return states.status(
            self.spec,
            self.state,
            self._last,
            self.restarts,
            self._id,
            ready=self.ready,
            started=self.started.is_set(),
        )

    async def start(self) -> None:
        """Returns when the server listens or the command runs, or when it is clear that it cannot."""
        if self._stopping:
            return
        self._event("Normal", "Pulled", f'Container image "{self.spec.image}" already present on machine')
        try:
            self._variables = self.variables()
            args, command = (environment.command(c, self._variables) for c in (self.spec.args, self.spec.command))
            behaviour = images.behaviour(self.spec, args, command)
        except CommandError as error:
            self._unconfigured = True
            self._fail("CreateContainerConfigError", error.message)
            return
        try:
            await self._launch(behaviour)
        except CommandError as error:
            missing = error.details.get("code") in (NOT_FOUND, NOT_EXECUTABLE)
            self._fail("RunContainerError", f"{error.message}: {NOT_INSTALLED}" if missing else error.message)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                self._fail("CreateContainerError", str(error))
                return
            self._run()
            self.log.add(b"listen: bind: address already in use: another container has this port\n")
            self.exited(1)  # a real server would give up in the same way

    def retry(self) -> None:
        """Something that the container may have missed has changed."""
        if self._unconfigured and not self._stopping:
            self._unconfigured = False
            self._background.start(self.start())

    async def stop(self, deadline: Deadline, withdrawn: asyncio.Event | None = None) -> None:
        """End it for good: preStop hook, SIGTERM, at the deadline SIGKILL; returns when nothing of it is left.

        `withdrawn`: a server goes on serving until this is set.
        """
        self._stopping = True
        if self.running:
            self._event("Normal", "Killing", f"Stopping container {self.spec.name}")
            await self._end(deadline, withdrawn)
        self._over = True
        await self.files.close()
        await self._clear()
        self._background.cancel()
        self.ended.set()

    async def _launch(self, behaviour: images.Behaviour) -> None:
        if isinstance(behaviour, images.Serve):
            self.task = Served(self._pod.place, behaviour, self.log, self.exited, self.run)
        elif isinstance(behaviour, images.Execute):
            inside = await self.inside()
            self.task = await RealProcess.start(
                self._pod.place, behaviour.argv, self.log, self.exited, inside, self.spec
            )
            if self._stopping:  # meanwhile
                await self._clear()
                return
        else:
            self.task = Idle(self.exited)
        self._run()
        self._event("Normal", "Created", f"Created container: {self.spec.name}")
        self._event("Normal", "Started", f"Started container {self.spec.name}")
        self._watch_health()
        self._pod.changed()
        if self.spec.lifecycle and (hook := self.spec.lifecycle.post_start):
            await self._post_start(hook)

    def _watch_health(self) -> None:
        if self.spec.startup_probe or self.spec.liveness_probe or self.spec.readiness_probe:
            self._health = Health(
                self.spec, self._pod.place, self.run, self._set_started, self._set_ready, self._kill, self._unhealthy
            )
            self._probing = self._background.start(self._health.watch())
        if not self.spec.startup_probe:
            self.started.set()
            self.ready = not self.spec.readiness_probe

    def _run(self) -> None:
        self.began = time.monotonic()
        self._id = states.container_id(self._pod.pod.metadata.uid, self.spec.name, self.restarts)
        self.state = states.running()

    async def _post_start(self, hook: LifecycleHandler) -> None:
        run = self.restarts
        if await hooks.succeeded(hook, self.spec, self._pod.place, self.run) or not self.running:
            return
        self._event("Warning", "FailedPostStartHook", "PostStartHook failed")
        if self.restarts == run and not self._stopping:
            self._event("Normal", "Killing", "FailedPostStartHook")
            await self._end(Deadline(self._pod.pod.spec.termination_grace_period_seconds))

    def exited(self, code: int) -> None:
        """The task has ended by itself, or was ended."""
        if not self.running:
            return
        self.state = states.terminated(code, self.state, self._id)
        self.ready = False
        self.started.clear()
        self.log.close()
        again = self._restart_policy == "Always" or (self._restart_policy == "OnFailure" and code)
        if again and not self._stopping:
            self._background.start(self._again())
        else:
            self._background.start(self._clear())
            self.ended.set()
        self._pod.changed()

    async def _again(self) -> None:
        """Restart: at once for the first time, then after a delay that doubles; a long run is forgiven all."""
        await self._clear()
        self._last = self.state
        if delay := self._backoff.next(time.monotonic() - self.began):
            message = f"back-off {delay:g}s restarting failed container={self.spec.name} pod={self._pod.title}"
            self.state = states.waiting("CrashLoopBackOff", message)
            said = f"Back-off restarting failed container {self.spec.name} in pod {self._pod.title}"
            self._event("Warning", "BackOff", said)
            self._pod.changed()
            await asyncio.sleep(delay)
        self.restarts += 1
        self.previous_log, self.log = self.log, Log()
        await self.start()

    async def _end(self, deadline: Deadline, withdrawn: asyncio.Event | None = None) -> None:
        """Let the running task end. `withdrawn`: until this happens a server goes on serving."""
        if self._health:
            self._health.end()
        if self.spec.lifecycle and (hook := self.spec.lifecycle.pre_stop):
            stopping = asyncio.ensure_future(self._pre_stop(hook))
            if not await deadline.until(stopping):
                stopping.cancel()
            if deadline.left < SHORTEST_GRACE:
                deadline = Deadline(SHORTEST_GRACE)
        if self.task:
            await self.task.end(deadline, withdrawn)

    async def _pre_stop(self, hook: LifecycleHandler) -> None:
        if not await hooks.succeeded(hook, self.spec, self._pod.place, self.run):
            self._event("Warning", "FailedPreStopHook", "PreStopHook failed")

    async def _clear(self) -> None:
        """Nothing is left of this run: no socket, no process, no mount."""
        if self._probing and self._probing is not asyncio.current_task():
            self._probing.cancel()
        self._health = self._probing = None
        task, self.task = self.task, None
        if task:
            task.close()
        await self.files.end()

    def _fail(self, reason: str, message: str) -> None:
        if self._over:
            return
        self.state = states.waiting(reason, message)
        self._event("Warning", "Failed", f"Error: {message}")
        self._pod.changed()

    def _set_started(self) -> None:
        self.started.set()
        self._pod.changed()

    def _set_ready(self, ready: bool) -> None:
        if self.ready != ready:
            self.ready = ready
            self._pod.changed()

    def _unhealthy(self, message: str) -> None:
        self._event("Warning", "Unhealthy", message)

    def _kill(self, probe: str) -> None:
        """A startup or liveness probe has failed for good: the container ends, the restart policy decides."""
        if self._stopping:
            return
        self._event("Normal", "Killing", f"Container {self.spec.name} failed {probe} probe, will be restarted")
        failed = self.spec.startup_probe if probe == "startup" else self.spec.liveness_probe
        grace = failed.termination_grace_period_seconds if failed else None
        pods = self._pod.pod.spec.termination_grace_period_seconds
        self._background.start(self._end(Deadline(pods if grace is None else grace)))

    def _event(self, kind: str, reason: str, message: str) -> None:
        self._pod.event(self.spec.name, kind, reason, message)
