"""What a node has in ipvs mode, and what one change of some Service ports makes of it.

Work for a change is as large as the ports that changed, however many others there are.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

import msgspec

from labkit.net.ipset import Element
from labkit.net.ipvs import ServerKey, VirtualServer
from labkit.proxy.ipvs import sets
from labkit.proxy.ipvs.part import Entry, Part
from labkit.proxy.model import PortKey

K = TypeVar("K")


class State(msgspec.Struct, frozen=True):
    """Some of the virtual servers, bound addresses and entries of a node, or all of them."""

    servers: Mapping[ServerKey, VirtualServer] = {}
    bound: frozenset[str] = frozenset()
    entries: frozenset[Entry] = frozenset()


@dataclass
class Ledger:
    """The parts of all ports, and who asks for what: two ports may share an address, an entry, even a server."""

    parts: dict[PortKey, Part] = field(default_factory=dict)
    _servers: dict[ServerKey, set[PortKey]] = field(default_factory=lambda: defaultdict(set))
    _bound: dict[str, set[PortKey]] = field(default_factory=lambda: defaultdict(set))
    _entries: dict[Entry, set[PortKey]] = field(default_factory=lambda: defaultdict(set))
    _filled: Counter[str] = field(default_factory=Counter)
    _closed: dict[PortKey, tuple[Element, ...]] = field(default_factory=dict)

    def replace(self, changed: Mapping[PortKey, Part | None]) -> tuple[State, State]:
        """Put new parts (None: gone) in the place of old ones; what they touch, as it was and as it is now."""
        touched = [self.parts[key] for key in changed if key in self.parts]
        touched += [one for one in changed.values() if one is not None]
        before = self._state(touched)
        for key, one in changed.items():
            self._forget(key)
            if one is not None:
                self._note(key, one)
        return before, self._state(touched)

    @property
    def state(self) -> State:
        """All of it."""
        return self._state(self.parts.values())

    @property
    def filled(self) -> frozenset[str]:
        """The sets that are not empty, by their IPv4 names."""
        return frozenset(name for name, entries in self._filled.items() if entries)

    @property
    def closed(self) -> tuple[Element, ...]:
        """Load balancer addresses and ports that the node itself may not reach."""
        return tuple(sorted({element for some in self._closed.values() for element in some}))

    def _state(self, parts: Iterable[Part]) -> State:
        parts = list(parts)
        keys = {server.key for one in parts for server in one.servers} & self._servers.keys()
        bound = frozenset().union(*(one.bound for one in parts)) & self._bound.keys()
        entries = frozenset().union(*(one.entries for one in parts)) & self._entries.keys()
        return State(
            servers={key: self._winner(key) for key in sorted(keys)},
            bound=frozenset(bound),
            entries=frozenset(entries) | {(sets.IPVS_IPS, Element(ip)) for ip in bound},
        )

    def _winner(self, key: ServerKey) -> VirtualServer:
        """Of several ports with one address and port, which no admission forbids, the first by name has it."""
        owner = min(self._servers[key])
        return next(server for server in self.parts[owner].servers if server.key == key)

    def _note(self, key: PortKey, one: Part) -> None:
        self.parts[key] = one
        for server in one.servers:
            self._servers[server.key].add(key)
        for ip in one.bound:
            self._bound[ip].add(key)
        for entry in one.entries:
            self._filled[entry[0]] += entry not in self._entries
            self._entries[entry].add(key)
        if one.closed:
            self._closed[key] = one.closed

    def _forget(self, key: PortKey) -> None:
        one = self.parts.pop(key, None)
        if one is None:
            return
        for server in one.servers:
            _leave(self._servers, server.key, key)
        for ip in one.bound:
            _leave(self._bound, ip, key)
        for entry in one.entries:
            _leave(self._entries, entry, key)
            self._filled[entry[0]] -= entry not in self._entries
        self._closed.pop(key, None)


def _leave(owners: dict[K, set[PortKey]], what: K, key: PortKey) -> None:
    owners[what].discard(key)
    if not owners[what]:
        del owners[what]
