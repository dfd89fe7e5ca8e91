"""The proxy of load balancers in ipMode Proxy: a process on the cloud's machine, told over a channel what to serve.

    client ══ connection ══ proxy ══ another one, from the proxy's own address ══ node port

Each connection, and each UDP client, goes to the next backend in turn. `python -m labkit.services.cloud.proxy FD`.
"""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import Sequence
from typing import Any

import msgspec

from labkit.linux.relayed import Relayed
from labkit.net.packet import endpoint, split_endpoint
from labkit.sandbox import syscalls
from labkit.sandbox.channel import Peer
from labkit.services.cloud.datagrams import Datagrams
from labkit.services.cloud.fronts import Front
from labkit.services.cloud.streams import Leg, Streams

Server = Streams | Datagrams


class Proxy:
    """The servers by what they listen to."""

    def __init__(self) -> None:
        self._servers: dict[tuple[str, str, int], Server] = {}
        self._relayed = Relayed[Leg]()

    def serve(self, fronts: Sequence[dict[str, Any]]) -> None:
        """Listen there, and nowhere else; connections to a backend that is left out live on."""
        wanted = {(f.protocol, f.address, f.port): f.backends for f in msgspec.convert(fronts, list[Front])}
        for place in [each for each in self._servers if each not in wanted]:
            self._servers.pop(place).close()
        for place, backends in wanted.items():
            if place not in self._servers:
                protocol, address, port = place
                self._servers[place] = (Streams if protocol == "TCP" else Datagrams)(address, port, self._relayed)
            self._servers[place].backends = list(backends)

    def relayed(self, protocol: str, asked: Sequence[Sequence[str]]) -> list[tuple[str, str] | None]:
        """The connections to backends, as the ends of each, of those from clients: `ip:port` of client and listener."""
        pairs = [(split_endpoint(client), split_endpoint(own)) for client, own in asked]
        legs = (self._relayed.find(protocol, own, client) for client, own in pairs)
        return [(endpoint(*leg[0]), endpoint(*leg[1])) if leg else None for leg in legs]


async def _main(channel: socket.socket) -> None:
    proxy = Proxy()
    peer = await Peer.over(channel, {"serve": proxy.serve, "relayed": proxy.relayed})
    await peer.closed()


if __name__ == "__main__":
    syscalls.name_process("labkit-proxy")
    asyncio.run(_main(socket.socket(fileno=int(sys.argv[1]))))
