"""A Service port of TCP: one listening socket, for each connection to it another one to an endpoint.

    client == connection 1 ==> proxy == connection 2 ==> endpoint        what one sends is read, copied, sent again

As it was: connections are accepted one by one, so that an endpoint which does not answer holds up those who come after;
the first end to close closes both, so that there is no half-closed connection.
Source: Kubernetes v1.25, pkg/proxy/userspace/proxysocket.go (`tcpProxySocket`, `TryConnectEndpoints`, `ProxyTCP`).
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from typing import Any

from labkit.linux.relayed import Relayed
from labkit.net.packet import split_endpoint
from labkit.proxy.userspace.balancer import NoEndpoint, RoundRobin
from labkit.proxy.userspace.counters import Counters

DIAL_SECONDS = (0.25, 0.5, 1.0, 2.0)
"""How long each attempt to reach an endpoint may take; after the last the client's connection is closed."""
_CHUNK = 64 * 1024


class TcpSocket:
    """Serves the listening socket from now on, until `close`, which leaves the connections as they are."""

    def __init__(
        self,
        listening: socket.socket,
        balancer: RoundRobin,
        counters: Counters,
        relayed: Relayed[str],
        dial_seconds: Sequence[float] = DIAL_SECONDS,
    ) -> None:
        self._listening = listening
        self._balancer = balancer
        self._counters = counters
        self._relayed = relayed
        self._port: int = listening.getsockname()[1]
        self._dial_seconds = dial_seconds
        self._connections: set[asyncio.Task[None]] = set()
        self._accepting = asyncio.get_running_loop().create_task(self._accept())

    @property
    def connections(self) -> int:
        """How many are open."""
        return len(self._connections)

    async def close(self) -> None:
        self._accepting.cancel()
        await asyncio.gather(self._accepting, return_exceptions=True)
        self._listening.close()

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            client, address = await loop.sock_accept(self._listening)
            self._counters.accepted += 1
            try:
                server = await self._reach(address)
            except BaseException:
                client.close()
                raise
            if server is None:
                self._counters.failed += 1
                client.close()
                continue
            connection = loop.create_task(self._splice(client, server))
            self._connections.add(connection)
            connection.add_done_callback(self._connections.discard)

    async def _reach(self, client: tuple[Any, ...]) -> socket.socket | None:
        """A connection to the next endpoint, or to one after it; None where none could be had."""
        failed = False
        for seconds in self._dial_seconds:
            try:
                endpoint = self._balancer.next(client[0], anew=failed)
            except NoEndpoint:
                return None
            self._counters.dialled += 1
            server = socket.socket(self._listening.family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
            try:
                loop = asyncio.get_running_loop()
                await asyncio.wait_for(loop.sock_connect(server, split_endpoint(endpoint)), seconds)
            except OSError:  # a time-out is one too
                server.close()
                failed = True
            except BaseException:
                server.close()
                raise
            else:
                self._relayed.note("tcp", self._port, client, endpoint)
                return server
        return None

    async def _splice(self, client: socket.socket, server: socket.socket) -> None:
        ways = [asyncio.ensure_future(self._copy(*ends)) for ends in ((client, server), (server, client))]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)  # a socket is closed when nothing waits for it
            client.close()
            server.close()

    async def _copy(self, source: socket.socket, target: socket.socket) -> None:
        """Until the source ends or one of the two breaks."""
        loop = asyncio.get_running_loop()
        while data := await loop.sock_recv(source, _CHUNK):
            self._counters.copied += len(data)
            await loop.sock_sendall(target, data)
