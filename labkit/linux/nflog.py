"""Packets that the kernel logs by netlink (NFLOG, and the TRACE target of iptables-legacy), in one network namespace.

Source: linux/netfilter/nfnetlink_log.h; net/netfilter/nf_log.c for `net.netfilter.nf_log.2`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec

from labkit.linux import netns
from labkit.linux import nfnetlink as nl
from labkit.linux.netlink import attr

_LOG = 4 << 8
_CONFIG = _LOG | 1
_BIND = 1
_COPY_PACKET = 2
_LOGGER = Path("/proc/sys/net/netfilter/nf_log/2")  # 2: IPv4; /proc/sys/net is that of the thread's namespace


class Logged(msgspec.Struct, frozen=True):
    """A logged packet: the rule's prefix, and the packet's start from its IP header."""

    prefix: str
    data: bytes


class NfLog(nl.Netfilter):
    """What is logged to `group` in the namespace at `path`. Raises `NetlinkError` where somebody else has the group."""

    def __init__(self, path: str, group: int, receive_buffer: int = 0, length: int = 128) -> None:
        super().__init__(path, receive_buffer)
        what = f"listen to log group {group}"
        try:
            self.request(_CONFIG, 0, nl.header(group) + attr(1, bytes([_BIND])), what)
            mode = attr(2, length.to_bytes(4, "big") + bytes([_COPY_PACKET, 0]))
            # Threshold 1: a packet is reported at once, not when a hundred are there or a second has passed.
            self.request(_CONFIG, 0, nl.header(group) + mode + nl.number(5, 1), what)
        except Exception:
            self.close()
            raise

    def packets(self) -> Iterator[Logged]:
        """What has been logged so far; never waits."""
        for kind, found in self.received():
            if kind == _LOG:
                yield Logged(nl.string(found.get(10, b"")), found.get(9, b""))


def choose_logger(path: str, name: str) -> str:
    """Set who gets IPv4's log messages in a namespace (`net.netfilter.nf_log.2`); returns who got them before."""
    with netns.entered(path):
        before = _LOGGER.read_text().strip()
        if before != name:
            _LOGGER.write_text(name)
    return before
