"""One container of a pod: started, probed, restarted with growing delays, stopped; its state as Kubernetes reports it.

    waiting ──> running ──> terminated ──restart policy──> waiting (CrashLoopBackOff: 0, 10, 20, … 300 s) ──> running
       └── RunContainerError, CreateContainerConfigError: stays so, with the reason and what to do about it

Source: kubelet's doBackOff (pkg/kubelet/kuberuntime/kuberuntime_manager.go), ContainerStatus of core/v1.
"""

from __future__ import annotations

import asyncio
import errno
import signal
import time
from collections.abc import Callable, Coroutine
from typing import Any

from labkit.api.objects import Container, Pod
from labkit.errors import CommandError
from labkit.linux import process
from labkit.linux.process import Process
from labkit.net.place import Place
from labkit.workloads import environment, images
from labkit.workloads.images import Behaviour, Execute, Serve
from labkit.workloads.logs import Log
from labkit.workloads.netexec import Netexec
from labkit.workloads.probes import Health
from labkit.workloads.server import Server

LONGEST_DELAY, FORGIVEN = 300.0, 600.0  # seconds
_TERMINATED = 128 + signal.SIGTERM

State = dict[str, Any]
Event = Callable[[str, str, str], None]


class ContainerRun:
    """A container in its place. `restart_policy`: Always, OnFailure, Never; `first_delay` in seconds.

    `changed()` follows every change of its status; `event(type, reason, message)` is what the kubelet would record.
    """

    def __init__(
        self,
        spec: Container,
        pod: Pod,
        place: Place,
        restart_policy: str,
        first_delay: float,
        changed: Callable[[], None],
        event: Event,
    ) -> None:
        self.spec = spec
        self.state: State = {"waiting": {"reason": "ContainerCreating"}}
        self.ready = False
        self.started = asyncio.Event()
        self.ended = asyncio.Event()  # for good: it will not be restarted
        self.log = Log()
        self.previous_log = Log()
        self._pod = pod
        self._place = place
        self._restart_policy = restart_policy
        self._first_delay = first_delay
        self._changed = changed
        self._event = event
        self._delay = 0.0
        self._restarts = 0
        self._last: State = {}
        self._began = 0.0
        self._stopping = False
        self._server: Server | None = None
        self._process: Process | None = None
        self._watching: asyncio.Task[None] | None = None
        self._health: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def running(self) -> bool:
        return "running" in self.state

    def variables(self) -> dict[str, str]:
        """The container's environment. Raises `CommandError` where a value cannot be had."""
        address = self._place.addresses[0] if self._place.addresses else ""
        return environment.variables(self.spec, self._pod, address)

    def status(self) -> State:
        """The `ContainerStatus` of core/v1."""
        return {
            "name": self.spec.name,
            "image": self.spec.image,
            "imageID": "",
            "containerID": f"labkit://{self._pod.metadata.uid}-{self.spec.name}-{self._restarts}",
            "ready": self.ready,
            "started": self.started.is_set(),
            "restartCount": self._restarts,
            "state": self.state,
            "lastState": self._last,
        }

    async def start(self) -> None:
        """Returns when the server listens or the command runs, or when it is clear that it cannot."""
        if self._stopping:
            return
        try:
            variables = self.variables()
            args, command = (environment.command(c, variables) for c in (self.spec.args, self.spec.command))
            behaviour = images.behaviour(self.spec, args, command)
        except CommandError as error:
            self._fail("CreateContainerConfigError", error.message)
            return
        try:
            await self._launch(behaviour, variables)
        except CommandError as error:
            self._fail(
                "RunContainerError",
                f"{error.message}: containers run this machine's programs, nothing comes out of an image. Install the "
                "program on this machine, or leave `command` out: the built-in server then answers on the ports",
            )
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                self._fail("CreateContainerError", str(error))
                return
            self._run()
            self.log.add(b"listen: bind: address already in use: another container has this port\n")
            self._exited(1)  # a real server would give up in the same way

    async def stop(self, grace: float) -> None:
        """SIGTERM, then after `grace` seconds SIGKILL; returns when nothing of it is left."""
        self._stopping = True
        if (victim := self._process) and self._watching:
            victim.signal(signal.SIGTERM)
            await asyncio.wait([self._watching], timeout=grace)
            victim.signal(signal.SIGKILL)
            await asyncio.wait([self._watching])
        self._clear()
        for task in self._tasks:
            task.cancel()

    async def _launch(self, behaviour: Behaviour, variables: dict[str, str]) -> None:
        if isinstance(behaviour, Serve):
            self._server = Server(self._place, behaviour, Netexec(self._place, behaviour, self.log.add, self._exited))
        elif isinstance(behaviour, Execute):
            self._process = await process.spawn(
                self._place,
                behaviour.argv,
                lambda _, data: self.log.add(data),
                env=variables,
                cwd=self.spec.working_dir or "/",
                contained=True,
            )
            if self._stopping:  # meanwhile
                await process.end_members(self._process.mounts)
                return
            self._watching = self._later(self._watch(self._process))
        self._run()
        if self.spec.startup_probe or self.spec.liveness_probe or self.spec.readiness_probe:
            health = Health(
                self.spec, self._place, variables, self.started.set, self._set_ready, self._kill, self._unhealthy
            )
            self._health = self._later(health.watch())
        if not self.spec.startup_probe:
            self.started.set()
            self.ready = not self.spec.readiness_probe
        self._changed()

    def _run(self) -> None:
        self._began = time.monotonic()
        self.state = {"running": {"startedAt": _now()}}

    async def _watch(self, watched: Process) -> None:
        """When the main process ends, everything that it started ends with it."""
        code = await watched.wait()
        await process.end_members(watched.mounts)
        self._process = None
        self._exited(code)

    def _exited(self, code: int) -> None:
        if not self.running:
            return
        self._clear()
        ended = {
            "exitCode": code,
            "reason": "Error" if code else "Completed",
            "startedAt": self.state["running"]["startedAt"],
        }
        self.state = {"terminated": {**ended, "finishedAt": _now()}}
        again = self._restart_policy == "Always" or (self._restart_policy == "OnFailure" and code)
        if again and not self._stopping:
            self._last = self.state
            self._later(self._again())
        else:
            self.ended.set()
        self._changed()

    async def _again(self) -> None:
        """Restart: at once for the first time, then after a delay that doubles; a long run is forgiven all."""
        if time.monotonic() - self._began > FORGIVEN:
            self._delay = 0.0
        if self._delay:
            pod = f"{self._pod.name}_{self._pod.namespace}({self._pod.metadata.uid})"
            message = f"back-off {self._delay:g}s restarting failed container={self.spec.name} pod={pod}"
            self.state = {"waiting": {"reason": "CrashLoopBackOff", "message": message}}
            self._event("Warning", "BackOff", f"Back-off restarting failed container {self.spec.name} in pod {pod}")
            self._changed()
            await asyncio.sleep(self._delay)
        self._delay = min(LONGEST_DELAY, self._delay * 2 or self._first_delay)
        self._restarts += 1
        self.previous_log, self.log = self.log, Log()
        await self.start()

    def _clear(self) -> None:
        """Close its server and end its probes."""
        self.ready = False
        self.started.clear()
        if self._health:
            self._health.cancel()
            self._health = None
        if self._server:
            self._server.close()
            self._server = None

    def _fail(self, reason: str, message: str) -> None:
        self.state = {"waiting": {"reason": reason, "message": message}}
        self._event("Warning", "Failed", f"Error: {message}")
        self._changed()

    def _set_ready(self, ready: bool) -> None:
        if self.ready != ready:
            self.ready = ready
            self._changed()

    def _unhealthy(self, message: str) -> None:
        self._event("Warning", "Unhealthy", message)

    def _kill(self, probe: str) -> None:
        """A startup or liveness probe has failed for good: the container ends, the restart policy decides."""
        self._event("Normal", "Killing", f"Container {self.spec.name} failed {probe} probe, will be restarted")
        if self._process:
            self._later(self._terminate(self._process))
        else:
            self._exited(_TERMINATED)

    async def _terminate(self, victim: Process) -> None:
        victim.signal(signal.SIGTERM)
        await asyncio.sleep(self._pod.spec.termination_grace_period_seconds)
        victim.signal(signal.SIGKILL)

    def _later(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
