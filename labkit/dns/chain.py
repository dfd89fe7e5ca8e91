r"""One server's plugins in CoreDNS's order: kubernetes, then cache and forward; loadbalance on the way back.

    query -> server block by zone -> kubernetes -> (not its name) -> cache -> forward -> upstream
               \-> CNAME that leads out of the zone -> resolved by the same chain

The chain does no input or output of its own: `ask` carries a query to an upstream. Source: CoreDNS plugin.cfg.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from time import monotonic

import msgspec

from labkit.dns import kubernetes
from labkit.dns.cache import Cache
from labkit.dns.corefile import Block, Forward
from labkit.dns.index import Index
from labkit.net import dnsrecords as dns
from labkit.net import dnswire as wire
from labkit.net.dnsrecords import Question, Record, Response

Ask = Callable[[Forward, bytes, bool], Awaitable[bytes]]
MAX_LOOKUPS = 8  # CNAMEs from zone to zone before a loop is taken for granted


class Chain:
    """Answers queries for one CoreDNS pod. `addresses` are the pod's own; `ask(forward, query, tcp)` raises OSError."""

    def __init__(self, blocks: tuple[Block, ...], index: Index, addresses: tuple[str, ...], ask: Ask) -> None:
        self.blocks = blocks
        self._index = index
        self._addresses = addresses
        self._ask = ask
        self._caches = {block.zones: Cache(block.cache) for block in blocks if block.cache}
        self._random = random.Random(0)  # repeatable: the same questions in the same order get the same answers
        self._pending = 0

    def answer(self, query: wire.Query) -> Response | None:
        """The answer, if it can be given at once; None where an upstream has to be asked (`resolve`)."""
        if query.rcode:
            return dns.failure(query.rcode)
        block = self._block(query.name)
        if block is None:
            return dns.failure(dns.REFUSED)
        own = self._own(block, query)
        if own is not None:
            return None if own.target else self._balance(block, own)
        return dns.failure(dns.SERVFAIL) if _forward(block, query.name) is None else None

    async def resolve(self, query: wire.Query, data: bytes, tcp: bool, depth: int = 0) -> Response | bytes:
        """The answer with an upstream's help: its own bytes, or records put together. SERVFAIL where it fails."""
        block = self._block(query.name)
        own = self._own(block, query) if block else None
        if block is not None and own is not None and own.target:
            found = await self._lookup(Question(own.target, query.type), tcp, depth + 1)
            answer = tuple(dict.fromkeys((*own.answer, *found.answer)))
            return self._balance(block, msgspec.structs.replace(own, answer=answer, truncated=found.truncated))
        forward = _forward(block, query.name) if block else None
        if block is None or forward is None:
            return dns.failure(dns.SERVFAIL)
        if forward.max_concurrent and self._pending >= forward.max_concurrent:
            return dns.failure(dns.REFUSED)
        self._pending += 1
        try:
            return await self._upstream(block, forward, query, data, tcp)
        except (OSError, ValueError):
            return dns.failure(dns.SERVFAIL)
        finally:
            self._pending -= 1

    async def _lookup(self, question: Question, tcp: bool, depth: int) -> Response:
        """What this same server says to a question of its own."""
        data = wire.question(0, question.name, question.type)
        query = wire.decode(data)
        if query is None or depth > MAX_LOOKUPS:
            return dns.failure(dns.SERVFAIL)
        found = self.answer(query) or await self.resolve(query, data, tcp, depth)
        return wire.decode_answer(found) if isinstance(found, bytes) else found

    async def _upstream(self, block: Block, forward: Forward, query: wire.Query, data: bytes, tcp: bool) -> bytes:
        cache = None if tcp else self._caches.get(block.zones)  # an answer by TCP may be too long for UDP
        kept = cache.get(query, monotonic()) if cache else None
        if kept is not None:
            return kept
        reply = await self._ask(forward, data, tcp)
        if cache:
            cache.put(query, reply, monotonic())
        return reply

    def logs(self, name: str) -> bool:
        """Whether the plugin log writes of queries for this name."""
        block = self._block(name)
        return block is not None and block.log

    def _block(self, name: str) -> Block | None:
        zone = dns.best_zone(name.lower(), tuple(zone for block in self.blocks for zone in block.zones))
        return next((block for block in self.blocks if zone in block.zones), None)

    def _own(self, block: Block, query: wire.Query) -> Response | None:
        if block.kubernetes is None:
            return None
        return kubernetes.answer(Question(query.name, query.type), self._index, block.kubernetes, self._addresses)

    def _balance(self, block: Block, response: Response) -> Response:
        """Addresses in a new order each time, behind all other records (CoreDNS plugin/loadbalance, round_robin)."""
        if not block.loadbalance or len(response.answer) + len(response.additional) < 2:
            return response
        answer, additional = self._shuffled(response.answer), self._shuffled(response.additional)
        return msgspec.structs.replace(response, answer=answer, additional=additional)

    def _shuffled(self, records: tuple[Record, ...]) -> tuple[Record, ...]:
        addresses = [record for record in records if record.type in (dns.A, dns.AAAA)]
        self._random.shuffle(addresses)
        return (*(record for record in records if record.type not in (dns.A, dns.AAAA)), *addresses)


def _forward(block: Block, name: str) -> Forward | None:
    """The forward of the block that takes this name: the longest zone wins."""
    name = name.lower()
    fitting = (f for f in block.forward if dns.within(name, f.zone))
    allowed = (f for f in fitting if not any(dns.within(name, zone) for zone in f.excluded))
    return max(allowed, key=lambda f: len(f.zone), default=None)
