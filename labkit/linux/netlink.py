"""Netlink as it is the same for every family: attributes, requests, acknowledgements, dumps.

Source: man 7 netlink; include/uapi/linux/netlink.h.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Self

from labkit.errors import NetlinkError
from labkit.linux import netns

REQUEST, ACK, DUMP = 0x1, 0x4, 0x300
REPLACE, EXCLUSIVE, CREATE = 0x100, 0x200, 0x400
NESTED = 0x8000

_HEADER = struct.Struct("=IHHII")
_ATTR = struct.Struct("=HH")
_PADDING = (b"", bytes(3), bytes(2), bytes(1))
_ERROR, _DONE = 2, 3
_SOL_NETLINK, _EXT_ACK, _CAP_ACK = 270, 11, 10
_AT_ONCE = 100  # messages whose answers fit a socket's buffer that is read only afterwards
_ERROR_TEXT = 1  # NLMSGERR_ATTR_MSG


def attr(kind: int, value: bytes) -> bytes:
    """One attribute, padded to four bytes."""
    size = 4 + len(value)
    return _ATTR.pack(size, kind) + value + _PADDING[size & 3]


def u32(kind: int, value: int) -> bytes:
    """An attribute that holds a number of this machine's byte order."""
    return attr(kind, struct.pack("=I", value))


def attrs(data: bytes) -> dict[int, bytes]:
    """The attributes in `data` by kind; of a kind that repeats, the last."""
    return dict(each(data))


def each(data: bytes) -> Iterator[tuple[int, bytes]]:
    """The attributes in `data`, kind and value, in order."""
    at = 0
    while at + 4 <= len(data):
        size, kind = _ATTR.unpack_from(data, at)
        if size < 4:
            break
        yield kind & 0x3FFF, data[at + 4 : at + size]
        at += (size + 3) & ~3


class Netlink:
    """A netlink socket that lives in one network namespace (None: the caller's).

    Raises `NetlinkError`, with the kernel's own words where it gives some.
    """

    def __init__(self, path: str | None = None, family: int = 0) -> None:
        kind = socket.SOCK_RAW | socket.SOCK_CLOEXEC
        if path is None:
            self._socket = socket.socket(socket.AF_NETLINK, kind, family)
        else:
            self._socket = netns.socket_in(path, socket.AF_NETLINK, kind, family)
        self._socket.setsockopt(_SOL_NETLINK, _EXT_ACK, 1)
        self._socket.setsockopt(_SOL_NETLINK, _CAP_ACK, 1)
        self.path = path
        self._sequence = 0
        self._pending: list[tuple[int, str, bytes]] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._socket.close()

    @contextmanager
    def batch(self) -> Iterator[None]:
        """Send what the block asks for in one go. The kernel does all of it; the first refusal is raised."""
        self._pending = []
        try:
            yield
            pending = self._pending
        finally:
            self._pending = None
        if pending:
            self._transact(pending)

    def request(self, kind: int, flags: int, body: bytes, what: str, at_once: bool = False) -> None:
        """Ask for a change; `what` says in words which, for the error. In a batch it waits, unless `at_once`."""
        self._sequence += 1
        message = _HEADER.pack(_HEADER.size + len(body), kind, REQUEST | ACK | flags, self._sequence, 0) + body
        item = (self._sequence, what, message)
        if self._pending is None:
            self._transact([item])
        elif at_once:
            pending, self._pending = [*self._pending, item], []
            self._transact(pending)
        else:
            self._pending.append(item)

    def ask(self, kind: int, body: bytes, what: str) -> bytes:
        """The body of the one object asked for; ENOENT where there is none."""
        self._sequence += 1
        self._socket.send(_HEADER.pack(_HEADER.size + len(body), kind, REQUEST, self._sequence, 0) + body)
        answer, _, found = next(iter(self._messages()))
        if answer == _ERROR:
            raise self._refused(what, -struct.unpack_from("=i", found)[0], found)
        return found

    def dump(self, kind: int, body: bytes) -> Iterator[bytes]:
        """Every object of a kind, as message bodies."""
        self._sequence += 1
        self._socket.send(_HEADER.pack(_HEADER.size + len(body), kind, REQUEST | DUMP, self._sequence, 0) + body)
        done = False
        while not done:
            for got, _, answer in self._messages():
                if got == _ERROR:
                    raise self._refused("list", -struct.unpack_from("=i", answer)[0], answer)
                if got == _DONE:
                    done = True
                else:
                    yield answer

    def _transact(self, items: list[tuple[int, str, bytes]]) -> None:
        failure: NetlinkError | None = None
        for first in range(0, len(items), _AT_ONCE):
            some = items[first : first + _AT_ONCE]
            waiting = {number: what for number, what, _ in some}
            self._socket.send(b"".join(message + bytes(-len(message) % 4) for _, _, message in some))
            while waiting:
                for got, number, body in self._messages():
                    code = -struct.unpack_from("=i", body)[0] if got == _ERROR else 0
                    what = waiting.pop(number, "")
                    if code and failure is None:
                        failure = self._refused(what, code, body)
        if failure:
            raise failure

    def _refused(self, what: str, code: int, body: bytes) -> NetlinkError:
        said = attrs(body[20:]).get(_ERROR_TEXT, b"").rstrip(b"\0").decode()
        reason = f"{os.strerror(code)}{f' ({said})' if said else ''}"
        where = self.path or "this namespace"
        return NetlinkError(f"cannot {what} in {where}: {reason}", errno=code, name=errno.errorcode.get(code, ""))

    def _messages(self) -> Iterator[tuple[int, int, bytes]]:
        data = self._socket.recv(1 << 17)
        at = 0
        while at + _HEADER.size <= len(data):
            size, kind, _, number, _ = _HEADER.unpack_from(data, at)
            yield kind, number, data[at + _HEADER.size : at + size]
            at += (size + 3) & ~3
