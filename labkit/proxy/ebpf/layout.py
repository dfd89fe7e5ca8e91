"""Entries of the maps as bytes: the structures of maps.h, which are Cilium's."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from ipaddress import ip_address, ip_network
from socket import AF_INET, AF_INET6, IPPROTO_TCP, IPPROTO_UDP, inet_pton

import msgspec

from labkit.net.packet import endpoint
from labkit.proxy.ebpf.plan import Address, Frontend, Kind

FIRST = bytes(4)  # the one key of NODE
EXTERNAL, INTERNAL = 0, 1  # scopes
ACTIVE, TERMINATING = 0, 1
PROTOCOL = {"tcp": IPPROTO_TCP, "udp": IPPROTO_UDP}
SET = b"\x01"  # the value where only the key counts

AT_RANDOM, BY_MAGLEV = 1, 2
KINDS: dict[Kind, int] = {"ClusterIP": 0, "ExternalIPs": 1 << 0, "NodePort": 1 << 1, "LoadBalancer": 1 << 5}
EXT_LOCAL, _AFFINITY, _ROUTABLE, _SOURCE_RANGE = 1 << 2, 1 << 4, 1 << 6, 1 << 7
INT_LOCAL, _TWO_SCOPES = 1 << 4, 1 << 5  # of the second byte
SERVICE = struct.Struct("=IHHBBH")


class Connection(msgspec.Struct, frozen=True):
    """A connection from outside, as `ip:port`: from whom, to what, where it went, and whom the endpoint sees."""

    protocol: str
    client: str
    service: str
    endpoint: str
    source: str


def service_key(address: Address, scope: int, slot: int) -> bytes:
    """A key of the map of Services: struct lb4_key."""
    ip, port, protocol = address
    return packed(ip) + struct.pack(">H", port) + struct.pack("=HBBxx", slot, PROTOCOL[protocol], scope)


def slot_of(key: bytes) -> int:
    """The slot of a `service_key`."""
    return int.from_bytes(key[-6:-4], "little")


def service(frontend: Frontend, count: int, number: int) -> bytes:
    """Slot 0 of a frontend: struct lb4_service."""
    algorithm = BY_MAGLEV if frontend.maglev else AT_RANDOM
    flags = KINDS[frontend.kind]
    flags |= EXT_LOCAL if frontend.local and frontend.kind != "ClusterIP" else 0
    flags |= _AFFINITY if frontend.affinity_seconds else 0
    flags |= _ROUTABLE if frontend.routable else 0
    flags |= _SOURCE_RANGE if frontend.ranges else 0
    more = INT_LOCAL if frontend.local and frontend.kind == "ClusterIP" else 0
    more |= _TWO_SCOPES if frontend.internal is not None else 0
    return SERVICE.pack(algorithm << 24 | frontend.affinity_seconds, count, number, flags, more, 0)


def slot(backend: int, number: int) -> bytes:
    """Slots 1 to n, with the number of an endpoint: struct lb4_service."""
    return SERVICE.pack(backend, 0, number, 0, 0, 0)


def backend_key(number: int) -> bytes:
    return struct.pack("=I", number)


def backend(address: Address, state: int) -> bytes:
    """An endpoint: struct lb4_backend."""
    ip, port, protocol = address
    return packed(ip) + struct.pack(">H", port) + struct.pack("=BBHBx", PROTOCOL[protocol], state, 0, 0)


def frontend_key(number: int) -> bytes:
    """The number of a frontend where it is a key by itself."""
    return struct.pack(">H", number)


def reverse_nat(address: Address) -> bytes:
    """What replies of a frontend come from: struct lb4_reverse_nat."""
    return packed(address[0]) + struct.pack(">H", address[1])


def maglev(backends: Sequence[int]) -> bytes:
    """The numbers of endpoints, one for each hash value."""
    return struct.pack(f"={len(backends)}I", *backends)


def affinity_match(backend: int, number: int) -> bytes:
    """That an endpoint is one of a frontend's: struct lb_affinity_match."""
    return struct.pack("=IHxx", backend, number)


def source_range(prefix: str, number: int) -> bytes:
    """A prefix behind the number of its frontend, in one string of bits: struct lb4_src_range_key."""
    network = ip_network(prefix)
    return struct.pack("=IHxx", 32 + network.prefixlen, number) + network.network_address.packed


def sockets(entries: Mapping[bytes, bytes], width: int) -> dict[tuple[int, str], str]:
    """Cookie of a socket and what it asked for -> where it went (struct revnat_tuple and its entry)."""
    found = {}
    for key, value in entries.items():
        cookie, ip, port = struct.unpack_from(f"=Q{width}s2s", key)
        found[cookie, _text(value[:width], value[width : width + 2])] = _text(ip, port)
    return found


def connections(
    flows: Mapping[bytes, bytes], backends: Mapping[bytes, bytes], node: Mapping[bytes, bytes]
) -> Iterator[Connection]:
    """Those in the map of connections (struct ct_tuple, struct ct_entry); the other two tell what it refers to."""
    names = {number: name for name, number in PROTOCOL.items()}
    for key, value in flows.items():
        width = len(key) // 2 - 4
        client, service, sport, dport, protocol, reply = struct.unpack_from(f"={width}s{width}s2s2sBB", key)
        if reply or not (backend := backends.get(value[:4])):
            continue
        port = value[6:8]
        seen = _text(node[FIRST], port) if any(port) else _text(client, sport)
        to = _text(backend[:-8], backend[-8:-6])
        yield Connection(names[protocol], _text(client, sport), _text(service, dport), to, seen)


def packed(ip: str) -> bytes:
    """An address, in network order."""
    return inet_pton(AF_INET6 if ":" in ip else AF_INET, ip)


def unpacked(data: bytes) -> str:
    """The opposite."""
    return str(ip_address(data))


def _text(ip: bytes, port: bytes) -> str:
    return endpoint(unpacked(ip), int.from_bytes(port, "big"))
