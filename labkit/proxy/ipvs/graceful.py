"""Real servers that leave: no new connection for them, and gone with their last one.

Source: Kubernetes v1.34, pkg/proxy/ipvs/graceful_termination.go.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from labkit.linux.ipvs import Table
from labkit.net.ipvs import RealServer, ServerKey, VirtualServer

INTERVAL = 60.0  # seconds between two looks, kube-proxy's rsCheckDeleteInterval


class Leaving:
    """The real servers with weight 0 that are still in the kernel's list, by virtual server."""

    def __init__(self) -> None:
        self._servers: dict[ServerKey, dict[str, RealServer]] = {}
        self._virtual: dict[ServerKey, VirtualServer] = {}

    def __bool__(self) -> bool:
        return bool(self._servers)

    def without(self, virtual: VirtualServer) -> VirtualServer:
        """The virtual server as it was found, but for those that leave. One that is not found has left."""
        gone = self._servers.get(virtual.key, {})
        for address in gone.keys() - {s.address for s in virtual.servers}:
            self._forget(virtual.key, address)
        kept = tuple(s for s in virtual.servers if s.address not in gone)
        return msgspec.structs.replace(virtual, servers=kept)

    def leave(self, table: Table, virtual: VirtualServer, removed: Iterable[RealServer]) -> None:
        """Let servers go: at once, if UDP or without a connection, else with weight 0 until the last has ended."""
        removed = list(removed)
        if not removed:
            return
        busy = self._busy(table, virtual)
        for server in removed:
            if server.address not in busy:
                table.delete_server(virtual, server)
                continue
            table.change_server(virtual, msgspec.structs.replace(server, weight=0))
            self._servers.setdefault(virtual.key, {})[server.address] = server
            self._virtual[virtual.key] = virtual

    def returns(self, virtual: VirtualServer, server: RealServer) -> bool:
        """Whether a server that is wanted again was about to leave; it no longer is."""
        return self._forget(virtual.key, server.address)

    def forget(self, virtual: VirtualServer) -> None:
        """The virtual server goes with all that it has."""
        self._servers.pop(virtual.key, None)
        self._virtual.pop(virtual.key, None)

    def reap(self, table: Table) -> None:
        """Delete those whose last connection has ended; one that somebody has given a weight again is left alone."""
        for key, servers in list(self._servers.items()):
            virtual = self._virtual[key]
            there = {s.address: s for s in table.servers(virtual)}
            for address in list(servers):
                now = there.get(address)
                if now is not None and not now.weight and now.active + now.inactive:
                    continue
                self._forget(key, address)
                if now is not None and not now.weight:
                    table.delete_server(virtual, now)

    def _busy(self, table: Table, virtual: VirtualServer) -> set[str]:
        if virtual.protocol == "udp":
            return set()
        return {s.address for s in table.servers(virtual) if s.active + s.inactive}

    def _forget(self, key: ServerKey, address: str) -> bool:
        servers = self._servers.get(key, {})
        found = servers.pop(address, None)
        if not servers:
            self._servers.pop(key, None)
            self._virtual.pop(key, None)
        return found is not None
