"""nf_tables in one network namespace: transactions, and what a table holds.

Source: linux/netfilter/nfnetlink.h, nf_tables.h.
"""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress

from labkit.linux import nfnetlink as nl
from labkit.linux.netlink import ACK, REQUEST, attrs
from labkit.linux.nftables.messages import SUBSYSTEM, Message
from labkit.net.nft import NftFamily

FAMILIES = {"ip": 2, "ip6": 10}
_BEGIN, _END = 0x10, 0x11
_HEADER = struct.Struct("=IHHII")
_ERROR = 2
_SO_SNDBUFFORCE = 32
_WANTED = 4 << 20
_KERNELS_OWN = 4096  # of the send buffer: what the kernel adds to a message


class NfTables(nl.Netfilter):
    """A socket for one address family's tables. Raises `NetlinkError` where the kernel refuses.

    most    bytes that one transaction may have: all of it must fit the socket's send buffer, which root may enlarge
            as it likes, and root of a user namespace up to net.core.wmem_max; if given, no more than that
    """

    def __init__(self, path: str, family: NftFamily, most: int = 0) -> None:
        super().__init__(path)
        self.family = FAMILIES[family]
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, _SO_SNDBUFFORCE, _WANTED)
        except PermissionError:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _WANTED)
        possible = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) - _KERNELS_OWN
        self.most = min(most or possible, possible)

    def apply(self, groups: Iterable[Sequence[Message]], most: int = 0) -> None:
        """Groups of messages, in order, in as few transactions as they fit in. A group is never cut.

        most  bytes of a transaction, where it should have fewer than would fit
        """
        limit = min(most or self.most, self.most)
        pending: list[Message] = []
        size = 0
        for group in groups:
            more = sum(len(message.body) + 20 for message in group)
            if pending and size + more > limit:
                self._commit(pending)
                pending, size = [], 0
            pending += group
            size += more
        if pending:
            self._commit(pending)

    def listed(self, kind: int, body: bytes) -> Iterator[dict[int, bytes]]:
        """The attributes of every object that a request of this kind lists."""
        return (attrs(found[4:]) for found in self.dump(SUBSYSTEM << 8 | kind, bytes([self.family, 0, 0, 0]) + body))

    def _commit(self, messages: Sequence[Message]) -> None:
        last = len(messages)
        batch = bytes(2) + SUBSYSTEM.to_bytes(2, "big")
        parts = [_wire(_BEGIN, 0, 0, batch)]
        header = bytes([self.family, 0, 0, 0])
        for place, one in enumerate(messages, 1):
            # Only the last one asks for an answer: one that is at fault answers unasked, and before.
            flags = one.flags | (ACK if place == last else 0)
            parts.append(_wire(SUBSYSTEM << 8 | one.kind, flags, place, header + one.body))
        parts.append(_wire(_END, 0, 0, batch))
        self._socket.send(b"".join(parts))
        for kind, place, body in self._answers():
            if kind == _ERROR and (code := -struct.unpack_from("=i", body)[0]):
                self._rest()
                line = next((m.line for m in messages[max(place, 1) - 1 :] if m.line), "")
                raise self._refused(line, code, body)

    def _answers(self) -> list[tuple[int, int, bytes]]:
        """What the kernel says of a transaction first. It names all that it refuses, which may be more than fits."""
        try:
            return list(self._messages())
        except OSError as error:
            if error.errno != errno.ENOBUFS:
                raise
        return list(self._messages())

    def _rest(self) -> None:
        """Read what else the kernel said of a refused transaction, so that it is not taken for the next one's."""
        self._socket.setblocking(False)
        with suppress(BlockingIOError):
            while self._socket.recv(1 << 17):
                pass
        self._socket.setblocking(True)


def _wire(kind: int, flags: int, place: int, body: bytes) -> bytes:
    return _HEADER.pack(_HEADER.size + len(body), kind, flags | REQUEST, place, 0) + body + bytes(-len(body) % 4)
