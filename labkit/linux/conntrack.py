"""The kernel's connection tracking table of one network namespace: what was translated into what.

    original   10.244.1.5:40000 -> 10.96.0.20:80       as the first packet came
    reply      10.244.2.7:8080  -> 10.244.1.5:40000    as an answer must come: its source is the server behind a DNAT

Source: linux/netfilter/nfnetlink_conntrack.h, nf_conntrack_common.h, nf_conntrack_tcp.h.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Mapping

import msgspec

from labkit.linux.netlink import Netlink, attrs
from labkit.net.packet import Packet

_NETFILTER = 12
_GET = 0x101  # NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_GET
_ORIGINAL, _REPLY, _STATUS, _PROTOINFO, _TIMEOUT, _MARK = 1, 2, 3, 4, 7, 8
_ADDRESSES, _PROTOCOL = 1, 2
_SEEN_REPLY = 0x2
_TCP_STATES = (
    "NONE", "SYN_SENT", "SYN_RECV", "ESTABLISHED", "FIN_WAIT", "CLOSE_WAIT", "LAST_ACK", "TIME_WAIT", "CLOSE",
    "SYN_SENT2",
)  # fmt: skip
_PROTOCOLS = {1: "ICMP", 6: "TCP", 17: "UDP", 58: "ICMPV6", 132: "SCTP"}
_PORTS = {6, 17, 132}

# A tuple of IPv4 addresses and two ports, as the kernel lays it out; whatever differs is taken apart piece by piece.
_PLAIN = struct.Struct(">4x 4x4s 4x4s 4x 4xB3x 4xH2x 4xH2x")


class Flow(msgspec.Struct, frozen=True):
    """One entry. `state`: TCP's own, "UNREPLIED" or empty for the others; `timeout` in seconds."""

    original: Packet
    reply: Packet
    state: str = ""
    timeout: int = 0
    mark: int = 0

    @property
    def translated(self) -> bool:
        """Whether addresses or ports were rewritten."""
        return self.original != self.reply.reversed()


def dump(netns: str, protocol: int | None = None) -> list[Flow]:
    """The table of the namespace at `netns`; with `protocol` (6 TCP, 17 UDP) that protocol's entries only.

    Raises `NetlinkError`, for instance where the kernel has no connection tracking.
    """
    with Netlink(netns, _NETFILTER) as kernel:
        flows = [read_flow(body) for body in kernel.dump(_GET, bytes(4))]
    wanted = _PROTOCOLS.get(protocol or 0)
    return [flow for flow in flows if not wanted or flow.original.protocol == wanted]


def read_flow(body: bytes) -> Flow:
    """An entry from the body of the kernel's message about it."""
    return flow_of(attrs(body[4:]))


def flow_of(found: Mapping[int, bytes]) -> Flow:
    """An entry from its attributes."""
    original = _packet(found[_ORIGINAL])
    state = ""
    if info := found.get(_PROTOINFO):
        if original.protocol == "TCP":
            state = _TCP_STATES[attrs(attrs(info)[1])[1][0]]
    elif not int.from_bytes(found[_STATUS], "big") & _SEEN_REPLY:
        state = "UNREPLIED"
    timeout, mark = (int.from_bytes(found.get(kind, b""), "big") for kind in (_TIMEOUT, _MARK))
    return Flow(original, _packet(found[_REPLY]), state, timeout, mark)


def _packet(data: bytes) -> Packet:
    if len(data) == _PLAIN.size:
        src, dst, protocol, sport, dport = _PLAIN.unpack(data)
        if protocol in _PORTS:
            return Packet(socket.inet_ntoa(src), socket.inet_ntoa(dst), _PROTOCOLS[protocol], sport, dport)
    parts = attrs(data)
    addresses, proto = attrs(parts[_ADDRESSES]), attrs(parts[_PROTOCOL])
    protocol = proto[1][0]
    version, first = (socket.AF_INET, 1) if 1 in addresses else (socket.AF_INET6, 3)
    ports = [int.from_bytes(proto[kind], "big") if kind in proto else None for kind in (2, 3)]
    return Packet(
        socket.inet_ntop(version, addresses[first]),
        socket.inet_ntop(version, addresses[first + 1]),
        _PROTOCOLS.get(protocol, str(protocol)),
        *ports,
    )
