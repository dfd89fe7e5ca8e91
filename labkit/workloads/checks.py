"""One probe of a container: HTTP, TCP, a command, gRPC.

Source: pkg/probe/{http,tcp,exec,grpc}, whose words the results are. A probe runs inside the pod's network: no
NetworkPolicy comes between, as none does between a node and its own pods.
"""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import Awaitable, Callable

from labkit.api.objects import Container, HTTPGetAction, Probe
from labkit.linux import execute, httpclient
from labkit.linux.execute import Completed
from labkit.linux.httpclient import Reply
from labkit.net.packet import endpoint
from labkit.net.place import Place
from labkit.workloads import dial

PROBE_AGENT, HOOK_AGENT = "kube-probe/1.34", "kube-lifecycle/1.34"
Run = Callable[..., Awaitable[Completed]]
"""Runs a command (a list) in the container: `execute.run` without its place."""


async def check(probe: Probe, container: Container, place: Place, run: Run) -> str | None:
    """Probe once. Returns None for success, else why it failed, in the kubelet's words."""
    timeout = probe.timeout_seconds
    if probe.exec:
        done = await run(list(probe.exec.command), timeout=timeout)
        if done.code == execute.TIMED_OUT:
            words = " ".join(probe.exec.command)
            return f'command timed out: "{words}" timed out after {timeout}s'
        return None if done.code == 0 else done.stdout + done.stderr
    try:
        if probe.http_get:
            port = port_number(probe.http_get.port, container)
            reply = await get(probe.http_get, port, place, timeout, PROBE_AGENT)
            return None if 200 <= reply.status < 400 else f"HTTP probe failed with statuscode: {reply.status}"
        if probe.tcp_socket:
            await _tcp(port_number(probe.tcp_socket.port, container), place, timeout)
        if probe.grpc:
            from labkit.workloads import grpc  # here: HTTP/2 is slow to import and seldom needed

            return await grpc.check(place, probe.grpc.port, probe.grpc.service or "", timeout)
    except (OSError, ValueError) as error:
        return str(error)
    return None


def port_number(port: int | str, container: Container) -> int:
    """A port by its number or its name among the container's. Raises `ValueError` where there is no such name."""
    found = next((p.container_port for p in container.ports if p.name == port), None)
    if found is None and not re.fullmatch(r"\d+", str(port)):
        raise ValueError(f"couldn't find port: no port of container {container.name} is named {port!r}")
    return found or int(port)


async def get(action: HTTPGetAction, port: int, place: Place, timeout: float, agent: str) -> Reply:
    """What a container answers. Raises `ConnectionError` with Go's words."""
    address = action.host or place.addresses[0]
    path = action.path if action.path.startswith("/") else f"/{action.path}"
    headers = {"User-Agent": agent, **{header.name: header.value for header in action.http_headers}}
    tls = None
    if action.scheme == "HTTPS":
        tls = ssl.create_default_context()
        tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE  # as the kubelet does
    try:
        return await dial.get(place, address, port, path, headers, timeout, tls)
    except OSError as error:
        url = f"{action.scheme.lower()}://{endpoint(address, port)}{path}"
        raise ConnectionError(f'Get "{url}": {error}') from error


async def _tcp(port: int, place: Place, timeout: float) -> None:
    server = endpoint(place.addresses[0], port)
    try:
        async with asyncio.timeout(timeout):
            (await httpclient.connect(place.netns, place.addresses[0], port)).close()
    except TimeoutError as error:
        raise ConnectionError(f"dial tcp {server}: i/o timeout") from error
    except OSError as error:
        raise ConnectionError(f"dial tcp {server}: connect: {httpclient.reason(error)}") from error
