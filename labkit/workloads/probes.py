"""Startup, liveness and readiness probes of one container, by the kubelet's rules.

    initialDelaySeconds ── probe ── periodSeconds ── probe ── … ──> a result, once it held for its threshold
    startup ──passed──> liveness ──failed──> the container is ended       readiness ──> ready or not

Source: pkg/kubelet/prober/worker.go, pkg/probe/{http,tcp,exec}. A probe runs inside the pod's network: no NetworkPolicy
comes between, as none does between a node and its own pods.
"""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import Awaitable, Callable

from labkit.api.objects import Container, HTTPGetAction, Probe
from labkit.linux import execute, httpclient
from labkit.net.packet import endpoint
from labkit.net.place import Place
from labkit.workloads import dial

Check = Callable[[], Awaitable[str]]


class Settling:
    """Probe results as they settle: a change counts only after it held for its threshold."""

    def __init__(self, probe: Probe, check: Check) -> None:
        self._probe = probe
        self._check = check
        self._pause: float = probe.initial_delay_seconds
        self._last: bool | None = None
        self._run = 0

    async def next(self) -> bool:
        """Wait for the next result that counts."""
        while True:
            await asyncio.sleep(self._pause)
            self._pause = self._probe.period_seconds
            good = not await self._check()
            self._run = self._run + 1 if good == self._last else 1
            self._last = good
            if self._run >= (self._probe.success_threshold if good else self._probe.failure_threshold):
                return good


class Health:
    """Runs a container's probes. What follows from them: `started()`, `ready(bool)`, `kill(probe)`.

    `unhealthy(text)` is called for each failure, also below the threshold.
    """

    def __init__(
        self,
        container: Container,
        place: Place,
        variables: dict[str, str],
        started: Callable[[], None],
        ready: Callable[[bool], None],
        kill: Callable[[str], None],
        unhealthy: Callable[[str], None],
    ) -> None:
        self._container = container
        self._place = place
        self._variables = variables
        self._started = started
        self._ready = ready
        self._kill = kill
        self._unhealthy = unhealthy

    async def watch(self) -> None:
        """Probe until cancelled, or until a probe has ended the container."""
        if self._container.startup_probe:
            settling = self._settling("Startup", self._container.startup_probe)
            if not await settling.next():
                self._kill("startup")
                return
            self._started()
        async with asyncio.TaskGroup() as tasks:
            if self._container.liveness_probe:
                tasks.create_task(self._live(self._settling("Liveness", self._container.liveness_probe)))
            if self._container.readiness_probe:
                tasks.create_task(self._watch_ready(self._settling("Readiness", self._container.readiness_probe)))
            elif self._container.startup_probe:
                self._ready(True)

    async def _live(self, settling: Settling) -> None:
        while await settling.next():
            pass
        self._kill("liveness")

    async def _watch_ready(self, settling: Settling) -> None:
        while True:
            self._ready(await settling.next())

    def _settling(self, name: str, probe: Probe) -> Settling:
        async def once() -> str:
            why = await check(probe, self._container, self._place, self._variables)
            if why:
                self._unhealthy(f"{name} probe failed: {why}")
            return why

        return Settling(probe, once)


async def check(probe: Probe, container: Container, place: Place, variables: dict[str, str]) -> str:
    """Probe once. Returns why it failed, in the kubelet's words; empty for success."""
    if probe.exec:
        done = await execute.run(place, probe.exec.command, timeout=probe.timeout_seconds, env=variables)
        return "" if done.code == 0 else (done.stdout + done.stderr).strip() or f"exit code {done.code}"
    try:
        if probe.http_get:
            return await _http(
                probe.http_get, port_number(probe.http_get.port, container), place, probe.timeout_seconds
            )
        if probe.tcp_socket:
            await _tcp(port_number(probe.tcp_socket.port, container), place, probe.timeout_seconds)
    except (OSError, ValueError) as error:
        return str(error)
    return ""


def port_number(port: int | str, container: Container) -> int:
    """A port by its number or its name among the container's. Raises `ValueError` where there is no such name."""
    found = next((p.container_port for p in container.ports if p.name == port), None)
    if found is None and not re.fullmatch(r"\d+", str(port)):
        raise ValueError(f"couldn't find port: no port of container {container.name} is named {port!r}")
    return found or int(port)


async def _http(action: HTTPGetAction, port: int, place: Place, timeout: float) -> str:
    address = action.host or place.addresses[0]
    path = action.path if action.path.startswith("/") else f"/{action.path}"
    headers = {"User-Agent": "kube-probe/1.34", **{header.name: header.value for header in action.http_headers}}
    tls = None
    if action.scheme == "HTTPS":
        tls = ssl.create_default_context()
        tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE  # as the kubelet does
    try:
        reply = await dial.get(place, address, port, path, headers, timeout, tls)
    except OSError as error:
        url = f"{action.scheme.lower()}://{endpoint(address, port)}{path}"
        raise ConnectionError(f'Get "{url}": {error}') from error
    return "" if 200 <= reply.status < 400 else f"HTTP probe failed with statuscode: {reply.status}"


async def _tcp(port: int, place: Place, timeout: float) -> None:
    server = endpoint(place.addresses[0], port)
    try:
        async with asyncio.timeout(timeout):
            (await httpclient.connect(place.netns, place.addresses[0], port)).close()
    except TimeoutError as error:
        raise ConnectionError(f"dial tcp {server}: i/o timeout") from error
    except OSError as error:
        raise ConnectionError(f"dial tcp {server}: connect: {httpclient.reason(error)}") from error
