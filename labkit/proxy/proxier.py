"""kube-proxy of one node: keeps the node in step with the objects, in whichever mode it runs."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable, Mapping, Set

from labkit.linux import conntrack
from labkit.linux.conntrack_find import Entries
from labkit.net.rules import Family
from labkit.proxy.mode import Mode, Relays, View
from labkit.proxy.model import Port, PortKey
from labkit.proxy.stale import stale_flows, udp_servers


class Proxier:
    """Applies views to the network namespace at `path`, one at a time, through `mode`.

    reconciled  told, each time that UDP flows were looked at, how long it took in seconds and how many were forgotten

    A mode whose process passes connections on sees to its flows itself: for the kernel their server is that process.
    """

    def __init__(self, path: str, mode: Mode, family: Family = "IPv4") -> None:
        self.path = path
        self.mode = mode
        self._family = family
        self._turn = asyncio.Lock()
        self._servers: dict[PortKey, frozenset[str]] = {}
        self.reconciled: Callable[[float, int], None] = lambda seconds, forgotten: None

    async def sync(self, view: View, changed: Set[PortKey] | None) -> str:
        """Bring the node to the view; the arguments, the result and the errors are those of `Mode.sync`."""
        async with self._turn:
            text = await self.mode.sync(view, changed)
            lost = self._lost_servers(view, changed)
            if lost and self._family == "IPv4" and not isinstance(self.mode, Relays):
                began = time.perf_counter()
                forgotten = await asyncio.to_thread(self._forget_stale, dict(view.ports))
                self.reconciled(time.perf_counter() - began, forgotten)
            return text

    def _lost_servers(self, view: View, changed: Set[PortKey] | None) -> bool:
        """Whether a UDP endpoint is no longer there that was at the last call."""
        lost = False
        for key in view.ports.keys() | self._servers.keys() if changed is None else changed:
            before, now = self._servers.pop(key, frozenset()), udp_servers(view.ports.get(key))
            lost = lost or bool(before - now)
            if now:
                self._servers[key] = now
        return lost

    def _forget_stale(self, ports: Mapping[PortKey, Port]) -> int:
        """Let UDP clients whose server has gone be drawn anew, by the rules as they are now; returns how many flows."""
        stale = stale_flows(conntrack.dump(self.path, socket.IPPROTO_UDP), ports)
        with Entries(self.path) as entries:
            for flow in stale:
                entries.forget(flow.original)
        return len(stale)
