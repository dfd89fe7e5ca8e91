"""Somebody else's kube-proxy on every node: a program, started and started again as a kubelet would.

    /run/labkit/kube-proxy/node-1/  config.conf, kubeconfig.conf, token, ca.crt
    program --config=…/config.conf --hostname-override=node-1      in the node's network namespace

Source: the DaemonSet of kubeadm (cmd/kubeadm/app/phases/addons/proxy/manifests.go) for how it is started.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from labkit.cluster.proxy_log import ProxyLog
from labkit.control.recorder import Recorder
from labkit.control.store import Store
from labkit.errors import CommandError
from labkit.linux.process import Process, spawn
from labkit.net.place import Place
from labkit.proxy import addon
from labkit.proxy.configuration import text
from labkit.workloads.backoff import Backoff

FOLDER = Path("/run/labkit/kube-proxy")
Credentials = Callable[[], Awaitable[tuple[str, str]]]
"""A token of the ServiceAccount kube-proxy, and the authority's certificate."""


class ProxyPrograms:
    """Runs `program` on every node. `server`: URL of the API; `first`: seconds to the second restart, then doubling."""

    def __init__(
        self,
        program: str,
        store: Store,
        places: Mapping[str, Place],
        server: str,
        credentials: Credentials,
        first: float,
    ) -> None:
        self.program = program
        self.logs = {name: ProxyLog(store.now) for name in places}
        self._store = store
        self._places = places
        self._server = server
        self._credentials = credentials
        self._first = first
        self._running: dict[str, Process] = {}
        self._restarts = dict.fromkeys(places, 0)
        self._soon = {name: asyncio.Event() for name in places}
        self._tasks = [asyncio.ensure_future(self._keep(name)) for name in places]

    def state(self, node: str) -> Mapping[str, Any]:
        process = self._running.get(node)
        running = process is not None and process.running
        return {
            "program": self.program,
            "healthy": running,
            "pid": process.pid if process and running else None,
            "restarts": self._restarts[node],
            "families": {},
        }

    async def restart(self, node: str) -> None:
        """End a node's program; it is started again at once, with what the ConfigMap says then."""
        before = self._restarts[node]
        self._soon[node].set()
        if (process := self._running.get(node)) is not None:
            process.terminate()
        while self._restarts[node] == before:
            await asyncio.sleep(0.01)

    async def _keep(self, node: str) -> None:
        backoff = Backoff(self._first)
        while True:
            began = time.monotonic()
            said = await self._run(node)
            self._complain(node, said)
            delay = backoff.next(time.monotonic() - began)
            try:
                async with asyncio.timeout(delay):
                    await self._soon[node].wait()
                    backoff = Backoff(self._first)
            except TimeoutError:
                pass
            self._soon[node].clear()
            self._restarts[node] += 1

    async def _run(self, node: str) -> str:
        """One run of the program; how it ended, in words."""
        log = self.logs[node]
        try:
            folder = await self._prepare(node)
            argv = [self.program, f"--config={folder / addon.CONFIG}", f"--hostname-override={node}"]
            process = self._running[node] = await spawn(self._places[node], argv, lambda _, data: log.take(data))
            return f"ended with exit code {await process.wait()}"
        except (CommandError, text.ConfigError) as error:
            return f"could not be started: {error.message}"

    async def _prepare(self, node: str) -> Path:
        """Write what the program reads. Raises `ConfigError`."""
        folder = FOLDER / node
        folder.mkdir(parents=True, exist_ok=True)
        token, certificate = await self._credentials()
        config_map = self._store.find("ConfigMap", addon.NAMESPACE, addon.NAME) or {}
        said, _ = text.values(config_map.get("data", {}).get(addon.CONFIG, ""))
        config, _ = text.convert(said)
        client = replace(config.client_connection, kubeconfig=str(folder / addon.KUBECONFIG))
        files = {
            "token": token,
            "ca.crt": certificate,
            addon.KUBECONFIG: addon.kubeconfig(self._server, str(folder)),
            addon.CONFIG: text.written(replace(config, client_connection=client), said),
        }
        for name, content in files.items():
            (folder / name).write_text(content)
        return folder

    def _complain(self, node: str, said: str) -> None:
        """Say at the node that its program has ended."""
        if (raw := self._store.find("Node", "", node)) is not None:
            message = f"{self.program} on {node} {said}; it is started again"
            Recorder(self._store, "kubelet", node).event(raw, "Warning", "BackOff", message)
