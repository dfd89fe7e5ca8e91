"""The proxy process of one node, as its own program: sockets for Service ports, and what goes through them.

    kube-proxy's rules ── REDIRECT, DNAT ──> a random port of this process ── round robin ──> endpoint

It is started in the node's network namespace with a channel to whoever writes the rules, and ends with that channel.
"""

from __future__ import annotations

import asyncio
import resource
import socket
import sys
from collections.abc import Sequence
from typing import Any

import msgspec

from labkit.linux.relayed import Relayed
from labkit.net.packet import endpoint as joined
from labkit.net.packet import split_endpoint
from labkit.proxy.userspace.balancer import RoundRobin
from labkit.proxy.userspace.counters import Counters
from labkit.proxy.userspace.messages import Claim, Opened, Wanted
from labkit.proxy.userspace.tcp import TcpSocket
from labkit.proxy.userspace.udp import UdpSocket
from labkit.sandbox import syscalls
from labkit.sandbox.channel import Peer

_BACKLOG = 1024


class Served:
    """One Service port."""

    def __init__(self, wanted: Wanted, family: int, relayed: Relayed[str]) -> None:
        kind = socket.SOCK_STREAM if wanted.protocol == "tcp" else socket.SOCK_DGRAM
        sock = _bound(family, kind, "", 0)
        self.port: int = sock.getsockname()[1]
        self.balancer = RoundRobin(f"{wanted.name}/{wanted.protocol}")
        self.counters = Counters()
        serve = TcpSocket if wanted.protocol == "tcp" else UdpSocket
        self._socket = serve(sock, self.balancer, self.counters, relayed)

    async def close(self) -> None:
        await self._socket.close()


class Server:
    """Handlers of the process; `family`: "IPv4" or "IPv6"."""

    def __init__(self, family: str) -> None:
        self._family = socket.AF_INET6 if family == "IPv6" else socket.AF_INET
        self._served: dict[tuple[str, str], Served] = {}
        self._claimed: dict[Claim, socket.socket] = {}
        self._relayed = Relayed[str]()

    def open(self, wanted: Sequence[Any], claims: Sequence[Any]) -> Opened:
        """Serve these ports, new ones or known ones with other endpoints, and hold these ports of the node."""
        refused = []
        for claim in msgspec.convert(claims, list[Claim]):
            if reason := self._claim(claim):
                refused.append((claim, reason))
        ports = [self._serve(each).port for each in msgspec.convert(wanted, list[Wanted])]
        return Opened(tuple(ports), tuple(refused))

    async def close(self, gone: Sequence[Sequence[str]], claims: Sequence[Any]) -> None:
        """Stop to serve ports, each by name and protocol, and let claims go. TCP's connections go on."""
        for name, protocol in gone:
            await self._served.pop((name, protocol)).close()
        for claim in msgspec.convert(claims, list[Claim]):
            if sock := self._claimed.pop(claim, None):
                sock.close()

    def counters(self) -> dict[str, Counters]:
        """By `ns/service:port/protocol`."""
        return {f"{name}/{protocol}": one.counters for (name, protocol), one in sorted(self._served.items())}

    def relayed(self, protocol: str, asked: Sequence[tuple[str, str]]) -> list[str]:
        """The endpoints of connections, each known by its client's and its own `ip:port`; empty where not known."""
        pairs = [(split_endpoint(client), split_endpoint(own)) for client, own in asked]
        return [self._relayed.find(protocol, own[1], client) or "" for client, own in pairs]

    def _serve(self, wanted: Wanted) -> Served:
        key = (wanted.name, wanted.protocol)
        served = self._served.get(key)
        if served is None:
            served = self._served[key] = Served(wanted, self._family, self._relayed)
        served.balancer.configure(wanted.endpoints, wanted.affinity_seconds)
        return served

    def _claim(self, claim: Claim) -> str:
        """Hold a port; why it cannot be had, or nothing."""
        if claim not in self._claimed:
            kind = socket.SOCK_STREAM if claim.protocol == "tcp" else socket.SOCK_DGRAM
            try:
                self._claimed[claim] = _bound(self._family, kind, claim.address, claim.port)
            except OSError as error:
                return f"can't open node port for {joined(claim.address, claim.port)}/{claim.protocol}: {error}"
        return ""


def _bound(family: int, kind: int, address: str, port: int) -> socket.socket:
    sock = socket.socket(family, kind | socket.SOCK_NONBLOCK)
    try:
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind((address, port))
        if kind == socket.SOCK_STREAM:
            sock.listen(_BACKLOG)
    except BaseException:
        sock.close()
        raise
    return sock


async def serve(channel: socket.socket, family: str) -> None:
    server = Server(family)
    handlers = {each.__name__: each for each in (server.open, server.close, server.counters, server.relayed)}
    peer = await Peer.over(channel, handlers)
    await peer.closed()


def main() -> None:
    """`python -m labkit.proxy.userspace.server CHANNEL FAMILY`: the descriptor of a stream socket, "IPv4" or "IPv6"."""
    number, family = sys.argv[1:]
    syscalls.name_process("kube-proxy")
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    asyncio.run(serve(socket.socket(fileno=int(number)), family))


if __name__ == "__main__":
    main()
