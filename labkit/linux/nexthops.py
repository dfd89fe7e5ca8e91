"""Routes that lead to several machines: next hops, groups of them, routes to a group.

    with Nexthops("/run/netns/router") as router:
        router.add_hop(1, via="172.18.1.11", dev="zone-a")
        router.add_hop(2, via="172.18.2.12", dev="zone-b")
        router.set_group(100, [1, 2])
        router.lead("198.51.100.1/32", group=100)

A group is resilient: each of its buckets, which a flow's hash chooses, leads to one hop until that hop goes. When one
comes, it gets only buckets that nothing passes through; after a time, with or without that, as many as are its due.
Source: man 8 ip-nexthop; Documentation/networking/nexthop-group-resilient.rst, include/uapi/linux/nexthop.h.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

from labkit.linux.netlink import CREATE, NESTED, REPLACE, attr, u32
from labkit.linux.rtnetlink import (
    RT_TABLE_MAIN,
    RTA_DST,
    RTM_NEWROUTE,
    RTN_UNICAST,
    RTPROT_STATIC,
    SCOPE_UNIVERSE,
    Links,
    family_of,
    packed_of,
    prefix_of,
)

_NHMSG = struct.Struct("=BBBBI")
_MEMBER = struct.Struct("=IBBH")
_RTMSG = struct.Struct("=BBBBBBBBI")

RTM_NEWNEXTHOP, RTM_DELNEXTHOP, RTM_DELROUTE = 104, 105, 25
NHA_ID, NHA_GROUP, NHA_GROUP_TYPE, NHA_OIF, NHA_GATEWAY, NHA_RES_GROUP = 1, 2, 3, 5, 6, 12
RES_BUCKETS, RES_IDLE_TIMER, RES_UNBALANCED_TIMER = 1, 2, 3
RESILIENT = 1
RTA_NH_ID = 30
RTN_UNREACHABLE = 7

BUCKETS = 256
IDLE, UNBALANCED = 100, 1000  # hundredths of a second: how long nothing passed; how long a hop waits for its share


class Nexthops(Links):
    """The next hops of one network namespace. Numbers of hops and groups are the caller's choice, from one range."""

    def add_hop(self, number: int, via: str, dev: str) -> None:
        gateway = packed_of(via)
        body = _NHMSG.pack(family_of(gateway), 0, RTPROT_STATIC, 0, 0)
        body += u32(NHA_ID, number) + u32(NHA_OIF, self.index(dev)) + attr(NHA_GATEWAY, gateway)
        self.request(RTM_NEWNEXTHOP, CREATE | REPLACE, body, f"add next hop {via}")

    def set_group(self, number: int, hops: Sequence[int]) -> None:
        """Make a group, or give it other members: at least one."""
        members = b"".join(_MEMBER.pack(hop, 0, 0, 0) for hop in hops)
        timers = attr(RES_BUCKETS, struct.pack("=H", BUCKETS))
        timers += u32(RES_IDLE_TIMER, IDLE) + u32(RES_UNBALANCED_TIMER, UNBALANCED)
        body = _NHMSG.pack(0, 0, RTPROT_STATIC, 0, 0) + u32(NHA_ID, number) + attr(NHA_GROUP, members)
        body += attr(NHA_GROUP_TYPE, struct.pack("=H", RESILIENT)) + attr(NHA_RES_GROUP | NESTED, timers)
        self.request(RTM_NEWNEXTHOP, CREATE | REPLACE, body, f"set next hop group {number}")

    def delete_hop(self, number: int) -> None:
        """Delete a hop or a group, and the routes that lead to a group."""
        self.request(RTM_DELNEXTHOP, 0, _NHMSG.pack(0, 0, 0, 0, 0) + u32(NHA_ID, number), f"delete next hop {number}")

    def lead(self, to: str, group: int) -> None:
        """Add or replace a route."""
        body = _route(to, RTN_UNICAST) + u32(RTA_NH_ID, group)
        self.request(RTM_NEWROUTE, CREATE | REPLACE, body, f"add route to {to}")

    def refuse(self, to: str) -> None:
        """Add or replace a route that leads nowhere: whoever sends there is told so."""
        self.request(RTM_NEWROUTE, CREATE | REPLACE, _route(to, RTN_UNREACHABLE), f"add route to {to}")

    def delete_route(self, to: str) -> None:
        self.request(RTM_DELROUTE, 0, _route(to, 0), f"delete route to {to}")


def _route(to: str, kind: int) -> bytes:
    packed, bits = prefix_of(to)
    head = _RTMSG.pack(family_of(packed), bits, 0, 0, RT_TABLE_MAIN, RTPROT_STATIC, SCOPE_UNIVERSE, kind, 0)
    return head + attr(RTA_DST, packed)
