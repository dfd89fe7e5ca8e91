"""Capture: what crosses every interface of many network namespaces, with the kernel's own times.

    sandbox's root     s-a-eth1 in, s-a-eth2 out ...      one AF_PACKET socket for each namespace,
    node-1             eth0 in, veth-web out ...          made in there, read by this process

Only the packets that a trace looks at pass the filter (a connection's first packets, datagrams, ICMP), so that a bulk
transfer cannot push them out of the buffers; what the kernel had to drop all the same is counted.
Source: packet(7), socket(7), Documentation/networking/{filter,timestamping}.rst.
"""

from __future__ import annotations

import ctypes
import socket
import struct
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, Literal

import msgspec

from labkit.errors import TraceError
from labkit.linux import netns
from labkit.net.place import Place
from labkit.trace.frames import Frame, parse

BUFFER = 4 << 20  # bytes asked for; the kernel's net.core.rmem_max may give less
LARGEST = 20_000  # frames of one namespace in one capture
_SO_TIMESTAMPING = 37
_TIMESTAMPING = 1 << 3 | 1 << 4  # software, of received frames; unlike SO_TIMESTAMPNS it never makes a time up

_ETH_P_ALL = 3
_SNAP = 192  # enough for IP and TCP headers with options, and for an ICMP error with the packet it speaks of
_OUTGOING = 4
_SO_ATTACH_FILTER, _SO_RCVBUFFORCE = 26, 33
_SOL_PACKET, _PACKET_STATISTICS = 263, 6


class Seen(msgspec.Struct, frozen=True):
    """A frame on an interface of a place. `time_ns` is the kernel's, since the epoch."""

    place: Place
    interface: str
    direction: Literal["in", "out"]
    time_ns: int
    frame: Frame


class Tap:
    """The socket in the namespace of one place. Frames that the kernel gave no time for count as lost (`Clock`)."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._overrun = self._untimed = 0
        self.seen: list[Seen] = []
        kind = socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
        self.socket = _timed(netns.socket_in(place.netns, socket.AF_PACKET, kind, socket.htons(_ETH_P_ALL)))
        self.socket.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, _FILTER)
        try:
            self.socket.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, BUFFER)
        except PermissionError:  # it takes root on the host
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)

    def fileno(self) -> int:
        return self.socket.fileno()

    def drain(self) -> None:
        """Take what lies in the socket; never waits."""
        with suppress(BlockingIOError):
            while True:
                self._take(*self.socket.recvmsg(_SNAP, 128))

    def lost(self) -> int:
        """Frames that passed the filter and are not in `seen`. Reading sets the kernel's count to 0: call it once."""
        statistics = self.socket.getsockopt(_SOL_PACKET, _PACKET_STATISTICS, 8)
        dropped: int = struct.unpack("II", statistics)[1]
        return dropped + self._overrun + self._untimed

    def _take(self, data: bytes, ancillary: list[tuple[int, int, bytes]], _: int, sender: tuple[Any, ...]) -> None:
        frame = parse(data)
        if frame is None:
            return
        if len(self.seen) >= LARGEST:
            self._overrun += 1
            return
        times = [struct.unpack_from("ll", value) for _, kind, value in ancillary if kind == _SO_TIMESTAMPING]
        if not times:
            self._untimed += 1
            return
        interface, _, kind = sender[:3]
        seconds, nanoseconds = times[0]
        time_ns = seconds * 1_000_000_000 + nanoseconds
        self.seen.append(Seen(self._place, interface, "out" if kind == _OUTGOING else "in", time_ns, frame))


class Capture:
    """Taps in the namespaces of all places; where a pod shares its node's, the frames are the node's.

    Closing a tap waits for readers in the kernel, about 10 ms: they are closed side by side.
    """

    def __init__(self, places: Sequence[Place]) -> None:
        self.taps: list[Tap] = []
        try:
            for place in owners(places):
                with suppress(FileNotFoundError):  # a pod that has just ended
                    self.taps.append(Tap(place))
        except Exception:
            self.close()
            raise

    def finish(self) -> tuple[list[Seen], int]:
        """All frames seen, in no order, and how many were lost."""
        for tap in self.taps:
            tap.drain()
        return [seen for tap in self.taps for seen in tap.seen], sum(tap.lost() for tap in self.taps)

    def close(self) -> None:
        if self.taps:
            with ThreadPoolExecutor(min(len(self.taps), 32)) as pool:
                list(pool.map(lambda tap: tap.socket.close(), self.taps))


def owners(places: Sequence[Place]) -> list[Place]:
    """One place for each namespace: a pod in its node's network is not the owner of that."""
    return list({place.netns: place for place in sorted(places, key=lambda place: place.kind != "pod")}.values())


class Clock:
    """Keeps the kernel noting the times of frames: it begins some milliseconds after the first socket asks for them."""

    def __init__(self) -> None:
        self._socket = _timed(socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC))

    def wait(self, path: str) -> None:
        """Wait until it does, as datagrams over the loopback of the namespace at `path` show.

        Raises `TraceError` where none has a time within 1 s.
        """
        with _timed(netns.socket_in(path, socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)) as probe:
            probe.bind(("127.0.0.1", 0))
            probe.connect(probe.getsockname())
            probe.settimeout(1)
            end = time.monotonic() + 1
            while time.monotonic() < end:
                probe.send(b"?")
                if probe.recvmsg(1, 128)[1]:
                    return
                time.sleep(0.0005)
        raise TraceError(f"the kernel gives no times for frames in {path}: a trace could not order them")

    def close(self) -> None:
        self._socket.close()


def _timed(sock: socket.socket) -> socket.socket:
    sock.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPING, _TIMESTAMPING)
    return sock


def _filter() -> bytes:
    """The filter as SO_ATTACH_FILTER wants it: IPv4 with TCP's SYN or RST, UDP, ICMP. Offset 0 is the IP header."""
    load_byte, load_half, load_x, load_byte_x = 0x30, 0x28, 0xB1, 0x50
    mask, if_equal, if_any, end = 0x54, 0x15, 0x45, 0x06
    accept, drop = 12, 13
    program = [
        (load_byte, None, None, 0),
        (mask, None, None, 0xF0),
        (if_equal, 3, drop, 0x40),
        (load_byte, None, None, 9),
        (if_equal, accept, 5, 1),
        (if_equal, accept, 6, 17),
        (if_equal, 7, drop, 6),
        (load_half, None, None, 6),
        (if_any, drop, 9, 0x1FFF),
        (load_x, None, None, 0),
        (load_byte_x, None, None, 13),
        (if_any, accept, drop, 0x06),
        (end, None, None, 0xFFFF),
        (end, None, None, 0),
    ]
    # Jumps are counted from the next instruction.
    code = [
        struct.pack("=HBBI", op, 0 if yes is None else yes - at - 1, 0 if no is None else no - at - 1, value)
        for at, (op, yes, no, value) in enumerate(program)
    ]
    return b"".join(code)


_CODE = ctypes.create_string_buffer(_filter())  # kept: the kernel reads it by address
_FILTER = struct.pack("HL", len(_CODE.raw) // 8, ctypes.addressof(_CODE))
