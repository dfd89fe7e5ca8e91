"""Generic netlink: families of the kernel that are found by name.

    nlmsghdr, its type the family's number | genlmsghdr: command, version | attributes

Source: include/uapi/linux/genetlink.h.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from labkit.linux.netlink import Netlink, attr, attrs

_GENERIC, _CONTROL = 16, 16
_GET_FAMILY = 3
_FAMILY_ID, _FAMILY_NAME = 1, 2


class Generic(Netlink):
    """A socket that speaks to one family in the namespace at `path`.

    Raises `NetlinkError`, with ENOENT where the kernel has no family of that name.
    """

    def __init__(self, path: str | None, name: str, version: int = 1) -> None:
        super().__init__(path, _GENERIC)
        self._version = version
        try:
            answer = self.ask(
                _CONTROL, _header(_GET_FAMILY, 1) + attr(_FAMILY_NAME, name.encode() + b"\0"), f"find {name}"
            )
        except BaseException:
            self.close()
            raise
        (self._family,) = struct.unpack_from("=H", attrs(answer[4:])[_FAMILY_ID])

    def command(self, number: int, body: bytes, what: str) -> None:
        """Ask for a change; see `Netlink.request`."""
        self.request(self._family, 0, _header(number, self._version) + body, what)

    def listed(self, number: int, body: bytes = b"") -> Iterator[dict[int, bytes]]:
        """The attributes of every object that a command dumps."""
        for answer in self.dump(self._family, _header(number, self._version) + body):
            yield attrs(answer[4:])


def _header(command: int, version: int) -> bytes:
    return struct.pack("=BBH", command, version, 0)
