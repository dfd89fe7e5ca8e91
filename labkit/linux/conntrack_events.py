"""New connections of one network namespace, told by its connection tracking as they begin.

The table forgets a connection at once that a reset refuses, before anybody could look it up.
Source: net/netfilter/nf_conntrack_proto_tcp.c, nfnetlink_conntrack.h (NFNLGRP_CONNTRACK_NEW).
"""

from __future__ import annotations

from labkit.linux.conntrack import Flow, flow_of
from labkit.linux.nfnetlink import Netfilter

BUFFER = 1 << 20

_NEW = 0x100  # NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_NEW
_NEW_GROUP = 1


class NewConnections(Netfilter):
    """Listens in the namespace at `path` until `close`; `flows` are those that `drain` has read, in their order."""

    def __init__(self, path: str) -> None:
        super().__init__(path, BUFFER)
        self._socket.bind((0, 0))  # a socket without a number of its own is passed over
        self.join(_NEW_GROUP)
        self.flows: list[Flow] = []

    def drain(self) -> None:
        """Take what has been told; never waits."""
        self.flows += [flow_of(found) for kind, found in self.received() if kind == _NEW]
