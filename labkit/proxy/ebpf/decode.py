"""The entries of the maps, read back as a plan: the opposite of `tables`."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from ipaddress import ip_network

from labkit.proxy.ebpf import layout
from labkit.proxy.ebpf.maps import Maps
from labkit.proxy.ebpf.plan import Address, EbpfPlan, Frontend

Entry = tuple[str, bytes]
_NAMES = {number: name for name, number in layout.PROTOCOL.items()}
_KINDS = {bits: kind for kind, bits in layout.KINDS.items()}
_KIND_BITS = sum(layout.KINDS.values())


def decode(entries: Mapping[Entry, bytes], maps: Maps, cluster_cidr: str = "") -> EbpfPlan:
    """What entries of a family's maps say, by the maps' names and keys. Slots without an endpoint are left out."""
    ends = {key: backend(value) for (name, key), value in entries.items() if name == maps.backends}
    here = {layout.unpacked(key) for name, key in entries if name == maps.here}
    ranges: dict[int, list[str]] = {}
    slots: dict[tuple[Address, int], dict[int, Address]] = {}
    firsts: dict[tuple[Address, int], bytes] = {}
    for (name, key), value in entries.items():
        if name == maps.source_range:
            bits, number, address = struct.unpack(f"=IHxx{maps.width}s", key)
            ranges.setdefault(number, []).append(str(ip_network((address, bits - 32))))
        elif name == maps.services:
            at, scope, slot = _service(key)
            if slot == 0:
                firsts[at, scope] = value
            elif value[:4] in ends:
                slots.setdefault((at, scope), {})[slot] = ends[value[:4]]
    numbers = {at: layout.SERVICE.unpack(value)[2] for (at, scope), value in firsts.items() if scope == layout.EXTERNAL}
    found = {at: _frontend(at, firsts, slots, tuple(sorted(ranges.get(number, ())))) for at, number in numbers.items()}
    return EbpfPlan(cluster_cidr, found, frozenset(here), numbers)


def _frontend(
    at: Address,
    firsts: Mapping[tuple[Address, int], bytes],
    slots: Mapping[tuple[Address, int], Mapping[int, Address]],
    ranges: tuple[str, ...],
) -> Frontend:
    timeout, _, _, flags, more, _ = layout.SERVICE.unpack(firsts[at, layout.EXTERNAL])

    def backends(scope: int) -> tuple[Address, ...]:
        known = slots.get((at, scope), {})
        return tuple(known[slot] for slot in sorted(known))

    return Frontend(
        address=at,
        kind=_KINDS[flags & _KIND_BITS],
        backends=backends(layout.EXTERNAL),
        internal=backends(layout.INTERNAL) if (at, layout.INTERNAL) in firsts else None,
        local=bool(flags & layout.EXT_LOCAL or more & layout.INT_LOCAL),
        affinity_seconds=timeout & 0xFFFFFF,
        maglev=timeout >> 24 == layout.BY_MAGLEV,
        ranges=ranges,
    )


def _service(key: bytes) -> tuple[Address, int, int]:
    """Address, scope and slot."""
    address, port = layout.unpacked(key[:-8]), int.from_bytes(key[-8:-6], "big")
    return (address, port, _NAMES[key[-4]]), key[-3], layout.slot_of(key)


def backend(value: bytes) -> Address:
    """An endpoint: the opposite of `layout.backend`."""
    return layout.unpacked(value[:-8]), int.from_bytes(value[-8:-6], "big"), _NAMES[value[-6]]
