"""nf_tables' packet trace in one network namespace: switch it on for some packets, read which rules they met.

A table of our own, hooked just before iptables' raw table, sets `nftrace` on the packets asked for. The table has the
flag "owner": the kernel removes it with the socket that made it, so nothing stays behind however a trace ends, and
nobody else's tables are touched.

Source: linux/netfilter/nf_tables.h, net/netfilter/nf_tables_trace.c; owner flag: Linux 5.12.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Sequence
from typing import Literal

import msgspec

from labkit.linux import nfnetlink as nl
from labkit.linux.netlink import CREATE, attr, attrs

TABLE = "labkit-trace"
PROTOCOLS = {"TCP": 6, "UDP": 17}

_NFTABLES = 10
_NEW_TABLE, _NEW_CHAIN, _NEW_RULE, _GET_RULE, _TRACE = (_NFTABLES << 8 | n for n in (0, 3, 6, 7, 17))
_TRACE_GROUP = 9
_BEFORE_RAW = -301
_HOOKS = {"PREROUTING": 0, "OUTPUT": 3}
_OWNER = 2

_POLICY = 1
_DROP = bytes(4)


class TraceEvent(msgspec.Struct, frozen=True):
    """A packet met a rule, the end of a chain, or (after the end of a built-in chain) its policy.

    data     the packet's start, from its IP header
    handle   the rule's; 0 at an end and for a policy
    dropped  the rule's verdict, or what its map had for the packet, was to drop it
    """

    table: str
    chain: str
    kind: Literal["rule", "end", "policy"]
    handle: int
    data: bytes
    dropped: bool = False


class NftTrace(nl.Netfilter):
    """The trace of first packets from `sources` (IPv4; none: from anywhere), in the namespace at `path`.

    TCP: connection requests (SYN without ACK); UDP: every datagram. `close` ends it.

    Raises `NetlinkError` where the kernel refuses.
    """

    def __init__(self, path: str, protocol: str, sources: Sequence[str], receive_buffer: int = 0) -> None:
        self._headers: dict[bytes, bytes] = {}
        super().__init__(path, receive_buffer)
        try:
            self.transaction(_NFTABLES, list(_table(protocol, sources)), "set up a packet trace")
            self.join(_TRACE_GROUP)
        except Exception:
            self.close()
            raise

    def events(self) -> Iterator[TraceEvent]:
        """What has been reported so far; never waits."""
        for kind, found in self.received():
            if kind != _TRACE:
                continue
            # A packet's headers come once per hook, with the hook's first event; the id ties the later events to it.
            packet = found[6]
            if 8 in found:
                self._headers[packet] = found[8] + found.get(9, b"")
            table = nl.string(found[1])
            if table != TABLE:
                handle = int.from_bytes(found.get(3, b""), "big")
                # Kernels type a RETURN and a chain's end differently; that a rule's event has a handle holds for all.
                policy = int.from_bytes(found[4], "big") == _POLICY
                what: Literal["rule", "end", "policy"] = "rule" if handle else "policy" if policy else "end"
                dropped = 5 in found and attrs(found[5]).get(1) == _DROP
                data = self._headers.get(packet, b"")
                yield TraceEvent(table, nl.string(found[2]), what, handle, data, dropped)


def handles(path: str) -> dict[tuple[str, str], list[int]]:
    """The rules' handles by (table, chain), in the rules' order, of IPv4 tables. One netlink dump."""
    found: dict[tuple[str, str], list[int]] = {}
    with nl.Netfilter(path) as netfilter:
        for body in netfilter.dump(_GET_RULE, nl.header()):
            rule = attrs(body[4:])
            key = nl.string(rule[1]), nl.string(rule[2])
            found.setdefault(key, []).append(int.from_bytes(rule[3], "big"))
    return found


def _table(protocol: str, sources: Sequence[str]) -> Iterator[tuple[int, int, bytes]]:
    """The messages that make the table: a chain per hook, and in it a rule per source."""
    yield _NEW_TABLE, CREATE, nl.text(1, TABLE) + nl.number(2, _OWNER)
    for name, hook in _HOOKS.items():
        where = nl.nest(4, nl.number(1, hook), nl.number(2, _BEFORE_RAW))
        yield _NEW_CHAIN, CREATE, nl.text(1, TABLE) + nl.text(3, name) + where + nl.text(7, "filter")
        for match in [_source(address) for address in sources] or [()]:
            expressions = nl.nest(4, *match, *_first_packet(protocol), *_set_nftrace())
            yield _NEW_RULE, CREATE | nl.APPEND, nl.text(1, TABLE) + nl.text(2, name) + expressions


# The expressions, on register 1.
_NETWORK, _TRANSPORT = 1, 2


def _source(address: str) -> tuple[bytes, ...]:
    return _load(_NETWORK, 12, 4), _equals(ipaddress.IPv4Address(address).packed)


def _first_packet(protocol: str) -> tuple[bytes, ...]:
    number = _load(_NETWORK, 9, 1), _equals(bytes([PROTOCOLS[protocol]]))
    if protocol != "TCP":
        return number
    syn, syn_ack = bytes([0x02]), bytes([0x12])
    mask = _expression("bitwise", nl.number(1, 1), nl.number(2, 1), nl.number(3, 1), _data(4, syn_ack), _data(5, b"\0"))
    return (*number, _load(_TRANSPORT, 13, 1), mask, _equals(syn))


def _set_nftrace() -> tuple[bytes, ...]:
    nftrace_key = 12
    return (
        _expression("immediate", nl.number(1, 1), _data(2, b"\1")),
        _expression("meta", nl.number(2, nftrace_key), nl.number(3, 1)),
    )


def _load(base: int, offset: int, length: int) -> bytes:
    return _expression("payload", nl.number(1, 1), nl.number(2, base), nl.number(3, offset), nl.number(4, length))


def _equals(value: bytes) -> bytes:
    return _expression("cmp", nl.number(1, 1), nl.number(2, 0), _data(3, value))


def _data(kind: int, value: bytes) -> bytes:
    return nl.nest(kind, attr(1, value))


def _expression(name: str, *parts: bytes) -> bytes:
    return nl.nest(1, nl.text(1, name), nl.nest(2, *parts))
