"""IPVS's schedulers, step for step as the kernel's: who gets the next connection.

    spread = Spread(table.virtual_servers()[0])
    [spread.connect(packet) for packet in packets]         # the real servers, in the order of the connections

What one decides depends on the order of the kernel's list, on the weights, and on the connections so far or on a hash
of the packet. Source: Linux, net/netfilter/ipvs/ip_vs_{rr,wrr,lc,wlc,sed,nq,sh,dh,mh}.c and ip_vs_core.c.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import gcd

from labkit.errors import RuleError
from labkit.net.ipvs import RealServer, VirtualServer
from labkit.net.packet import Packet
from labkit.trace.model.server_hashes import HASHES


@dataclass
class Load:
    """One real server with its connections. A new one is inactive until it is established, and after it was closed."""

    server: RealServer
    active: int = 0
    inactive: int = 0

    @property
    def weight(self) -> int:
        return self.server.weight


Scheduler = Callable[[Packet], Load | None]


@dataclass
class Spread:
    """The connections of one virtual server; `loads` are in the order of the kernel's list."""

    virtual: VirtualServer
    loads: list[Load] = field(init=False)
    _schedule: Scheduler = field(init=False)
    _kept: dict[str, Load] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.loads = [Load(s, s.active, s.inactive) for s in self.virtual.servers]
        make = SCHEDULERS.get(self.virtual.scheduler)
        if make is None:
            raise RuleError(f"the model tracer does not know the scheduler {self.virtual.scheduler!r}")
        self._schedule = make(self.loads, self.virtual)

    def connect(self, packet: Packet) -> RealServer | None:
        """The server of a new connection; None where it is refused. With persistence a client keeps its server."""
        load = self._kept.get(packet.src) if self.virtual.persistent else None
        if load is None or not load.weight:
            load = self._schedule(packet)
        if load is None:
            return None
        self._kept[packet.src] = load
        load.inactive += 1
        return load.server

    def established(self, server: RealServer) -> None:
        load = self._of(server)
        load.inactive, load.active = load.inactive - 1, load.active + 1

    def closed(self, server: RealServer) -> None:
        """It still counts as inactive until the kernel forgets it, two minutes later."""
        load = self._of(server)
        load.inactive, load.active = load.inactive + 1, load.active - 1

    def forgotten(self, server: RealServer) -> None:
        self._of(server).inactive -= 1

    def _of(self, server: RealServer) -> Load:
        return next(load for load in self.loads if load.server.address == server.address)


class _RoundRobin:
    def __init__(self, loads: Sequence[Load], _: VirtualServer) -> None:
        self._loads = loads
        self._at = -1  # the list's head, in front of the first

    def __call__(self, _: Packet) -> Load | None:
        count = len(self._loads)
        for step in range(1, count + 1):
            at = (self._at + step) % count if self._at >= 0 else step - 1
            if self._loads[at].weight > 0:
                self._at = at
                return self._loads[at]
        return None


class _Weighted:
    """Round after round for all whose weight is at least `required`, which goes down from the largest weight to 1.

    Where the first round begins depends on the order in which the servers were added: the last in the list first.
    """

    def __init__(self, loads: Sequence[Load], _: VirtualServer) -> None:
        self._loads = loads
        self._at = -1
        self._step, self._most, self._required = 1, 0, 0
        for first in reversed(range(len(loads))):
            self._changed([load.weight for load in loads[first:] if load.weight > 0])

    def _changed(self, weights: Sequence[int]) -> None:
        self._step = gcd(*weights) or 1
        self._most = max(weights, default=0) - (self._step - 1)
        if self._required > self._most or not self._required:
            self._required = self._most
        elif self._step > 1:
            self._required = self._required // self._step * self._step + 1

    def __call__(self, _: Packet) -> Load | None:
        if self._most <= 0:
            return None
        while True:
            for at in range(self._at + 1, len(self._loads)):
                if self._loads[at].weight >= self._required:
                    self._at = at
                    return self._loads[at]
            self._at = -1
            self._required -= self._step
            if self._required <= 0:
                self._required = self._most


def _least(overhead: Callable[[Load], int], weighted: bool, idle_first: bool = False) -> Callable[..., Scheduler]:
    """The server with the least overhead, per weight if `weighted`; the first of equals. Products, not quotients."""

    def make(loads: Sequence[Load], _: VirtualServer) -> Scheduler:
        def schedule(_: Packet) -> Load | None:
            best: Load | None = None
            for load in loads:
                if load.weight <= 0:
                    continue
                if idle_first and not load.active:
                    return load
                mine, other = (load.weight, best.weight if best else 1) if weighted else (1, 1)
                if best is None or overhead(best) * mine > overhead(load) * other:
                    best = load
            return best

        return schedule

    return make


def _hashed(choose: Callable[[Sequence[RealServer], bool], Callable[[Packet], int | None]]) -> Callable[..., Scheduler]:
    """The server that a table has for the packet's hash; none where that one takes no more connections."""

    def make(loads: Sequence[Load], virtual: VirtualServer) -> Scheduler:
        find = choose([load.server for load in loads], virtual.hash_port)

        def schedule(packet: Packet) -> Load | None:
            at = find(packet)
            return loads[at] if at is not None and loads[at].weight > 0 else None

        return schedule

    return make


def _connections(load: Load) -> int:
    """An active one weighs as much as 256 inactive ones."""
    return (load.active << 8) + load.inactive


def _one_more(load: Load) -> int:
    return load.active + 1


SCHEDULERS: Mapping[str, Callable[[Sequence[Load], VirtualServer], Scheduler]] = {
    "rr": _RoundRobin,
    "wrr": _Weighted,
    "lc": _least(_connections, weighted=False),
    "wlc": _least(_connections, weighted=True),
    "sed": _least(_one_more, weighted=True),
    "nq": _least(_one_more, weighted=True, idle_first=True),
    **{name: _hashed(choose) for name, choose in HASHES.items()},
}
