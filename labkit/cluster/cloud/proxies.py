"""The proxies of load balancers in ipMode Proxy: a process on the cloud's machine, which has their addresses.

Started when the first of them is wanted; it ends with this process.
"""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from labkit.errors import SandboxError
from labkit.linux import netns
from labkit.linux.rtnetlink import Links
from labkit.sandbox.channel import Peer
from labkit.services.cloud.balancer import Balancer
from labkit.services.cloud.forwarding import alone
from labkit.services.cloud.fronts import Front, plan


class Proxies:
    """Keeps the proxy process as the balancers want it. links: of the cloud's machine, whose namespace is `path`."""

    def __init__(self, path: str, links: Links) -> None:
        self._path = path
        self._links = links
        self._peer: Peer | None = None
        self._fronts: tuple[Front, ...] = ()
        self._addresses: set[str] = set()

    async def apply(self, balancers: Iterable[Balancer], healthy: Mapping[str, frozenset[str]]) -> None:
        """Raises `NetlinkError`, `SandboxError` where the process has ended."""
        fronts = plan(balancers, healthy)
        if fronts == self._fronts:
            return
        wanted = {front.address for front in fronts}
        for address in wanted - self._addresses:
            self._links.add_address("lo", alone(address))
        self._addresses |= wanted
        if self._peer is None:
            self._peer = await self._start()
        await self._peer.call("serve", fronts=msgspec.to_builtins(fronts))
        for address in self._addresses - wanted:
            self._links.delete_address("lo", alone(address))
        self._addresses = wanted
        self._fronts = fronts

    async def relayed(self, protocol: str, asked: Sequence[tuple[str, str]]) -> list[tuple[str, str] | None]:
        """Where connections went on: `labkit.services.cloud.proxy.Proxy.relayed`."""
        if self._peer is None:
            return [None] * len(asked)
        try:
            legs = await self._peer.call("relayed", protocol=protocol, asked=asked)
        except SandboxError:  # it has ended, and knew it alone
            return [None] * len(asked)
        return msgspec.convert(legs, list[tuple[str, str] | None])

    @property
    def addresses(self) -> frozenset[str]:
        """Where it listens."""
        return frozenset(self._addresses)

    async def _start(self) -> Peer:
        mine, theirs = socket.socketpair()
        command = [sys.executable, "-m", "labkit.services.cloud.proxy", str(theirs.fileno())]
        with netns.entered(self._path), theirs:
            self._process = subprocess.Popen(command, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL)
        return await Peer.over(mine, {})
