"""Somebody else's kube-proxy on nodes: a program, as the container of the pod that is there for it.

    /run/labkit/kube-proxy/node-1/  config.conf, kubeconfig.conf, token, ca.crt
    program --config=…/config.conf --hostname-override=node-1      in the node's network namespace

Source: the DaemonSet of kubeadm (cmd/kubeadm/app/phases/addons/proxy/manifests.go) for how it is started.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from labkit.control.store import Store
from labkit.linux.process import Process, spawn
from labkit.net.place import Place
from labkit.proxy import addon
from labkit.proxy.configuration import text

FOLDER = Path("/run/labkit/kube-proxy")
Credentials = Callable[[], Awaitable[tuple[str, str]]]
"""A token of the ServiceAccount kube-proxy, and the authority's certificate."""


class ProxyPrograms:
    """Runs `program` on nodes. `server`: URL of the API, which is open once `credentials` returns."""

    def __init__(
        self, program: str, store: Store, places: Mapping[str, Place], server: str, credentials: Credentials
    ) -> None:
        self._program = program
        self._store = store
        self._places = places
        self._server = server
        self._credentials = credentials
        self._running: dict[str, Process] = {}
        self._begun: Counter[str] = Counter()

    def state(self, node: str) -> Mapping[str, Any]:
        process = self._running.get(node)
        running = process is not None and process.running
        return {
            "program": self._program,
            "healthy": running,
            "pid": process.pid if process and running else None,
            "restarts": max(0, self._begun[node] - 1),
            "families": {},
        }

    async def begin(self, node: str, written: Callable[[bytes], None]) -> Process:
        """Start it, with what the ConfigMap says now. Raises `CommandError`, `ConfigError`."""
        folder = await self._prepare(node)
        argv = [self._program, f"--config={folder / addon.CONFIG}", f"--hostname-override={node}"]
        self._begun[node] += 1
        self._running[node] = await spawn(self._places[node], argv, lambda _, data: written(data))
        return self._running[node]

    async def end(self, node: str) -> None:
        if (process := self._running.pop(node, None)) is not None:
            process.terminate()
            await process.wait()

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
