"""A packet's addresses: what NAT rewrites and what the pictures show."""

from __future__ import annotations

import msgspec


class Packet(msgspec.Struct, frozen=True):
    """The five-tuple of a packet. Ports are None where the protocol has none; protocol is upper case."""

    src: str
    dst: str
    protocol: str = "TCP"
    sport: int | None = None
    dport: int | None = None

    def reversed(self) -> Packet:
        """The same flow seen from the other end."""
        return Packet(self.dst, self.src, self.protocol, self.dport, self.sport)

    def __str__(self) -> str:
        return f"{self.protocol} {endpoint(self.src, self.sport)} -> {endpoint(self.dst, self.dport)}"


def endpoint(address: str, port: int | None) -> str:
    """`10.0.0.1:80`, `[fd00::1]:80`, or the bare address where there is no port."""
    if port is None:
        return address
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def split_endpoint(text: str) -> tuple[str, int]:
    """Address and port of what `endpoint` has joined."""
    address, _, port = text.rpartition(":")
    return address.strip("[]"), int(port)
