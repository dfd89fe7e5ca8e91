"""Whether somebody changed the rules of a network namespace: one small look, whatever their number.

    nf_tables   the generation: the kernel counts every transaction        exact
    x_tables    entries and octets of each table                           blind to a change that keeps both

Source: net/netfilter/nf_tables_api.c (nf_tables_getgen); include/uapi/linux/netfilter_ipv4/ip_tables.h
(IPT_SO_GET_INFO).
"""

from __future__ import annotations

import ctypes
import socket
import struct
from collections.abc import Iterable

from labkit.errors import NetlinkError
from labkit.linux import netns
from labkit.linux.iptables import Variant
from labkit.linux.netlink import attrs
from labkit.linux.nfnetlink import Netfilter, header
from labkit.net.rules import Family

Mark = tuple[object, ...]

_GET_GENERATION, _GENERATION = 0xA10, 1  # NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETGEN; NFTA_GEN_ID
_GET_INFO = 64
_INFO = struct.Struct("=32sI5I5III")
_TABLES = (b"filter", b"nat", b"mangle")
_libc = ctypes.CDLL(None, use_errno=True)


class RuleMarks:
    """Looks at the namespace at `path`; what it needs stays open until `close`."""

    def __init__(self, path: str, variant: Variant, families: Iterable[Family] = ("IPv4",)) -> None:
        self._netfilter = Netfilter(path)
        self._legacy = [_legacy(path, family) for family in families if variant is Variant.LEGACY]

    def read(self) -> Mark:
        """Two equal ones: nothing happened in between, as far as this can tell."""
        return self._generation(), *(_table(*tables, name) for tables in self._legacy for name in _TABLES)

    def close(self) -> None:
        self._netfilter.close()
        for sock, _ in self._legacy:
            sock.close()

    def _generation(self) -> int | None:
        """None where the kernel has no nf_tables."""
        try:
            answer = self._netfilter.ask(_GET_GENERATION, header(), "read the generation of nf_tables")
        except NetlinkError:
            return None
        return int.from_bytes(attrs(answer[4:])[_GENERATION], "big")


def _legacy(path: str, family: Family) -> tuple[socket.socket, int]:
    """A socket that can ask about a family's tables, and the level to ask at."""
    domain, level = (socket.AF_INET6, socket.IPPROTO_IPV6) if family == "IPv6" else (socket.AF_INET, socket.IPPROTO_IP)
    return netns.socket_in(path, domain, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.IPPROTO_RAW), level


def _table(sock: socket.socket, level: int, name: bytes) -> tuple[int, int] | None:
    """Entries and octets; None where the kernel has not this table."""
    buffer = ctypes.create_string_buffer(_INFO.pack(name, *[0] * 13), _INFO.size)
    size = ctypes.c_uint(_INFO.size)
    if _libc.getsockopt(sock.fileno(), level, _GET_INFO, buffer, ctypes.byref(size)):
        return None
    *_, entries, octets = _INFO.unpack(buffer.raw)
    return entries, octets
