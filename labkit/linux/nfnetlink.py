"""Netfilter over netlink, beyond what every family shares: its message header, transactions, multicast groups.

    nlmsghdr | nfgenmsg: family, version, resource id (big endian) | attributes, their numbers big endian

Source: linux/netfilter/nfnetlink.h.
"""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Iterator, Sequence

from labkit.linux.netlink import ACK, NESTED, REQUEST, Netlink, attr, attrs

IPV4 = 2
APPEND = 0x800

_NETLINK_NETFILTER = 12
_BATCH_BEGIN, _BATCH_END = 0x10, 0x11
_HEADER = struct.Struct("=IHHII")
_ERROR = 2
_SOL_NETLINK, _ADD_MEMBERSHIP = 270, 1


def header(resource: int = 0) -> bytes:
    """The nfgenmsg that a body begins with, for IPv4."""
    return bytes([IPV4, 0]) + resource.to_bytes(2, "big")


def text(kind: int, value: str) -> bytes:
    """A string attribute, ended by zero."""
    return attr(kind, value.encode() + b"\0")


def number(kind: int, value: int) -> bytes:
    """A 32-bit number in network byte order, signed or not."""
    return attr(kind, value.to_bytes(4, "big", signed=value < 0))


def nest(kind: int, *inner: bytes) -> bytes:
    """An attribute made of attributes."""
    return attr(kind | NESTED, b"".join(inner))


def string(payload: bytes) -> str:
    """A string attribute's value."""
    return payload.rstrip(b"\0").decode()


class Netfilter(Netlink):
    """A netfilter socket in the namespace at `path`. Raises `NetlinkError` where the kernel refuses a request."""

    def __init__(self, path: str, receive_buffer: int = 0) -> None:
        super().__init__(path, _NETLINK_NETFILTER)
        self.overruns = 0
        if receive_buffer:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)

    def fileno(self) -> int:
        return self._socket.fileno()

    def join(self, group: int) -> None:
        """Receive from now on what the kernel sends to a multicast group."""
        self._socket.setsockopt(_SOL_NETLINK, _ADD_MEMBERSHIP, group)

    def transaction(self, subsystem: int, messages: Sequence[tuple[int, int, bytes]], what: str) -> None:
        """Changes (type, flags, attributes) that happen all or not at all; `what` names them in an error."""
        # Only the last message asks for an answer: one that is at fault answers unasked, and before.
        last = len(messages) - 1
        begin, end = (_wire(kind, 0, bytes(2) + subsystem.to_bytes(2, "big")) for kind in (_BATCH_BEGIN, _BATCH_END))
        for i, (kind, flags, body) in enumerate(messages):
            begin += _wire(kind, flags | (ACK if i == last else 0), header() + body)
        self._socket.send(begin + end)
        for kind, _, body in self._messages():
            if kind == _ERROR and (code := -struct.unpack_from("=i", body)[0]):
                raise self._refused(what, code, body)

    def received(self) -> Iterator[tuple[int, dict[int, bytes]]]:
        """Type and attributes of the messages that lie in the socket; never waits.

        `overruns` counts how often the kernel had to drop some because nobody had read the ones before.
        """
        self._socket.setblocking(False)
        while True:
            try:
                messages = list(self._messages())
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                self.overruns += 1
                continue
            yield from ((kind, attrs(body[4:])) for kind, _, body in messages)


def _wire(kind: int, flags: int, body: bytes) -> bytes:
    return _HEADER.pack(_HEADER.size + len(body), kind, flags | REQUEST, 0, 0) + body
