"""Sockets of a network namespace that are connected by UDP: listed, and ended in their owners' hands.

A program that has such a socket gets ECONNABORTED from its next call, and from the one that it waits in.
Source: man 7 sock_diag; include/uapi/linux/inet_diag.h; net/ipv4/udp_diag.c.
"""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Iterator
from typing import Self

import msgspec

from labkit.errors import MissingFeature, NetlinkError
from labkit.linux.netlink import Netlink
from labkit.sandbox import modules

_NETLINK_SOCK_DIAG = 4
_BY_FAMILY, _DESTROY = 20, 21
_ESTABLISHED = 1  # a state; the one of UDP sockets that are connected
_REQUEST = struct.Struct("=BBBxI")  # inet_diag_req_v2, up to the socket
_ID = struct.Struct("=2s2s16s16sI8s")  # inet_diag_sockid
_MAPPED = bytes(10) + b"\xff\xff"
_LACKS = (errno.EOPNOTSUPP, errno.ENOENT)


class Connected(msgspec.Struct, frozen=True):
    """A UDP socket that is connected: to this address and port. An IPv6 socket may be, to an IPv4 address.

    cookie  as SO_COOKIE has it
    """

    cookie: int
    address: bytes
    port: int
    family: int
    id: bytes


class Sockets:
    """The UDP sockets of the namespace at `path`. Raises `NetlinkError`, and `MissingFeature` as they say."""

    def __init__(self, path: str) -> None:
        modules.provide("udp_diag")
        self._netlink = Netlink(path, _NETLINK_SOCK_DIAG)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._netlink.close()

    def connected(self) -> Iterator[Connected]:
        """Those that are connected. `MissingFeature` where the kernel cannot list them."""
        for family in (socket.AF_INET, socket.AF_INET6):
            try:
                for body in self._netlink.dump(_BY_FAMILY, _request(family, bytes(_ID.size))):
                    yield _connected(body)
            except NetlinkError as error:
                raise _plain(error, "cannot list UDP sockets (CONFIG_INET_UDP_DIAG)") from error

    def destroy(self, one: Connected) -> None:
        """End a socket. `MissingFeature` where the kernel ends none; one that has gone meanwhile is passed over."""
        try:
            self._netlink.request(_DESTROY, 0, _request(one.family, one.id), "end a UDP socket")
        except NetlinkError as error:
            if error.details["errno"] != errno.ENOENT:
                raise _plain(error, "cannot end sockets (CONFIG_INET_DIAG_DESTROY)") from error


def destroys(path: str) -> None:
    """Raises `MissingFeature` where this kernel ends no sockets."""
    nothing = Connected(0, b"", 0, socket.AF_INET, bytes(_ID.size))
    with Sockets(path) as sockets:
        for _ in sockets.connected():
            pass
        sockets.destroy(nothing)


def _request(family: int, identity: bytes) -> bytes:
    return _REQUEST.pack(family, socket.IPPROTO_UDP, 0, 1 << _ESTABLISHED) + identity


def _connected(body: bytes) -> Connected:
    """From an inet_diag_msg."""
    identity = body[4 : 4 + _ID.size]
    _, port, _, address, _, cookie = _ID.unpack(identity)
    family = body[0]
    if family == socket.AF_INET:
        address = address[:4]
    elif address.startswith(_MAPPED):
        address = address[len(_MAPPED) :]
    return Connected(int.from_bytes(cookie, "little"), address, int.from_bytes(port, "big"), family, identity)


def _plain(error: NetlinkError, what: str) -> NetlinkError | MissingFeature:
    if error.details["errno"] not in _LACKS:
        return error
    return MissingFeature(f"this kernel {what}: {error.message}", missing={"sock-destroy": error.message})
