"""From what a node has to what it should have in ipvs mode: pure, and printed as the tools would be told.

Source: Kubernetes v1.34, pkg/proxy/ipvs/proxier.go (`syncService`, `syncEndpoint`, `cleanLegacyService`).
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from labkit.net.ipset import AddressSet
from labkit.net.ipvs import RealServer, VirtualServer
from labkit.net.rules import Family
from labkit.proxy.ipvs import sets
from labkit.proxy.ipvs.ledger import State
from labkit.proxy.ipvs.part import Entry

DEVICE = "kube-ipvs0"


class ServerStep(msgspec.Struct, frozen=True):
    """One virtual server as it was (None: not there) and as it shall be (None: gone)."""

    before: VirtualServer | None
    after: VirtualServer | None

    @property
    def resettled(self) -> bool:
        """Whether scheduler or persistence change."""
        return self.before is not None and self.after is not None and self.before.settings != self.after.settings

    @property
    def added(self) -> tuple[RealServer, ...]:
        """In the order of the kernel's list, in which the one that is added last comes first."""
        old = _by_address(self.before)
        return tuple(s for s in (self.after.servers if self.after else ()) if s.address not in old)

    @property
    def reweighted(self) -> tuple[RealServer, ...]:
        old = _by_address(self.before)
        new = self.after.servers if self.after else ()
        return tuple(s for s in new if s.address in old and old[s.address].weight != s.weight)

    @property
    def removed(self) -> tuple[RealServer, ...]:
        """Those that the virtual server loses while it stays."""
        if self.before is None or self.after is None:
            return ()
        new = _by_address(self.after)
        return tuple(s for s in self.before.servers if s.address not in new)

    def lines(self) -> Iterator[str]:
        """As `ipvsadm -R` takes them."""
        if self.after is None:
            yield f"-D {self.before.name}" if self.before else ""
            return
        if self.before is None:
            yield f"-A {self.after.settings}"
        elif self.resettled:
            yield f"-E {self.after.settings}"
        yield from map(self.after.added, self.added)
        for server in self.reweighted:
            yield f"-e{self.after.added(server).removeprefix('-a')}"
        for server in self.removed:
            yield f"-d {self.after.name} -r {server.address}"


class Step(msgspec.Struct, frozen=True):
    """What is to be done, in this order: new entries and servers, `rules`, new addresses; then what goes.

    So nothing is sent to an address before all that stands behind it is there, or after a part of it has gone.

    created  sets that are not there
    rules    text for `iptables-restore --noflush`
    """

    created: tuple[AddressSet, ...] = ()
    entered: tuple[Entry, ...] = ()
    servers: tuple[ServerStep, ...] = ()
    rules: str = ""
    bound: tuple[str, ...] = ()
    unbound: tuple[str, ...] = ()
    left: tuple[Entry, ...] = ()
    family: Family = "IPv4"

    def __str__(self) -> str:
        """As `ipset restore`, `ipvsadm -R`, `iptables-restore` and `ip address` would be told."""
        lines = [made.created for made in self.created]
        lines += [f"add {sets.name(base, self.family)} {element}" for base, element in self.entered]
        lines += [line for one in self.servers if one.after for line in one.lines()]
        lines += self.rules.splitlines()
        length = 128 if self.family == "IPv6" else 32
        lines += [f"address add {ip}/{length} dev {DEVICE}" for ip in self.bound]
        lines += [f"address delete {ip}/{length} dev {DEVICE}" for ip in self.unbound]
        lines += [f"del {sets.name(base, self.family)} {element}" for base, element in self.left]
        lines += [line for one in self.servers if one.after is None for line in one.lines()]
        return "".join(f"{line}\n" for line in lines)


def difference(
    before: State, after: State, rules: str = "", created: tuple[AddressSet, ...] = (), family: Family = "IPv4"
) -> Step:
    """The step between two states, which are of the same part of the node."""
    keys = sorted(before.servers.keys() | after.servers.keys())
    pairs = ((before.servers.get(key), after.servers.get(key)) for key in keys)
    return Step(
        created=created,
        entered=tuple(sorted(after.entries - before.entries)),
        servers=tuple(ServerStep(old, new) for old, new in pairs if not _same(old, new)),
        rules=rules,
        bound=tuple(sorted(after.bound - before.bound)),
        unbound=tuple(sorted(before.bound - after.bound)),
        left=tuple(sorted(before.entries - after.entries)),
        family=family,
    )


def _same(old: VirtualServer | None, new: VirtualServer | None) -> bool:
    """Whether the kernel need not be told: order and connections of real servers are its own."""
    if old is None or new is None:
        return old is new
    weights = [{s.address: s.weight for s in one.servers} for one in (old, new)]
    return old.settings == new.settings and weights[0] == weights[1]


def _by_address(virtual: VirtualServer | None) -> dict[str, RealServer]:
    return {server.address: server for server in virtual.servers} if virtual else {}
