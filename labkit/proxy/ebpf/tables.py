"""From Service ports to the entries of the maps, and from a change to the entries that change. Pure.

    Share of each port --> claims on frontends, endpoints, addresses --> entries, each under the number of its thing

Numbers are given in the order of arrival, as Cilium gives them: they are names, and nothing follows from them. All else
depends on the current objects alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set

import msgspec

from labkit.proxy.config import ProxyConfig
from labkit.proxy.ebpf import layout, maglev
from labkit.proxy.ebpf.maps import MAPS, Maps
from labkit.proxy.ebpf.numbers import Numbers
from labkit.proxy.ebpf.plan import Address, EbpfPlan, Frontend, Share, share
from labkit.proxy.mode import View
from labkit.proxy.model import PortKey

Entry = tuple[str, bytes]
"""A map's name and a key in it."""

_NOTHING = Share((), frozenset(), frozenset())


class Changes(msgspec.Struct, frozen=True):
    """What to write, in this order, and what to delete afterwards, in this order, with what it was.

    In between a program sees the old or the new endpoints of a Service, or some of both, and never a slot that leads
    nowhere: a frontend's first entry, which says how many slots there are, is the last that is written.
    """

    writes: tuple[tuple[Entry, bytes], ...]
    deletes: Mapping[Entry, bytes]

    def __str__(self) -> str:
        """As commands of bpftool."""
        lines = [
            f"bpftool map update name {name} key hex {key.hex(' ')} value hex {value.hex(' ')}\n"
            for (name, key), value in self.writes
        ]
        lines += [f"bpftool map delete name {name} key hex {key.hex(' ')}\n" for name, key in self.deletes]
        return "".join(lines)


def changes(before: Mapping[Entry, bytes], after: Mapping[Entry, bytes], maps: Maps) -> Changes:
    """What leads from one content of a family's maps to another: leaves are written first, and deleted last."""
    writes = [(entry, value) for entry, value in after.items() if before.get(entry) != value]
    deletes = [entry for entry in before if entry not in after]
    order = {name: turn for turn, name in enumerate(maps.order)}

    def turn(entry: Entry) -> tuple[int, bool, bytes]:
        name, key = entry
        return order[name], name == maps.services and layout.slot_of(key) == 0, key

    writes.sort(key=lambda write: turn(write[0]))
    deletes.sort(key=turn, reverse=True)
    return Changes(tuple(writes), {entry: before[entry] for entry in deletes})


class Tables:
    """The wanted content of one node's maps of one family, kept up port by port: `entries`."""

    def __init__(self, config: ProxyConfig) -> None:
        self.entries: dict[Entry, bytes] = {}
        self.maps = MAPS[config.family]
        self._config = config
        self._shares: dict[PortKey, Share] = {}
        self._claims: dict[Address, dict[PortKey, Frontend]] = {}
        self._states: dict[Address, dict[PortKey, int]] = {}
        self._here: dict[str, set[PortKey]] = {}
        self._of: dict[Address, dict[Entry, bytes]] = {}  # the entries of each frontend
        self._frontends: Numbers[Address] = Numbers(65535)
        self._backends: Numbers[Address] = Numbers(2**32 - 1)

    def plan(self) -> EbpfPlan:
        """What the maps hold, to be read."""
        frontends = {address: _winner(claims) for address, claims in self._claims.items()}
        return EbpfPlan(self._config.cluster_cidr, frontends, frozenset(self._here), dict(self._frontends.given))

    def uses(self, address: Address) -> bool:
        """Whether it is an endpoint, if only for the connections that it has."""
        return address in self._states

    def update(self, view: View, changed: Set[PortKey] | None) -> Changes:
        """Follow the ports that changed (None: all). Raises `RuleError` where there are more frontends than numbers."""
        keys = view.ports.keys() | self._shares.keys() if changed is None else changed
        frontends: set[Address] = set()
        backends: set[Address] = set()
        here: set[str] = set()
        for key in sorted(keys):
            old = self._shares.pop(key, _NOTHING)
            new = share(view.ports[key], view, self._config) if key in view.ports else _NOTHING
            if new != _NOTHING:
                self._shares[key] = new
            if old != new:
                frontends |= {f.address for f in (*old.frontends, *new.frontends)}
                backends |= old.active | old.idle | new.active | new.idle
                here |= old.here | new.here
                self._claim(key, old, new)
        return self._encode(frontends, backends, here)

    def _claim(self, key: PortKey, old: Share, new: Share) -> None:
        for address in old.active | old.idle:
            _drop(self._states, address, key)
        for front in old.frontends:
            _drop(self._claims, front.address, key)
        for ip in old.here - new.here:
            self._here[ip].discard(key)
        for front in new.frontends:
            self._claims.setdefault(front.address, {})[key] = front
        for address in new.idle:
            self._states.setdefault(address, {})[key] = layout.TERMINATING
        for address in new.active:
            self._states.setdefault(address, {})[key] = layout.ACTIVE
        for ip in new.here:
            self._here.setdefault(ip, set()).add(key)

    def _encode(self, frontends: Set[Address], backends: Set[Address], here: Set[str]) -> Changes:
        """The entries of these things anew, and what that changes."""
        before: dict[Entry, bytes] = {}
        after: dict[Entry, bytes] = {}
        for ip in here:
            entry = (self.maps.here, layout.packed(ip))
            _take(self.entries, entry, before)
            if self._here[ip]:
                after[entry] = layout.SET
            else:
                del self._here[ip]
        gone = [address for address in backends if address not in self._states]
        for address in sorted(backends):
            entry = (self.maps.backends, layout.backend_key(self._backends.of(address)))
            _take(self.entries, entry, before)
            if address in self._states:
                after[entry] = layout.backend(address, min(self._states[address].values()))
        for address in sorted(frontends):
            for entry in self._of.pop(address, {}):
                _take(self.entries, entry, before)
            if address in self._claims:
                self._of[address] = self._frontend(_winner(self._claims[address]))
                after.update(self._of[address])
            else:
                self._frontends.free(address)
        for address in gone:
            self._backends.free(address)
        self.entries.update(after)
        return changes(before, after, self.maps)

    def _frontend(self, front: Frontend) -> dict[Entry, bytes]:
        """All entries of one frontend."""
        number = self._frontends.of(front.address)
        key, maps = layout.frontend_key(number), self.maps
        found: dict[Entry, bytes] = {(maps.reverse_nat, key): layout.reverse_nat(front.address)}
        scopes = {layout.EXTERNAL: front.backends}
        if front.internal is not None:
            scopes[layout.INTERNAL] = front.internal
        for scope, backends in scopes.items():
            numbers = [self._backends.of(b) for b in backends]
            first = layout.service_key(front.address, scope, 0)
            found[maps.services, first] = layout.service(front, len(backends), number)
            for n, backend in enumerate(numbers, 1):
                found[maps.services, layout.service_key(front.address, scope, n)] = layout.slot(backend, number)
                if front.affinity_seconds:
                    found[maps.affinity_match, layout.affinity_match(backend, number)] = layout.SET
        for prefix in front.ranges:
            found[maps.source_range, layout.source_range(prefix, number)] = layout.SET
        if front.maglev and front.routable and front.backends:
            positions = maglev.table(maglev.names(front.backends))
            by_position = [self._backends.of(b) for b in front.backends]
            found[maps.maglev, key] = layout.maglev([by_position[p] for p in positions])
        return found


def _winner(claims: Mapping[PortKey, Frontend]) -> Frontend:
    """Two Services may name the same external address: it is the first one's."""
    return claims[min(claims)]


def _drop(claims: dict[Address, dict[PortKey, int]] | dict[Address, dict[PortKey, Frontend]], address: Address,
          key: PortKey) -> None:  # fmt: skip
    claims[address].pop(key, None)
    if not claims[address]:
        del claims[address]


def _take(entries: dict[Entry, bytes], entry: Entry, into: dict[Entry, bytes]) -> None:
    if (value := entries.pop(entry, None)) is not None:
        into[entry] = value


def of_maps(found: Iterable[tuple[str, Mapping[bytes, bytes]]]) -> dict[Entry, bytes]:
    """Maps by name, with what they hold, as entries."""
    return {(name, key): value for name, entries in found for key, value in entries.items()}
