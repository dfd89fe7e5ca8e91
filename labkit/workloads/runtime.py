"""The workload process: the containers of all pods, and commands run inside any place.

    start_pod, source, update_pod, output, withdrawn, stop_pod, forget_pod ──> PodRun ──> notify("report", pods, events)

What happens within one turn of the loop is told together.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any

import msgspec

from labkit.api.objects import Pod, view
from labkit.errors import CommandError, LabError, NotFound
from labkit.linux import execute
from labkit.linux.filesystem import LAB
from labkit.net.place import Place
from labkit.workloads import images
from labkit.workloads.background import Background
from labkit.workloads.containers import ContainerRun
from labkit.workloads.fields import Facts
from labkit.workloads.logs import Log, Selection
from labkit.workloads.pod import PodRun
from labkit.workloads.pod_volumes import PodVolumes
from labkit.workloads.sources import Sources
from labkit.workloads.surroundings import Surroundings
from labkit.workloads.usage import Usage

FIRST_DELAY = 10.0  # seconds before the second restart of a container that keeps ending

Notify = Callable[[str, dict[str, Any]], None]
Ask = Callable[..., Awaitable[Any]]
Raw = dict[str, Any]


class Runtime:
    """The role's handlers: what control may ask of this process.

    notify("report", {pods, events})  pods: {uid, statuses}; events: {uid, container, type, reason, message}
    ask("token", …)                   a token of a pod's ServiceAccount: `uid`, `audience`, `seconds`
    """

    def __init__(self, notify: Notify, ask: Ask, first_delay: float = FIRST_DELAY) -> None:
        self._notify = notify
        self._ask = ask
        self._first_delay = first_delay
        self._sources = Sources()
        self._pods: dict[str, PodRun] = {}
        self._named: dict[str, PodRun] = {}  # by the place's name
        self._users: dict[tuple[str, str, str], set[str]] = {}  # of an object: uids of pods
        self._usage = Usage()
        self._changed: dict[str, PodRun] = {}
        self._events: list[Raw] = []
        self._due = False
        self._background = Background()
        LAB.mkdir(parents=True, exist_ok=True)

    async def start_pod(self, place: Raw, pod: Raw, facts: Raw) -> None:
        """Start a pod's containers in its place; returns when its servers listen, and all has been reported."""
        where, told = msgspec.convert(place, Place), msgspec.convert(facts, Facts)
        typed = view(pod, Pod)
        uid = typed.metadata.uid
        volumes = PodVolumes(typed, told, self._sources, partial(self._token, uid))
        changed, event = partial(self._has_changed, uid), partial(self._event, uid)
        shared = Surroundings(typed, where, told, self._sources, volumes, self._first_delay, changed, event)
        run = self._pods[uid] = self._named[where.name] = PodRun(shared)
        for kind, name in run.uses:
            self._users.setdefault((kind, typed.namespace, name), set()).add(uid)
        await run.start()
        self._has_changed(uid)
        self._tell()

    async def stop_pod(self, uid: str, grace: float) -> None:
        """End a pod's containers within `grace` seconds. Its logs stay. Nothing happens for a pod not known here."""
        if run := self._pods.get(uid):
            await run.stop(grace)
            self._tell()

    def forget_pod(self, uid: str) -> None:
        """Nobody asks for the pod any more."""
        if run := self._pods.pop(uid, None):
            if self._named.get(run.place.name) is run:
                del self._named[run.place.name]
            for kind, name in run.uses:
                self._users[kind, run.shared.pod.namespace, name].discard(uid)

    def output(self, uid: str, text: str) -> None:
        """What a pod's container writes that another process serves."""
        for container in self._served_elsewhere(uid):
            container.log.add(text.encode())

    def ended(self, uid: str, code: int) -> None:
        """A container that another process serves has come to its end."""
        for container in self._served_elsewhere(uid):
            container.exited(code)

    def _served_elsewhere(self, uid: str) -> list[ContainerRun]:
        main = self._pods[uid].main if uid in self._pods else ()
        return [c for c in main if images.is_dns(c.spec.image) or images.is_proxy(c.spec.image)]

    def withdrawn(self, uids: Sequence[str]) -> None:
        """No node sends new connections to these pods any more."""
        for uid in uids:
            if run := self._pods.get(uid):
                run.shared.withdrawn.set()

    def source(self, change: str, raw: Raw) -> None:
        """A ConfigMap, a Secret, a claim or a Service has changed; those who use it follow."""
        self._sources.take(change, raw)
        metadata = raw["metadata"]
        for uid in list(self._users.get((raw["kind"], metadata["namespace"], metadata["name"]), ())):
            run = self._pods[uid]
            if run.heard(raw["kind"], metadata["name"]):
                self._background.start(run.shared.volumes.refresh())

    def update_pod(self, pod: Raw) -> None:
        """A pod's labels or annotations have changed."""
        typed = view(pod, Pod)
        if run := self._pods.get(typed.metadata.uid):
            run.shared.pod = typed
            self._background.start(run.shared.volumes.refresh(typed))

    async def run(
        self,
        place: Raw,
        command: str | Sequence[str],
        timeout: float | None = None,
        env: dict[str, str] | None = None,
        stdin: bytes = b"",
        container: str = "",
    ) -> Raw:
        """Run a command in a place (`execute.run`); in a pod in one of its containers, with its environment."""
        where = msgspec.convert(place, Place)
        if run := self._named.get(where.name):
            done = await run.find(container).run(command, timeout=timeout, env=env, stdin=stdin)
        else:
            done = await execute.run(where, command, timeout=timeout, env=env, stdin=stdin)
        completed: Raw = msgspec.to_builtins(done)
        return completed

    def open_log(
        self, uid: str, container: str = "", previous: bool = False, tail: int | None = None, since: int = 0
    ) -> Raw:
        """Where to begin to read a log (`Selection`): {run, start} for `read_log`. Raises `NotFound`."""
        found = self._pod(uid).find(container)
        log = found.previous_log if previous else found.log
        if log is None:
            raise NotFound(f"container {found.spec.name} of this pod has not been restarted: it has one log")
        run = found.restarts - int(previous)
        return {"run": run, "start": log.start(Selection(tail, since))}

    async def read_log(
        self, uid: str, container: str, run: int, start: int, timestamps: bool = False, wait: bool = False
    ) -> Raw:
        """The next lines: {data, next, ended}. `wait`: not before there is one, or there will be none."""
        log = self._log(uid, container, run)
        if log is None:
            return {"data": b"", "next": start, "ended": True}
        if wait:
            await log.more(start)
        data, following = log.read(start, timestamps)
        return {"data": data, "next": following, "ended": log.closed and not data}

    def usage(self) -> Raw:
        """CPU and memory of every running container: {uid: {container: (nanoseconds a second, bytes)}}."""
        return self._usage.measure(self._pods)

    def _pod(self, uid: str) -> PodRun:
        if uid not in self._pods:
            raise NotFound(f"no pod with uid {uid} runs here")
        return self._pods[uid]

    def _log(self, uid: str, container: str, run: int) -> Log | None:
        """The log of one run of a container, while it is kept."""
        if uid not in self._pods:
            return None
        found = self._pods[uid].find(container)
        return {found.restarts: found.log, found.restarts - 1: found.previous_log}.get(run)

    async def _token(self, uid: str, audience: str, seconds: int) -> str:
        try:
            token: str = await self._ask("token", uid=uid, audience=audience, seconds=seconds)
        except LabError as error:
            raise CommandError(f"failed to fetch token: {error}") from error
        return token

    def _has_changed(self, uid: str) -> None:
        if uid in self._pods:
            self._changed[uid] = self._pods[uid]
            self._soon()

    def _event(self, uid: str, container: str, kind: str, reason: str, message: str) -> None:
        self._events.append({"uid": uid, "container": container, "type": kind, "reason": reason, "message": message})
        self._soon()

    def _soon(self) -> None:
        if not self._due:
            self._due = True
            asyncio.get_running_loop().call_soon(self._tell)

    def _tell(self) -> None:
        self._due = False
        if self._changed or self._events:
            pods = [{"uid": uid, "statuses": run.statuses()} for uid, run in self._changed.items()]
            events, self._events, self._changed = self._events, [], {}
            self._notify("report", {"pods": pods, "events": events})
