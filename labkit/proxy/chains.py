"""Netfilter chains that many Service ports share, edited in place: a change costs what it changes.

    shared chain   the rules of one port after the other, the ports sorted by their keys
    own chain      of one port alone

Whatever the sequence of changes, the rules are those of a fresh start.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from functools import partial
from operator import itemgetter

from labkit.net.rules import Family, Rule, Ruleset, ruleset
from labkit.proxy.model import PortKey
from labkit.proxy.restore import diff, filled, removed, transactions

Place = tuple[str, str]
"""Table and chain."""
Block = Mapping[Place, Sequence[str]]
"""The rules of one Service port, each without the `-A CHAIN ` before it."""
Group = tuple[str, list[str]]
"""A table, and lines of restore text that belong together."""
_AFTER = 1 << 30


class Chains:
    """The chains of one node.

    frame: what is there without any Service port: rules of built-in chains that lead to the shared ones, and chains of
    its own
    """

    def __init__(self, shared: Iterable[Place], frame: Block, family: Family) -> None:
        self._family = family
        self._frame = frame
        self._begun = False
        self._shared: dict[Place, list[tuple[PortKey, int, str]]] = {place: [] for place in shared}
        self._blocks: dict[PortKey, Block] = {}

    def keys(self) -> Set[PortKey]:
        return self._blocks.keys()

    def ruleset(self) -> Ruleset:
        """All of them, as `iptables-save` would print them."""
        tables: dict[str, dict[str, list[str]]] = {}
        for (table, chain), texts in self._frame.items():
            tables.setdefault(table, {}).setdefault(chain, []).extend(texts)
        for (table, chain), rules in self._shared.items():
            tables.setdefault(table, {})[chain] = [text for _, _, text in rules]
        for block in self._blocks.values():
            for place, texts in block.items():
                if place not in self._shared:
                    tables.setdefault(place[0], {})[place[1]] = list(texts)
        return ruleset(tables, self._family)

    def replace(self, blocks: Mapping[PortKey, Block | None], batch: int | None) -> str:
        """Put blocks in the place of those that the ports had (None: the port is gone); the edits as restore text."""
        return "".join(self.edits(sorted(blocks.items(), key=itemgetter(0)), batch))

    def edits(self, blocks: Iterable[tuple[PortKey, Block | None]], batch: int | None) -> Iterator[str]:
        """The same in parts, each as soon as its blocks are there, best sorted by port. All have to be taken.

        The first call's edits make the frame too. In every transaction's end a chain is there before what jumps to it.
        """
        if not self._begun:
            self._begun = True
            yield diff(None, self.ruleset(), batch)
        yield from transactions(self._changes(blocks, batch), batch)

    def _changes(self, blocks: Iterable[tuple[PortKey, Block | None]], batch: int | None) -> Iterator[Group]:
        """The ports' own chains first, then what leads to them, at last the chains that go."""
        edits: dict[str, list[Group]] = {table: [] for table, _ in self._shared}
        gone: dict[str, list[Group]] = {table: [] for table in edits}
        last = ""
        for key, block in blocks:
            before, after = self._blocks.get(key, {}), block or {}
            for table, lines in self._own_edits(before, after, batch):
                last = table
                yield table, lines
            for place in {**before, **after} if before else after:
                if place in self._shared:
                    edits[place[0]].append((place[0], self._edit(key, place, after.get(place, ()))))
            left = [place for place in before if place not in after and place not in self._shared]
            for each in dict.fromkeys(table for table, _ in left):
                gone[each].append((each, removed([chain for table, chain in left if table == each])))
            if block is None:
                self._blocks.pop(key, None)
            else:
                self._blocks[key] = block
        # The table that was written last goes on, so that iptables-legacy has to fetch and commit it once.
        for each in sorted(edits, key=lambda table: table != last):
            yield from edits[each]
            yield from gone[each]

    def _own_edits(self, old: Block, new: Block, batch: int | None) -> Iterator[Group]:
        """The lines for the chains of one port that differ."""
        changed: dict[str, list[Place]] = {}
        for place, texts in new.items():
            if place not in self._shared and old.get(place) != texts:
                changed.setdefault(place[0], []).append(place)
        for table, places in changed.items():
            lines = [f":{chain} - [0:0]" for _, chain in places]
            lines += [f"-A {place[1]} {text}" for place in places for text in new[place]]
            if batch is None or len(lines) <= batch:
                yield table, lines
            else:  # its chains do not fit one transaction: leaves first
                for group in filled(self._own(old, table), self._own(new, table), batch):
                    yield table, group

    def _own(self, block: Block, table: str) -> dict[str, tuple[Rule, ...]]:
        own = {chain: texts for (t, chain), texts in block.items() if t == table and (t, chain) not in self._shared}
        return {chain: tuple(map(Rule, texts)) for chain, texts in own.items()}

    def _edit(self, key: PortKey, place: Place, texts: Sequence[str]) -> list[str]:
        """Change the port's rules in a shared chain: the lines, new rules before old ones."""
        chain, rules = place[1], self._shared[place]
        start = end = len(rules)
        if rules and rules[-1][0] >= key:
            start, end = bisect_left(rules, (key,)), bisect_left(rules, (key, _AFTER))
        if [text for _, _, text in rules[start:end]] == list(texts):
            return []
        at = partial(_place, chain, start, end == len(rules) and start == end)
        rules[start:end] = [(key, i, text) for i, text in enumerate(texts)]
        return [
            *(f"{at(i)} {text}" for i, text in enumerate(texts)),
            *(f"-D {chain} {start + 1 + len(texts)}" for _ in range(start, end)),
        ]


def _place(chain: str, start: int, last: bool, offset: int) -> str:
    """Where a rule goes; at the end of a chain, by the command that need not count."""
    return f"-A {chain}" if last else f"-I {chain} {start + 1 + offset}"
