"""Plugins together: shuffling, forwarding, caching, several server blocks. No sockets: `ask` is a function here."""

from __future__ import annotations

import asyncio
from typing import Any

from labkit.dns.cache import Cache
from labkit.dns.chain import Chain
from labkit.dns.corefile import Forward, default, parse
from labkit.dns.forward import servers_of
from labkit.dns.index import Index
from labkit.net import dnsrecords as records
from labkit.net import dnswire as wire
from labkit.net.dnsrecords import Record, Response

STUBS = """
shop.example {
    forward . 10.0.0.1 {
        max_concurrent 1
    }
}
example {
    forward . 10.0.0.2
}
"""


def cluster() -> Index:
    index = Index()
    index.apply("ADDED", {"kind": "Namespace", "metadata": {"name": "shop"}})
    meta = {"name": "db", "namespace": "shop", "labels": {"kubernetes.io/service-name": "db"}}
    endpoints = [{"addresses": [f"10.244.1.{n}"]} for n in range(4)]
    for kind, more in (("Service", {"spec": {"clusterIP": "None"}}), ("EndpointSlice", {"endpoints": endpoints})):
        index.apply("ADDED", {"kind": kind, "metadata": meta, **more})
    spec = {"type": "ExternalName", "externalName": "www.example.com"}
    index.apply("ADDED", {"kind": "Service", "metadata": {"name": "out", "namespace": "shop"}, "spec": spec})
    return index


class Upstream:
    """Answers every A question with 192.0.2.1, or fails with the error given."""

    def __init__(self, error: OSError | None = None) -> None:
        self.error = error
        self.asked: list[tuple[str, Forward]] = []
        self.gate = asyncio.Event()
        self.gate.set()

    async def __call__(self, forward: Forward, data: bytes, tcp: bool) -> bytes:
        query = wire.decode(data)
        assert query is not None
        self.asked.append((query.name, forward))
        await self.gate.wait()
        if self.error:
            raise self.error
        return wire.encode(query, Response(answer=(Record(query.name, records.A, 60, "192.0.2.1"),)), 512)


def query(name: str, kind: int = records.A, id_: int = 9) -> tuple[wire.Query, bytes]:
    data = wire.question(id_, name, kind)
    found = wire.decode(data)
    assert found is not None
    return found, data


def chain(text: str, upstream: Upstream) -> Chain:
    return Chain(parse(text), cluster(), (), upstream)


def order(chain_: Chain) -> list[Any]:
    found = chain_.answer(query("db.shop.svc.cluster.local.")[0])
    assert found is not None
    return [record.data for record in found.answer]


def test_loadbalance_shuffles_and_repeats_from_the_start() -> None:
    first, second = chain(default(), Upstream()), chain(default(), Upstream())
    seen = [order(first) for _ in range(40)]
    assert seen == [order(second) for _ in range(40)]
    assert {tuple(sorted(row)) for row in seen} == {tuple(f"10.244.1.{n}" for n in range(4))}
    assert {row[0] for row in seen} == {f"10.244.1.{n}" for n in range(4)}
    still = chain(default().replace("    loadbalance\n", ""), Upstream())
    assert {tuple(order(still)) for _ in range(10)} == {tuple(f"10.244.1.{n}" for n in range(4))}


async def resolved(chain_: Chain, name: str, id_: int = 9) -> Response:
    asked, data = query(name, id_=id_)
    assert chain_.answer(asked) is None
    found = await chain_.resolve(asked, data, tcp=False)
    if isinstance(found, Response):
        return found
    assert found[:2] == id_.to_bytes(2, "big")
    return wire.decode_answer(found)


async def both(chain_: Chain, upstream: Upstream) -> list[Response]:
    found = [await resolved(chain_, "www.example.com.", 1), await resolved(chain_, "WWW.example.com.", 2)]
    assert len(upstream.asked) == 1, "the second came from the cache"
    assert found[1].answer[0].name == "WWW.example.com.", "with the question of the second"
    return found


def test_outside_names_are_forwarded_and_cached() -> None:
    upstream = Upstream()
    for found in asyncio.run(both(chain(default(), upstream), upstream)):
        assert [record.data for record in found.answer] == ["192.0.2.1"]


def test_external_names_are_followed_and_bare_where_the_upstream_fails() -> None:
    name = "out.shop.svc.cluster.local."
    found = asyncio.run(resolved(chain(default(), Upstream()), name))
    assert [record.data for record in found.answer] == ["www.example.com.", "192.0.2.1"]
    assert found.authoritative
    bare = asyncio.run(resolved(chain(default(), Upstream(ConnectionRefusedError())), name))
    assert (bare.rcode, [record.data for record in bare.answer]) == (records.NOERROR, ["www.example.com."])


def test_failures_become_servfail() -> None:
    found = asyncio.run(resolved(chain(default(), Upstream(TimeoutError())), "www.example.com."))
    assert found.rcode == records.SERVFAIL and not found.authoritative
    alone = chain(".:53 {\n kubernetes cluster.local\n}", Upstream())
    assert alone.answer(query("www.example.com.")[0]) == records.failure(records.SERVFAIL)


def test_blocks_by_longest_zone_and_refused_outside_all() -> None:
    upstream = Upstream()
    stub = chain(STUBS, upstream)
    asyncio.run(resolved(stub, "a.Shop.example."))
    asyncio.run(resolved(stub, "a.example."))
    assert [forward.to for _, forward in upstream.asked] == [("10.0.0.1",), ("10.0.0.2",)]
    assert stub.answer(query("example.com.")[0]) == records.failure(records.REFUSED)


async def crowd(chain_: Chain, upstream: Upstream) -> list[int]:
    upstream.gate.clear()
    tasks = [asyncio.create_task(resolved(chain_, f"{n}.shop.example.")) for n in range(3)]
    while len(upstream.asked) < 1:
        await asyncio.sleep(0)
    upstream.gate.set()
    return sorted([(await task).rcode for task in tasks])


def test_max_concurrent_refuses_the_rest() -> None:
    upstream = Upstream()
    rcodes = asyncio.run(crowd(chain(STUBS, upstream), upstream))
    assert rcodes == [records.NOERROR, records.REFUSED, records.REFUSED]


def test_cache_ages_and_forgets() -> None:
    cache = Cache(cap=30)
    asked, _ = query("www.example.com.")
    cache.put(asked, wire.encode(asked, Response(answer=(Record(asked.name, records.A, 60, "192.0.2.1"),)), 512), 100.0)
    kept = cache.get(asked, 110.0)
    assert kept is not None and wire.decode_answer(kept).answer[0].ttl == 50
    assert cache.get(asked, 129.9) is not None
    assert cache.get(asked, 130.0) is None
    assert cache.get(asked, 111.0) is None, "forgotten for good"
    cache.put(asked, wire.encode(asked, records.failure(records.SERVFAIL), 512), 200.0)
    assert cache.get(asked, 200.0) is None
    other, _ = query("other.example.com.")
    cache.put(asked, wire.encode(other, Response(answer=(Record(other.name, records.A, 60, "192.0.2.1"),)), 512), 300.0)
    assert cache.get(asked, 300.0) is None, "an answer to another question"


def test_upstream_addresses() -> None:
    to = ("/etc/resolv.conf", "10.0.0.1:54", "10.0.0.2", "[fd00::1]:55", "fd00::2")
    found = list(servers_of(to, "search a\nnameserver 192.0.2.1\nnameserver\n"))
    assert found == [("192.0.2.1", 53), ("10.0.0.1", 54), ("10.0.0.2", 53), ("fd00::1", 55), ("fd00::2", 53)]
