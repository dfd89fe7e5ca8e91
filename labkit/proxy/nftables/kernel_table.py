"""kube-proxy's table in the kernel of one node: changed by what differs, or compared as a whole and repaired."""

from __future__ import annotations

import errno
from collections.abc import Iterable, Iterator

from labkit.errors import NetlinkError
from labkit.linux.nftables.kernel import NfTables
from labkit.linux.nftables.messages import Messages, digest
from labkit.linux.nftables.read import Found, elements, read
from labkit.net.nft import Chain, NftFamily, Table
from labkit.net.nft.change import Change, Holding, between
from labkit.proxy.nftables.names import TABLE, is_affinity_set, is_service_chain
from labkit.proxy.nftables.order import Group, dispatch_groups, leaf_groups, stale_groups
from labkit.proxy.nftables.part import forgetful

_FEW = 50  # chains; with more, what nothing leads to yet is made in transactions of its own
_SMALL = 128 << 10  # bytes of one of those: the kernel's work for one grows with the square of what it makes


class KernelTable:
    """The table of the network namespace at `path`. Raises `NetlinkError` where the kernel refuses.

    What is returned is the text that `nft -f` would be fed. `most`: bytes of a transaction, if fewer than possible.
    """

    def __init__(self, path: str, family: NftFamily, most: int = 0) -> None:
        self._path, self._family, self._most = path, family, most
        self._make = Messages(family, TABLE)
        self._stale: set[str] = set()  # emptied chains that the kernel did not delete yet

    def change(self, changes: Iterable[Change]) -> str:
        """Make the changes, one after the other, in a table that is as they take it to be."""
        with NfTables(self._path, self._family, self._most) as kernel:
            return "".join(self._made(kernel, change) for change in changes)

    def bring(self, wanted: Table) -> str:
        """Look at what is there, and make it what is wanted: whatever somebody else deleted, added or altered."""
        after = holding(wanted)
        with NfTables(self._path, self._family, self._most) as kernel:
            found, text = self._sound(kernel, wanted)
            if any(found.sets[name] != one for name, one in after.sets.items() if name in found.sets):
                text += self._made(kernel, self._differs(kernel, found, _without_affinity(after)))
                found = read(kernel, TABLE)
            return text + self._made(kernel, self._differs(kernel, found, after))

    def remove(self) -> None:
        """Delete the table, if there is one."""
        with NfTables(self._path, self._family, self._most) as kernel:
            kernel.apply([[self._make.add_table(""), self._make.delete_table()]])
        self._stale.clear()

    def _sound(self, kernel: NfTables, wanted: Table) -> tuple[Found, str]:
        """The table as it is found; deleted first where a base chain or a set in it cannot be what is wanted."""
        found = read(kernel, TABLE)
        self._make.names.taken(found.anonymous)
        chains = all(found.chains.get(c.name, _bare(c)) == _bare(c) for c in wanted.chains)
        sets = all(found.sets.get(s.name, s) == s for s in wanted.sets if not is_affinity_set(s.name))
        new = self._make.add_table(wanted.comment)
        drop = [] if chains and sets else [new, self._make.delete_table()]
        kernel.apply([[*drop, new]])
        if drop:
            return Found({}, {}, {}, ()), f"{drop[1].line}\n{new.line}\n"
        return found, "" if found.chains else f"{new.line}\n"

    def _differs(self, kernel: NfTables, found: Found, after: Holding) -> Change:
        """Of what is there, chains and sets that others may have put beside kube-proxy's are left alone."""
        chains = {n: rules for n, rules in found.rules.items() if n in after.chains or is_service_chain(n)}
        sets = {name: one for name, one in found.sets.items() if name in after.sets or is_affinity_set(name)}
        filled = [one for name, one in sets.items() if not is_affinity_set(name)]
        return between(Holding(chains, sets, elements(kernel, TABLE, filled)), after, tell=_digests)

    def _made(self, kernel: NfTables, change: Change) -> str:
        lines: list[str] = []

        def told(groups: Iterable[Group]) -> Iterator[Group]:
            for group in groups:
                lines.extend(message.line for message in group if message.line)
                yield group

        first = told(leaf_groups(change, self._make))
        if len(change.chains) > _FEW:
            kernel.apply(first, _SMALL)
            first = iter(())
        rest = [*dispatch_groups(change, self._make), *stale_groups(change, self._make)]
        kernel.apply([*first, *told(rest)])
        self._stale |= set(change.stale_chains)
        self._stale -= {chain.name for chain in change.chains}
        lines += self._deleted(kernel)
        return "".join(f"{line}\n" for line in lines)

    def _deleted(self, kernel: NfTables) -> list[str]:
        """Delete chains that nothing leads to. Before Linux 6.2 the kernel learns that only some time after."""
        deleting = [[self._make.delete_chain(name)] for name in sorted(self._stale)]
        try:
            kernel.apply(deleting)
        except NetlinkError as error:
            if error.details["errno"] != errno.EBUSY:
                raise
            return []
        self._stale.clear()
        return [message.line for group in deleting for message in group]


def holding(table: Table) -> Holding:
    """All that is in a table."""
    held = {(name, key): element for name, keys in table.elements.items() for key, element in keys.items()}
    return Holding({c.name: c for c in table.chains}, {s.name: s for s in table.sets}, held)


def _without_affinity(held: Holding) -> Holding:
    """The step between two time-outs of session affinity, as nf_tables alters no set."""
    chains = {name: forgetful(chain) for name, chain in held.chains.items()}
    return Holding(chains, {n: s for n, s in held.sets.items() if not is_affinity_set(n)}, held.elements)


def _bare(chain: Chain) -> Chain:
    return Chain(chain.name, (), chain.hook, chain.comment)


def _digests(chain: Chain) -> tuple[bytes, ...]:
    return tuple(digest(str(rule)) for rule in chain.rules)
