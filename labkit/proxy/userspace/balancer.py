"""The load balancer of one Service port: round robin, with the memory of session affinity.

Source: Kubernetes v1.25, pkg/proxy/userspace/roundrobin.go.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence

import msgspec


class NoEndpoint(Exception):
    """The port has no endpoint: the proxy then closes the connection that it has already accepted."""


class Kept(msgspec.Struct):
    """The endpoint that a client had last, and when (seconds of the clock)."""

    endpoint: str
    used: float


class RoundRobin:
    """`name`: the port's, by which its endpoints are shuffled, so that a lab repeats; `clock` in seconds."""

    def __init__(self, name: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._random = random.Random(name)
        self._clock = clock
        self._endpoints: list[str] = []
        self._turn = 0
        self._seconds = 0
        self._kept: dict[str, Kept] = {}

    def configure(self, endpoints: Sequence[str], affinity_seconds: int) -> None:
        """`endpoints`: `ip:port`; clients of one that has gone are forgotten. Other endpoints begin in a new order.

        affinity_seconds: how long an idle client keeps its endpoint; 0 turns session affinity off.
        """
        self._seconds = affinity_seconds
        if set(endpoints) != set(self._endpoints):
            self._endpoints = sorted(endpoints)
            self._random.shuffle(self._endpoints)
            self._turn = 0
        now = self._clock()
        known = set(self._endpoints) if affinity_seconds else set()
        self._kept = {
            client: kept
            for client, kept in self._kept.items()
            if kept.endpoint in known and now - kept.used < affinity_seconds
        }

    def next(self, client: str, anew: bool = False) -> str:
        """The endpoint for a connection of the client at this address.

        anew: the one before could not be reached, so that a client that is kept gets another one too.
        Raises `NoEndpoint`.
        """
        if not self._endpoints:
            raise NoEndpoint
        now = self._clock()
        kept = self._kept.get(client)
        if self._seconds and kept and not anew and now - kept.used < self._seconds:
            kept.used = now
            return kept.endpoint
        endpoint = self._endpoints[self._turn]
        self._turn = (self._turn + 1) % len(self._endpoints)
        if self._seconds:
            self._kept[client] = Kept(endpoint, now)
        return endpoint
