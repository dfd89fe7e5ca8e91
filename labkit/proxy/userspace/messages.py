"""What the writer of the rules and the proxy process say to each other."""

from __future__ import annotations

import msgspec


class Wanted(msgspec.Struct, frozen=True):
    """A Service port that the process serves: its name, "tcp" or "udp", its endpoints, its session affinity."""

    name: str
    protocol: str
    endpoints: tuple[str, ...] = ()
    affinity_seconds: int = 0


class Claim(msgspec.Struct, frozen=True, order=True):
    """A port of the node that a Service has: held, so that no other program can have it. Empty address: all of them."""

    address: str
    port: int
    protocol: str


class Opened(msgspec.Struct, frozen=True):
    """The node's port for each `Wanted`, and the claims that another program has already, each with the reason."""

    ports: tuple[int, ...]
    refused: tuple[tuple[Claim, str], ...]
