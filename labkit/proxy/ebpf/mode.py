"""The ebpf mode on one node: its programs in the kernel, its maps in step with the Services.

The programs are attached to the lab's own cgroup, one set for each node and family, and look at the network namespace
of a socket to tell whether it is their node's: `join` and `leave` say which are. One process serves the pods of all
nodes here, through sockets in their namespaces, so that a cgroup for each node would not tell them apart.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable, Iterable, Set
from pathlib import Path

from labkit.errors import MissingFeature, RuleError
from labkit.linux import bpf, cgroup
from labkit.linux.bpf_map import Map
from labkit.proxy.config import DEFAULT, ProxyConfig
from labkit.proxy.ebpf import PINS, command, decode, layout
from labkit.proxy.ebpf.image import image
from labkit.proxy.ebpf.maps import CABLE, MAPS
from labkit.proxy.ebpf.plan import EbpfPlan
from labkit.proxy.ebpf.tables import Changes, Entry, Tables, changes, of_maps
from labkit.proxy.ebpf.terminate import clients, terminate
from labkit.proxy.mode import Deliver, View
from labkit.proxy.model import PortKey

UNTERMINATED = "Forcefully terminating sockets connected to deleted service backends not supported by underlying kernel"
_POD, _OWN = b"\0", b"\1"
_TURN = {"IPv4": 1, "IPv6": 2}  # on the cable


class EbpfMode:
    """Keeps the maps of the node whose network namespace is at `path`; `uplink` is its cable to the other machines."""

    def __init__(self, path: str, config: ProxyConfig = DEFAULT, uplink: str = "eth0") -> None:
        self.path = path
        self.config = config
        self._names = MAPS[config.family]
        self._uplink = uplink
        self._tables = Tables(config)
        self._loaded: bpf.Loaded | None = None
        self._members: dict[str, bytes] = {path: b""}  # network namespaces -> their cookies, once they are in the map
        self._known = False  # whether the maps have what the tables say
        self._terminates = True  # sockets of endpoints that went, as far as is known
        self.say: Callable[..., None] = lambda level, place, message, facts: None

    @property
    def plan(self) -> EbpfPlan:
        return self._tables.plan()

    def join(self, path: str) -> None:
        """A network namespace is a pod's of this node."""
        self._members[path] = self._enter(path) if self._loaded else b""

    def leave(self, path: str) -> None:
        """It is no longer; it may be gone already."""
        if (cookie := self._members.pop(path, b"")) and self._loaded:
            self._loaded.maps[self._names.netns].delete([cookie])

    def deliveries(self) -> Deliver:
        """By the sockets that the programs remember, and the connections from outside."""
        names = self._names
        sockets = layout.sockets(self._maps[names.sockets].items(), names.width)
        maps = (self._maps[name].items() for name in (names.flows, names.backends, names.node))
        flows = {(c.protocol, c.client, c.service): c.endpoint for c in layout.connections(*maps)}

        def deliver(socket: int, protocol: str, local: str, remote: str) -> str:
            return sockets.get((socket, remote)) or flows.get((protocol, local, remote), "")

        return deliver

    async def start(self) -> None:
        """Load the programs and let them run, over empty maps."""
        loaded = self._loaded = bpf.Loaded(image(self.config.family), self.config.ebpf.map_max, self._names.order)
        command.provide()
        loaded.pin(Path(PINS), f"{Path(self.path).name}/{self.config.family}")
        for path in self._members:
            self._members[path] = self._enter(path)
        loaded.attach_cgroup(cgroup.own(), *self._names.hooks)
        loaded.attach_interface(self.path, self._uplink, CABLE, _TURN[self.config.family])

    async def sync(self, view: View, changed: Set[PortKey] | None) -> str:
        known, self._known = self._known, False  # unknown while it changes, and after a failure
        try:
            found = self._tables.update(view, changed if known else None)
        except RuleError:
            self._tables = Tables(self.config)  # half updated: from nothing the next time
            raise
        if changed is None or not known:
            found = changes(self._found(), self._tables.entries, self._names)
            self._name(view)
        if not known:  # after a failure there may be no room but what is deleted makes
            self._delete(found.deletes)
        self._apply(found)
        self._known = True
        await self._terminate(found)
        return str(found)

    async def stop(self) -> None:
        if self._loaded:
            self._loaded.close()
        self._loaded, self._known, self._tables = None, False, Tables(self.config)
        self._members = dict.fromkeys(self._members, b"")

    async def _terminate(self, done: Changes) -> None:
        """Let clients of UDP endpoints that went connect anew."""
        ends = (decode.backend(v) for (name, _), v in done.deletes.items() if name == self._names.backends)
        gone = frozenset(
            (layout.packed(ip), port) for ip, port, protocol in ends
            if protocol == "udp" and not self._tables.uses((ip, port, protocol))
        )  # fmt: skip
        if not gone or not self._terminates:
            return
        asked = clients(self._maps[self._names.sockets].items(), self._names.width, gone)
        try:
            if asked:
                await asyncio.to_thread(terminate, list(self._members), asked)
        except MissingFeature as error:
            self._terminates = False
            self.say("E", "termination.go:146", UNTERMINATED, {"err": error.message})

    def _enter(self, path: str) -> bytes:
        cookie = struct.pack("=Q", bpf.cookie(path))
        self._maps[self._names.netns].update({cookie: _OWN if path == self.path else _POD})
        return cookie

    def _name(self, view: View) -> None:
        """What does not depend on Services: the node's address, and its network namespaces."""
        self._maps[self._names.node].update({layout.FIRST: layout.packed(view.node_ip or self._names.unspecified)})
        wanted = {cookie: _OWN if path == self.path else _POD for path, cookie in self._members.items()}
        found = self._maps[self._names.netns].items()
        self._maps[self._names.netns].update({k: v for k, v in wanted.items() if found.get(k) != v})
        self._maps[self._names.netns].delete(found.keys() - wanted.keys())

    def _found(self) -> dict[Entry, bytes]:
        """What the kernel really has."""
        return of_maps((name, self._maps[name].items()) for name in self._names.order)

    def _apply(self, wanted: Changes) -> None:
        """Write runs of entries of one map together, in the order that is asked for."""
        name, run = "", dict[bytes, bytes]()
        for (of, key), value in wanted.writes:
            if of != name and run:
                self._maps[name].update(run)
                run = {}
            name, run[key] = of, value
        if run:
            self._maps[name].update(run)
        self._delete(wanted.deletes)

    def _delete(self, entries: Iterable[Entry]) -> None:
        for name, key in entries:
            self._maps[name].delete([key])

    @property
    def _maps(self) -> dict[str, Map]:
        if self._loaded is None:
            raise RuleError("the ebpf mode of this node has not been started")
        return self._loaded.maps
