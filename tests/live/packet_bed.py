"""One node of a cluster, and everything else: packets go in from anywhere, and what becomes of each is seen.

    node (the proxy's rules) == veth == world, which only hears: pods, endpoints, clients are just addresses

Nothing answers, so that a packet's fate is decided by the node alone. After each packet comes another one whose way is
known: when that has been seen, the first has been dealt with.
"""

from __future__ import annotations

import asyncio
import os
import socket
import struct
import subprocess
from collections.abc import Iterable, Iterator
from ipaddress import ip_address
from itertools import count, cycle
from typing import NamedTuple

from labkit.linux import netns
from labkit.linux.nfnetlink import Netfilter, header
from labkit.net.packet import Packet, endpoint

NUMBERS = {"TCP": 6, "UDP": 17, "SCTP": 132}
_ALL_FRAMES = 0x0003
_DELETE_CONNECTIONS = 0x102  # IPCTNL_MSG_CT_DELETE of nfnetlink's conntrack
_V4, _V6 = 0x0800, 0x86DD
_NODE_MAC, _WORLD_MAC = bytes.fromhex("020000000001"), bytes.fromhex("020000000002")
_OWN = ("198.18.0.2", "fd99::2")  # what the node masquerades with: nobody else's source
_KNOWN = Packet("198.51.100.77", "198.51.100.78", "UDP", 9, 9)  # forwarded by every node
_OUTGOING = 4
_SETTINGS = {
    "net.ipv4.ip_forward": 1,
    "net.ipv6.conf.all.forwarding": 1,
    "net.ipv4.conf.all.rp_filter": 0,
    "net.ipv4.conf.default.rp_filter": 0,
    "net.ipv4.conf.node.rp_filter": 0,
    "net.ipv4.conf.all.send_redirects": 0,
    "net.ipv4.conf.node.send_redirects": 0,
    "net.ipv4.icmp_ratelimit": 0,
    "net.ipv6.icmp.ratelimit": 0,
    "net.netfilter.nf_conntrack_checksum": 0,
}


class Fate(NamedTuple):
    """What became of a packet: DNAT, REJECT, DROP or PASSED (unchanged). `to`: where it was sent."""

    verdict: str
    to: str = ""
    masquerade: bool = False


class PacketBed:
    """A node with these addresses. Make one in a sandbox; `path` is the node's network namespace."""

    def __init__(self, addresses: Iterable[str]) -> None:
        self.path, self._world = netns.create("bed-node"), netns.create("bed-world")
        self._tokens = (number << 8 for number in count(0x510000))
        self._ports = cycle(range(20000, 60000))  # IPVS has connections of its own, which nothing makes it forget
        self._wire(addresses)
        every = socket.htons(_ALL_FRAMES)
        self._heard = netns.socket_in(self.path, socket.AF_PACKET, socket.SOCK_DGRAM, every)
        self._heard.settimeout(5)
        self._outside = netns.socket_in(self._world, socket.AF_PACKET, socket.SOCK_RAW)
        self._outside.bind(("world", 0))
        self._inside = netns.socket_in(self.path, socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
        self._inside6 = netns.socket_in(self.path, socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_RAW)
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})  # one processor's queue keeps the order of packets

    def fate(self, packet: Packet, from_node: bool) -> Fate:
        """Send it, and see."""
        token, after = next(self._tokens), next(self._tokens)
        data = _bytes(packet, token)
        if from_node:
            (self._inside6 if ":" in packet.dst else self._inside).sendto(data, (packet.dst, 0))
        else:
            self._frame(data)
        self._frame(_bytes(_KNOWN, after))
        frames = list(self._until(after.to_bytes(4, "big")))
        return _fate(packet, token, frames)

    def fates(self, packet: Packet, from_node: bool, expected: int) -> set[Fate]:
        """Send packets like it, each from a port of its own, until that many fates are seen and no more are likely."""
        found: set[Fate] = set()
        for number in range(40 * max(expected, 1)):
            one = Packet(packet.src, packet.dst, packet.protocol, next(self._ports), packet.dport)
            found.add(self.fate(one, from_node))
            if len(found) >= expected and number >= 3 * (expected > 1):
                break
        self.forget()
        return found

    def forget(self) -> None:
        """Let no connection be remembered, nor a client that keeps its endpoint."""
        with Netfilter(self.path) as kernel:
            kernel.request(_DELETE_CONNECTIONS, 0, header(), "forget all connections")

    async def settled(self) -> None:
        """Wait until the kernel has taken the node's new IPv6 addresses for its own, which it does afterwards."""
        async with asyncio.timeout(5):
            while self._run(self.path, "ip -6 addr show tentative"):
                await asyncio.sleep(0.01)

    def _frame(self, data: bytes) -> None:
        kind = _V6 if data[0] >> 4 == 6 else _V4
        self._outside.send(_NODE_MAC + _WORLD_MAC + kind.to_bytes(2, "big") + data)

    def _until(self, token: bytes) -> Iterator[tuple[bool, bytes]]:
        """What was seen on the node's interfaces: whether it went out, and its bytes from the IP header."""
        while True:
            data, (_, _, way, *_) = self._heard.recvfrom(2048)
            if token in data and way == _OUTGOING:
                return
            yield way == _OUTGOING, data

    def _wire(self, addresses: Iterable[str]) -> None:
        lines = ["link add node type veth peer name world netns bed-world", "link set lo up"]
        lines += [f"link set node address {_NODE_MAC.hex(':')}", "link set node up"]
        for address in (*_OWN, *addresses):
            length = (64 if ":" in address else 24) if address in _OWN else (128 if ":" in address else 32)
            lines.append(f"addr add {address}/{length} dev node{' nodad' * (':' in address)}")
        for gateway, everything in (("198.18.0.1", "0.0.0.0/0"), ("fd99::1", "::/0")):
            lines.append(f"neigh add {gateway} lladdr {_WORLD_MAC.hex(':')} dev node")
            lines.append(f"route add {everything} via {gateway} dev node onlink")
        self._run(self.path, "ip -batch -", "\n".join(lines))
        self._run(self._world, "ip -batch -", f"link set world address {_WORLD_MAC.hex(':')}\nlink set world up")
        with netns.entered(self.path):
            for name, value in _SETTINGS.items():
                with open(f"/proc/sys/{name.replace('.', '/')}", "w") as setting:  # noqa: PTH123
                    setting.write(str(value))

    @staticmethod
    def _run(path: str, command: str, given: str = "") -> str:
        with netns.entered(path):
            done = subprocess.run(command.split(), input=given, capture_output=True, text=True, check=False)
        assert not done.returncode, f"{command}: {done.stderr}"
        return done.stdout


def _fate(packet: Packet, token: int, frames: list[tuple[bool, bytes]]) -> Fate:
    own, answer = token.to_bytes(4, "big"), (token + 1).to_bytes(4, "big")
    for outgoing, data in frames:
        if not outgoing or (own not in data and answer not in data):
            continue
        protocol, header = (data[6], 40) if data[0] >> 4 == 6 else (data[9], 20)
        if protocol in (1, 58):
            if data[header : header + 2] in (bytes([3, 3]), bytes([1, 4])):
                return Fate("REJECT")
            continue
        if answer in data:
            return Fate("PASSED")  # it reached the node itself, where nothing listens
        seen = _read(data, packet.protocol)
        if (seen.dst, seen.dport) != (packet.dst, packet.dport):
            return Fate("DNAT", endpoint(seen.dst, seen.dport), seen.src != packet.src)
        if not _looped(seen.dst, frames, own):
            return Fate("PASSED")
    return Fate("DROP")


def _looped(address: str, frames: list[tuple[bool, bytes]], own: bytes) -> bool:
    """A packet that the node sends to itself goes out by lo before it comes in: only what follows tells."""
    ins = [data for outgoing, data in frames if not outgoing and own in data]
    outs = [data for outgoing, data in frames if outgoing and own in data]
    return any(data in ins for data in outs)


def _read(data: bytes, protocol: str) -> Packet:
    six = data[0] >> 4 == 6
    at, size, header = (8, 16, 40) if six else (12, 4, 20)
    src, dst = (str(ip_address(data[at + n * size : at + (n + 1) * size])) for n in (0, 1))
    sport, dport = struct.unpack_from(">HH", data, header)
    return Packet(src, dst, protocol, sport, dport)


def _bytes(packet: Packet, token: int) -> bytes:
    """From the IP header: a connection request, a datagram, or an INIT that carries the token."""
    src, dst = ip_address(packet.src).packed, ip_address(packet.dst).packed
    number = NUMBERS[packet.protocol]
    ports = struct.pack(">HH", packet.sport, packet.dport)
    match packet.protocol:
        case "TCP":
            payload, at = ports + struct.pack(">IIBBHHH", token, 0, 5 << 4, 2, 65535, 0, 0), 16
        case "UDP":
            payload, at = ports + struct.pack(">HHI", 12, 0, token), 6
        case _:
            payload, at = ports + struct.pack(">IIBBHIIHHI", 0, 0, 1, 0, 20, token, 65535, 1, 1, 1), 0
    if at:
        pseudo = src + dst + struct.pack(">II", len(payload), number)
        payload = payload[:at] + _checksum(pseudo + payload) + payload[at + 2 :]
    if len(src) == 16:
        return struct.pack(">IHBB", 6 << 28, len(payload), number, 64) + src + dst + payload
    head = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(payload), token >> 8 & 0xFFFF, 0, 64, number, 0) + src + dst
    return head[:10] + _checksum(head) + head[12:] + payload


def _checksum(data: bytes) -> bytes:
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    total = (total >> 16) + (total & 0xFFFF)
    return (~(total + (total >> 16)) & 0xFFFF).to_bytes(2, "big")
