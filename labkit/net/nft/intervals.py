"""Address ranges as an interval set of nf_tables holds them: merged, sorted, without overlap."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network, summarize_address_range

import msgspec


class Interval(msgspec.Struct, frozen=True):
    """Addresses from `first` to `last` as numbers, both of them included; `bits` of an address: 32 or 128."""

    first: int
    last: int
    bits: int

    def __str__(self) -> str:
        """An address, a prefix where the range is one, or `first-last`."""
        first, last = _address(self.first, self.bits), _address(self.last, self.bits)
        if first == last:
            return str(first)
        prefixes = list(summarize_address_range(first, last))
        return str(prefixes[0]) if len(prefixes) == 1 else f"{first}-{last}"


def merged(prefixes: Iterable[str]) -> list[Interval]:
    """The intervals that addresses and prefixes of one family cover; neighbours become one."""
    networks = [ip_network(prefix) for prefix in prefixes]
    found: list[Interval] = []
    for first, last, bits in sorted((int(n[0]), int(n[-1]), n.max_prefixlen) for n in networks):
        if found and first <= found[-1].last + 1:
            found[-1] = Interval(found[-1].first, max(found[-1].last, last), bits)
        else:
            found.append(Interval(first, last, bits))
    return found


def _address(number: int, bits: int) -> IPv4Address | IPv6Address:
    return ip_address(number.to_bytes(bits // 8, "big"))
