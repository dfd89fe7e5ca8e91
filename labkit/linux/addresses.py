"""Whether addresses of a network namespace came or went, without listing them: rtnetlink's own announcements.

Source: man 7 rtnetlink, RTMGRP_IPV4_IFADDR.
"""

from __future__ import annotations

import errno
import struct

from labkit.linux.netlink import Netlink

_SOL_NETLINK, _ADD_MEMBERSHIP = 270, 1
_IPV4_IFADDR, _IPV6_IFADDR = 5, 9  # multicast groups
_INDEX = struct.Struct("=4xI")  # in struct ifaddrmsg


class AddressWatch(Netlink):
    """What is announced from now on, in the namespace at `path`."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self._socket.setblocking(False)
        self._socket.bind((0, 0))  # an unbound one is sent nothing
        for group in (_IPV4_IFADDR, _IPV6_IFADDR):
            self._socket.setsockopt(_SOL_NETLINK, _ADD_MEMBERSHIP, group)

    def moved(self, besides: int = 0) -> bool:
        """Whether an address came or went since the last call, on any link but the one of the number `besides`.

        Also true where the kernel had to drop announcements, because nobody had read the ones before.
        """
        found = False
        while True:
            try:
                found |= any(_INDEX.unpack_from(body)[0] != besides for _, _, body in self._messages())
            except BlockingIOError:
                return found
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                found = True
