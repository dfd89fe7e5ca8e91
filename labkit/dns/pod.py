r"""One CoreDNS pod: its sockets in its own network namespace, its plugin chain, its counters and its query log.

    datagram or TCP message -> wire.decode -> chain.answer -> wire.encode -> back
                                          \-> chain.resolve, as a task of its own, where an upstream is asked

What clients send is not trusted: see `listen` for the limits.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter, deque
from collections.abc import Callable
from functools import partial
from socket import AF_INET, AF_INET6, SOCK_DGRAM, SOCK_STREAM

import msgspec

from labkit.dns import listen, output
from labkit.dns.chain import Chain
from labkit.dns.corefile import Block
from labkit.dns.forward import Upstreams
from labkit.dns.index import Index
from labkit.dns.listen import Client, Send
from labkit.net import dnsrecords as dns
from labkit.net import dnswire as wire
from labkit.net.dnsrecords import Response
from labkit.net.place import Place

PORT = 53
LOG_LENGTH = 1000
MAX_UPSTREAM_TASKS = 4096


class Asked(msgspec.Struct, frozen=True):
    """A line of the query log. `time` in seconds since the epoch, `ms` from receipt to answer, `size` in octets."""

    time: float
    client: str
    name: str
    type: str
    rcode: str
    protocol: str
    size: int
    ms: float


class CoreDns:
    """The server of one pod. `synced` tells whether the objects are complete: /ready answers 503 until then.

    `write` takes what it writes to its standard output.
    """

    def __init__(
        self,
        place: Place,
        index: Index,
        blocks: tuple[Block, ...],
        synced: Callable[[], bool],
        write: Callable[[str], None],
    ) -> None:
        self.place = place
        self.write = write
        self.log: deque[Asked] = deque(maxlen=LOG_LENGTH)
        self.requests: Counter[tuple[str, str]] = Counter()
        self.responses: Counter[str] = Counter()
        self._index = index
        self._synced = synced
        self._upstreams = Upstreams(place.netns, place.resolv_conf)
        self._chain = Chain(blocks, index, place.addresses, self._upstreams.ask)
        self._udp: list[listen.Udp] = []
        self._tcp: list[asyncio.Server] = []
        self._pages: dict[int, list[asyncio.Server]] = {}  # by port
        self._opened: set[listen.Stream] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Open every port. Raises `OSError` where one cannot be had; then none stays open."""
        loop = asyncio.get_running_loop()
        try:
            for family in self._families():
                self._udp.append(listen.Udp(listen.bound(self.place.netns, family, SOCK_DGRAM, PORT), self._serve))
                tcp = listen.bound(self.place.netns, family, SOCK_STREAM, PORT)
                self._tcp.append(await loop.create_server(partial(listen.Tcp, self._opened, self._serve), sock=tcp))
            await self._open_pages()
        except OSError:
            self.close()
            raise

    async def reload(self, blocks: tuple[Block, ...]) -> None:
        """Serve by another Corefile from now on; queries under way end by the old one."""
        self._chain = Chain(blocks, self._index, self.place.addresses, self._upstreams.ask)
        await self._open_pages()

    def close(self) -> None:
        """Close every socket and connection; answers still awaited from upstreams are given up."""
        for task in self._tasks:
            task.cancel()
        for udp in self._udp:
            udp.close()
        for server in self._tcp:
            server.close()
        for port in list(self._pages):
            self._close_page(port)
        for stream in list(self._opened):
            if stream.transport:
                stream.transport.abort()
        self._upstreams.close()

    def _families(self) -> list[int]:
        return [AF_INET, AF_INET6] if any(":" in address for address in self.place.addresses) else [AF_INET]

    async def _open_pages(self) -> None:
        """The HTTP pages of the plugins that the Corefile names: health, ready, prometheus.

        A port that stays stays open: another process may hold a copy of its socket for a moment (fork), and then it
        could not be had again.
        """
        ports = {port for block in self._chain.blocks for port in (block.health, block.ready, block.prometheus) if port}
        for port in self._pages.keys() - ports:
            self._close_page(port)
        for port in sorted(ports - self._pages.keys()):
            try:
                await self._open_page(port)
            except OSError:
                self._close_page(port)
                raise

    async def _open_page(self, port: int) -> None:
        servers = self._pages[port] = []
        for family in self._families():
            sock = listen.bound(self.place.netns, family, SOCK_STREAM, port)
            make = partial(listen.Http, self._opened, partial(self._page, port))
            servers.append(await asyncio.get_running_loop().create_server(make, sock=sock))

    def _close_page(self, port: int) -> None:
        for server in self._pages.pop(port):
            server.close()

    def _page(self, port: int, path: str) -> tuple[int, str]:
        for block in self._chain.blocks:
            match path:
                case "/health" if port == block.health:
                    return 200, "OK"
                case "/ready" if port == block.ready:
                    return (200, "OK") if self._synced() or not block.kubernetes else (503, "kubernetes")
                case "/metrics" if port == block.prometheus:
                    return 200, self.metrics()
        return 404, "404 page not found\n"

    def metrics(self) -> str:
        """Counters under CoreDNS's names, in Prometheus' text format (plugin/metrics/README.md)."""
        lines = ["# TYPE coredns_dns_requests_total counter"]
        for (protocol, kind), n in sorted(self.requests.items()):
            labels = f'proto="{protocol}",server="dns://:53",type="{kind}",zone="."'
            lines.append(f"coredns_dns_requests_total{{{labels}}} {n}")
        lines.append("# TYPE coredns_dns_responses_total counter")
        for rcode, n in sorted(self.responses.items()):
            lines.append(f'coredns_dns_responses_total{{rcode="{rcode}",server="dns://:53",zone="."}} {n}')
        return "\n".join(lines) + "\n"

    def _serve(self, data: bytes, client: Client, tcp: bool, send: Send) -> None:
        """Answer one message, now or when an upstream has answered. Whatever is not a query is dropped."""
        query = wire.decode(data)
        if query is None:
            return
        began = time.time()
        self.requests["tcp" if tcp else "udp", dns.TYPE_NAMES.get(query.type, "other")] += 1
        response = self._chain.answer(query)
        if response is not None:
            self._reply(query, len(data), response, client, tcp, send, began)
        elif len(self._tasks) >= MAX_UPSTREAM_TASKS:
            self._reply(query, len(data), dns.failure(dns.SERVFAIL), client, tcp, send, began)
        else:
            task = asyncio.get_running_loop().create_task(self._ask(query, data, client, tcp, send, began))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _ask(self, query: wire.Query, data: bytes, client: Client, tcp: bool, send: Send, began: float) -> None:
        self._reply(query, len(data), await self._chain.resolve(query, data, tcp), client, tcp, send, began)

    def _reply(
        self,
        query: wire.Query,
        octets: int,
        response: Response | bytes,
        client: Client,
        tcp: bool,
        send: Send,
        began: float,
    ) -> None:
        if isinstance(response, bytes):
            data, code = response, response[3] & 0xF
        else:
            limit = wire.MAX_SIZE if tcp else query.size
            try:
                data, code = wire.encode(query, response, limit), response.rcode
            except ValueError:  # an object holds a name or an address that DNS cannot carry
                data, code = wire.encode(query, dns.failure(dns.SERVFAIL), limit), dns.SERVFAIL
        send(data)
        rcode = dns.RCODES.get(code, str(code))
        self.responses[rcode] += 1
        kind = dns.TYPE_NAMES.get(query.type, f"TYPE{query.type}")
        ms = (time.time() - began) * 1000
        if self._chain.logs(query.name):
            self.write(output.query(query, client, octets, data, code, tcp, ms / 1000))
        self.log.append(Asked(began, client[0], query.name, kind, rcode, "tcp" if tcp else "udp", len(data), ms))
