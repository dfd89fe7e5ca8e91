"""CoreDNS's forward plugin: a query carried to an upstream server from a pod's network namespace.

Time-outs and the order of upstreams follow CoreDNS plugin/forward: 2 s for one answer, 5 s for all attempts together.
"""

from __future__ import annotations

import asyncio
import random
import socket
from collections.abc import Iterable
from itertools import count

from labkit.dns.corefile import RESOLV_CONF, Forward
from labkit.linux import netns

READ_TIMEOUT = 2.0
TOTAL_TIMEOUT = 5.0

Server = tuple[str, int]


class Upstreams:
    """The way out of one pod. Sockets are opened when first needed, in the pod's namespace, and closed together."""

    def __init__(self, netns_path: str, resolv_conf: str) -> None:
        self._netns = netns_path
        self._resolv_conf = resolv_conf
        self._sockets: dict[Server, _Socket] = {}
        self._random = random.Random(0)
        self._turn = count()

    async def ask(self, forward: Forward, query: bytes, tcp: bool) -> bytes:
        """The first answer that an upstream gives. Raises `OSError` (also `TimeoutError`) where none does."""
        servers = self._order(forward)
        if not servers:
            raise ConnectionRefusedError(f"no upstream for {forward.zone}")
        failure: OSError = TimeoutError()
        try:
            async with asyncio.timeout(TOTAL_TIMEOUT):
                for server in servers:
                    try:
                        async with asyncio.timeout(READ_TIMEOUT):
                            return await (self._tcp(server, query) if tcp else self._udp(server, query))
                    except OSError as error:
                        failure = error
        except TimeoutError as error:
            failure = error
        raise failure

    def close(self) -> None:
        for sock in self._sockets.values():
            sock.close()
        self._sockets.clear()

    def _order(self, forward: Forward) -> list[Server]:
        servers = list(servers_of(forward.to, self._resolv_conf))
        if forward.policy == "random":
            self._random.shuffle(servers)
        elif forward.policy == "round_robin" and servers:
            turn = next(self._turn) % len(servers)
            servers = servers[turn:] + servers[:turn]
        return servers

    async def _udp(self, server: Server, query: bytes) -> bytes:
        sock = self._sockets.get(server)
        if sock is None or sock.broken:
            raw = netns.socket_in(self._netns, _family(server), socket.SOCK_DGRAM)
            raw.setblocking(False)
            raw.connect(server)
            sock = self._sockets[server] = _Socket(raw)
        return await sock.ask(query)

    async def _tcp(self, server: Server, query: bytes) -> bytes:
        sock = netns.socket_in(self._netns, _family(server), socket.SOCK_STREAM)
        with sock:
            sock.setblocking(False)
            loop = asyncio.get_running_loop()
            await loop.sock_connect(sock, server)
            reader, writer = await asyncio.open_connection(sock=sock)
            try:
                writer.write(len(query).to_bytes(2, "big") + query)
                size = int.from_bytes(await reader.readexactly(2), "big")
                return await reader.readexactly(size)
            except asyncio.IncompleteReadError as error:
                raise ConnectionResetError("upstream closed the connection") from error
            finally:
                writer.close()


class _Socket:
    """One connected UDP socket with many queries under way, told apart by ids of its own."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._waiting: dict[int, tuple[bytes, asyncio.Future[bytes]]] = {}
        self._ids = count(1)
        self.broken = False
        asyncio.get_running_loop().add_reader(sock, self._readable)

    async def ask(self, query: bytes) -> bytes:
        """The answer, with the query's own id."""
        number = next(self._ids) % 65536
        future: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._waiting[number] = query[12:], future
        try:
            self._sock.send(number.to_bytes(2, "big") + query[2:])
            return query[:2] + (await future)[2:]
        finally:
            self._waiting.pop(number, None)

    def close(self) -> None:
        asyncio.get_running_loop().remove_reader(self._sock)
        self._sock.close()
        self.broken = True
        self._fail(ConnectionAbortedError("server stopped"))

    def _readable(self) -> None:
        try:
            data = self._sock.recv(65535)
        except BlockingIOError:
            return
        except OSError as error:  # an ICMP message: nobody listens there
            self._fail(error)
            return
        section, future = self._waiting.get(int.from_bytes(data[:2], "big"), (b"", None))
        name = section[: section.find(b"\0") + 5].lower()
        if future is not None and not future.done() and data[12 : 12 + len(name)].lower() == name:
            future.set_result(data)

    def _fail(self, error: OSError) -> None:
        for _, future in self._waiting.values():
            if not future.done():
                future.set_exception(error)


def servers_of(to: Iterable[str], resolv_conf: str) -> Iterable[Server]:
    """Addresses and ports of `forward`'s targets; a path stands for the nameservers of the pod's own resolv.conf."""
    for target in to:
        if target == RESOLV_CONF:
            lines = (line.split() for line in resolv_conf.splitlines())
            yield from ((words[1], 53) for words in lines if len(words) > 1 and words[0] == "nameserver")
        elif target.count(":") == 1:
            host, _, port = target.partition(":")
            yield host, int(port)
        elif target.startswith("["):
            host, _, port = target[1:].partition("]")
            yield host, int(port.lstrip(":") or 53)
        else:
            yield target, 53


def _family(server: Server) -> int:
    return socket.AF_INET6 if ":" in server[0] else socket.AF_INET
