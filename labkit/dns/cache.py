"""CoreDNS's cache plugin, for forwarded answers: kept as bytes until the shortest TTL in them, or the cap, has passed.

The kubernetes plugin's answers are never kept, as kubeadm's Corefile asks. Source: CoreDNS plugin/cache/README.md.
"""

from __future__ import annotations

from labkit.net import dnsrecords as dns
from labkit.net import dnswire as wire

CAPACITY = 9984  # CoreDNS's default

Key = tuple[str, int, int, bool, bool]


class Cache:
    """Answers by question. Times are seconds of any steady clock; the caller passes `now`."""

    def __init__(self, cap: int) -> None:
        self._cap = cap
        self._kept: dict[Key, tuple[float, float, bytes]] = {}

    def get(self, query: wire.Query, now: float) -> bytes | None:
        """The kept answer with the query's own id and question, and TTLs that have aged; None if there is none."""
        key = _key(query)
        kept = self._kept.get(key)
        if kept is None:
            return None
        since, until, data = kept
        if now >= until:
            del self._kept[key]
            return None
        out = bytearray(data)
        for at, ttl in wire.ttls(data).items():
            out[at : at + 4] = max(0, ttl - int(now - since)).to_bytes(4, "big")
        out[:2] = query.id.to_bytes(2, "big")
        out[12 : 12 + len(query.section)] = query.section
        return bytes(out)

    def put(self, query: wire.Query, data: bytes, now: float) -> None:
        """Keep an answer that says something: whole, NOERROR or NXDOMAIN, with a TTL above 0."""
        answer = wire.decode_answer(data)
        ttl = min((self._cap, *wire.ttls(data).values())) if wire.ttls(data) else 0
        echoed = data[12 : 12 + len(query.section)].lower() == query.section.lower()
        if not echoed or ttl <= 0 or answer.truncated or answer.rcode not in (dns.NOERROR, dns.NXDOMAIN):
            return
        if len(self._kept) >= CAPACITY:
            del self._kept[next(iter(self._kept))]
        self._kept[_key(query)] = now, now + ttl, data


def _key(query: wire.Query) -> Key:
    """Bytes are shared only by queries that may be answered with the same: size and EDNS belong to it."""
    return query.name.lower(), query.type, query.size, query.edns, query.dnssec
