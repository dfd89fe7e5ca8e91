"""Many requests from one place, each over a connection of its own unless asked otherwise.

    n requests ── shared by `concurrency` workers ── look up, connect, send, receive ── one row each

A Service picks its server per connection, so a connection per request is what shows the load balancing. Every failure
is a row with an `error`.
"""

from __future__ import annotations

import asyncio
import errno
import os
import random
import socket
import ssl
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from labkit.linux import httpclient, netns
from labkit.linux.httpclient import Plain, Stream, Tls
from labkit.net.packet import Packet, endpoint
from labkit.net.place import Place
from labkit.traffic import resolve
from labkit.traffic.target import Target

BODY_LIMIT = 4096
_COOKIE = 57  # SO_COOKIE
_PORT_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")


class Row(msgspec.Struct):
    """One request. `ms`: from the start of the connection to the end of the answer, the lookup of the name left out.

    status          of HTTP; None for tcp and udp, and where nothing came back
    local, remote   "address:port" as the client sees them
    server          where the kernels of the nodes delivered it: who answered, or should have (`labkit.traffic.served`);
                    empty where that is not known: a connection that was refused or dropped leaves no conntrack entry
    client          "address:port" as the server sees them; empty where that is not known, or was another request's too
    """

    i: int
    status: int | None = None
    ms: float = 0.0
    error: str = ""
    body: str = ""
    local: str = ""
    remote: str = ""
    server: str = ""
    client: str = ""


class Plan(msgspec.Struct, frozen=True):
    """What to send, and how. `payload`: the bytes of one request; `timeout`: seconds for each; `tls`: for https."""

    place: Place
    target: Target
    payload: bytes
    n: int
    concurrency: int
    timeout: float
    keepalive: bool = False
    tls: ssl.SSLContext | None = None


class Sent(msgspec.Struct):
    """A row, the packet that went out for it, None where none did, and the cookie of its socket (SO_COOKIE)."""

    row: Row
    packet: Packet | None = None
    cookie: int = 0


async def send(plan: Plan, reused: Callable[[Sent], None]) -> list[Sent]:
    """Do the requests of a plan, and return them in their order.

    `reused` is called with a request whose source port is about to serve another one: the kernel then forgets it.
    """
    sent = [Sent(Row(i)) for i in range(plan.n)]
    first = await _lookup(plan)
    queue = iter(sent)
    ports = _Ports(plan.place, reused)
    await asyncio.gather(*(_Worker(plan, first, ports).work(queue) for _ in range(min(plan.concurrency, plan.n))))
    return sent


class _Ports:
    """The source ports of a place, one after the other from a random one on, and which requests used them.

    The kernel's own choice may come back to a port at once, and with it the connection before is forgotten.
    """

    def __init__(self, place: Place, reused: Callable[[Sent], None]) -> None:
        with netns.entered(place.netns):
            low, high = map(int, _PORT_RANGE.read_text().split())
        self._range = range(low, high + 1)
        self._next = random.randrange(len(self._range))
        self._users: dict[int, list[Sent]] = {}
        self._reused = reused

    def take(self, sock: socket.socket) -> None:
        """Bind to a free port before the first packet goes out, so that its earlier users can still be looked up."""
        for _ in self._range:
            port = self._range[self._next % len(self._range)]
            self._next += 1
            try:
                sock.bind(("", port))
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise
            else:
                for earlier in self._users.pop(port, ()):
                    self._reused(earlier)
                return
        raise OSError(errno.EADDRNOTAVAIL, os.strerror(errno.EADDRNOTAVAIL))

    def used(self, port: int, sent: Sent) -> None:
        self._users.setdefault(port, []).append(sent)


async def _lookup(plan: Plan) -> resolve.Lookup:
    try:
        async with asyncio.timeout(plan.timeout):
            return await resolve.resolve(plan.place, plan.target.host)
    except TimeoutError:
        return resolve.Lookup(plan.target.host, error=f"timed out after {plan.timeout:g} s")


class _Worker:
    """Does one request after the other; with `keepalive` over one connection as long as the server keeps it."""

    def __init__(self, plan: Plan, first: resolve.Lookup, ports: _Ports) -> None:
        self._plan = plan
        self._ports = ports
        self._names = first
        self._socket: socket.socket | None = None
        self._stream: Stream | None = None
        self._packet: Packet | None = None
        self._cookie = 0

    async def work(self, queue: Iterator[Sent]) -> None:
        for sent in queue:
            row = sent.row
            # Several addresses: look up anew, as separate programs would. The name's server turns the order of its
            # answers, and that is how a headless Service spreads its load.
            if len(self._names.addresses) > 1 and row.i and not self._stream:
                self._names = await _lookup(self._plan)
            start = time.perf_counter()
            try:
                async with asyncio.timeout(self._plan.timeout):
                    await self._request(row)
            except TimeoutError:
                row.error = f"timed out after {self._plan.timeout:g} s"
            except (OSError, ValueError) as error:
                row.error = httpclient.reason(error)
            row.ms = (time.perf_counter() - start) * 1000
            self._name(sent)
            if row.error or not self._plan.keepalive:
                self._close()
        self._close()

    async def _request(self, row: Row) -> None:
        if self._stream is None:
            self._stream = await self._connect()
        if self._plan.target.http:
            reply = await httpclient.exchange(self._stream, self._plan.payload, BODY_LIMIT)
            row.status = reply.status
            row.body = reply.body.decode(errors="replace")
            if not reply.keep:
                self._stream = None
        elif self._plan.payload:
            await self._stream.send(self._plan.payload)
            row.body = (await self._stream.receive())[:BODY_LIMIT].decode(errors="replace")

    async def _connect(self) -> Stream:
        """Try the addresses in turn, as curl does; what is tried last is remembered, however it ends."""
        if self._names.error:
            raise ConnectionError(f"could not resolve {self._names.name}: {self._names.error}")
        target, loop = self._plan.target, asyncio.get_running_loop()
        kind = socket.SOCK_DGRAM if target.scheme == "udp" else socket.SOCK_STREAM
        for address in self._names.addresses:
            self._close()
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            self._socket = netns.socket_in(self._plan.place.netns, family, kind | socket.SOCK_NONBLOCK)
            self._ports.take(self._socket)
            self._cookie = int.from_bytes(self._socket.getsockopt(socket.SOL_SOCKET, _COOKIE, 8), sys.byteorder)
            try:
                await loop.sock_connect(self._socket, (address, target.port))
                break
            except OSError:
                if address == self._names.addresses[-1]:
                    raise
            finally:
                source, port = self._socket.getsockname()[:2]
                protocol = "UDP" if target.scheme == "udp" else "TCP"
                self._packet = Packet(source, address, protocol, port, target.port)
        assert self._socket is not None  # noqa: S101 - a lookup without an error has addresses
        plain = Plain(self._socket)
        if self._plan.tls is None:
            return plain
        tls = Tls(plain, self._plan.tls, target.host)
        await tls.handshake()
        return tls

    def _name(self, sent: Sent) -> None:
        sent.cookie = self._cookie
        if packet := self._packet:
            sent.row.remote = endpoint(packet.dst, packet.dport)
            if packet.sport:  # 0: refused before a port was taken
                sent.packet = packet
                sent.row.local = endpoint(packet.src, packet.sport)
                self._ports.used(packet.sport, sent)

    def _close(self) -> None:
        if self._socket:
            self._socket.close()
        self._socket = self._stream = self._packet = None
