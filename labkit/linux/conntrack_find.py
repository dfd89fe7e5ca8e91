"""One connection tracking entry by its addresses: a look-up in the kernel's hash.

A dump (`labkit.linux.conntrack`) walks the whole hash, 11 ms with 262,144 buckets, however few entries it has.
Source: net/netfilter/nf_conntrack_netlink.c, ctnetlink_get_conntrack.
"""

from __future__ import annotations

import errno
import ipaddress

from labkit.errors import NetlinkError
from labkit.linux.conntrack import Flow, read_flow
from labkit.linux.netlink import attr
from labkit.linux.nfnetlink import Netfilter, header, nest
from labkit.linux.nfttrace import PROTOCOLS
from labkit.net.packet import Packet

_GET, _DELETE = 0x101, 0x102  # NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_GET, …_DELETE


class Entries(Netfilter):
    """The table of the namespace at a path."""

    def find(self, packet: Packet) -> Flow | None:
        """The entry of an IPv4 TCP or UDP packet, whichever of the connection's two directions it has."""
        try:
            return read_flow(self.ask(_GET, header() + _tuple(packet), "look up a connection"))
        except NetlinkError as error:
            if error.details["errno"] != errno.ENOENT:
                raise
            return None

    def forget(self, packet: Packet) -> None:
        """Delete the entry of an IPv4 TCP or UDP packet, by its original direction; one that has gone is no error."""
        try:
            self.request(_DELETE, 0, header() + _tuple(packet), f"forget the connection {packet}")
        except NetlinkError as error:
            if error.details["errno"] != errno.ENOENT:
                raise


def _tuple(packet: Packet) -> bytes:
    """The addresses and ports by which the kernel finds an entry (CTA_TUPLE_ORIG)."""
    addresses = (ipaddress.IPv4Address(a).packed for a in (packet.src, packet.dst))
    ports = ((port or 0).to_bytes(2, "big") for port in (packet.sport, packet.dport))
    ip = nest(1, *(attr(kind, value) for kind, value in enumerate(addresses, 1)))
    protocol = attr(1, bytes([PROTOCOLS[packet.protocol]]))
    return nest(1, ip, nest(2, protocol, *(attr(kind, value) for kind, value in enumerate(ports, 2))))
