"""Netfilter chains that many Service ports share, edited in place: a change costs what it changes.

    shared chain   the rules of one port after the other, the ports sorted by their keys
    own chain      of one port alone

Whatever the sequence of changes, the rules are those of a fresh start.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set

from labkit.net.rules import Family, Rule, Ruleset, ruleset
from labkit.proxy.model import PortKey
from labkit.proxy.restore import changes, transactions

Place = tuple[str, str]
"""Table and chain."""
Block = Mapping[Place, Sequence[str]]
"""The rules of one Service port, each without the `-A CHAIN ` before it."""
_AFTER = 1 << 30


class Chains:
    """The chains of one node. `hooks`: rules of built-in chains, which lead to the shared ones."""

    def __init__(self, shared: Iterable[Place], hooks: Block, family: Family) -> None:
        self._family = family
        self._hooks = hooks
        self._shared: dict[Place, list[tuple[PortKey, int, str]]] = {place: [] for place in shared}
        self._blocks: dict[PortKey, Block] = {}

    def keys(self) -> Set[PortKey]:
        return self._blocks.keys()

    def ruleset(self) -> Ruleset:
        """All of them, as `iptables-save` would print them."""
        tables: dict[str, dict[str, list[str]]] = {}
        for (table, chain), texts in self._hooks.items():
            tables.setdefault(table, {}).setdefault(chain, []).extend(texts)
        for (table, chain), rules in self._shared.items():
            tables.setdefault(table, {})[chain] = [text for _, _, text in rules]
        for block in self._blocks.values():
            for (table, chain), texts in self._own(block):
                tables.setdefault(table, {})[chain] = list(texts)
        return ruleset(tables, self._family)

    def replace(self, blocks: Mapping[PortKey, Block | None], batch: int | None) -> str:
        """Put blocks in the place of those that the ports had (None: the port is gone); the edits as restore text."""
        before = {key: self._blocks.get(key, {}) for key in blocks}
        edits: dict[str, list[list[str]]] = {}
        for key, block in blocks.items():
            for table, lines in self._edit(key, block or {}):
                edits.setdefault(table, []).append(lines)
            if block is None:
                self._blocks.pop(key, None)
            else:
                self._blocks[key] = block
        old = {place: texts for block in before.values() for place, texts in self._own(block)}
        new = {place: texts for block in blocks.values() for place, texts in self._own(block or {})}
        gone = {place: texts for place, texts in old.items() if place not in new}
        parts = []
        for table in dict.fromkeys(table for table, _ in self._shared):
            parts.append(changes(table, _of(table, old.keys() & new.keys(), old), _of(table, new, new), batch))
            parts.append(transactions(table, edits.get(table, ()), batch))
            parts.append(changes(table, _of(table, gone, gone), {}, batch))
        return "".join(parts)

    def _own(self, block: Block) -> Iterator[tuple[Place, Sequence[str]]]:
        return ((place, texts) for place, texts in block.items() if place not in self._shared)

    def _edit(self, key: PortKey, block: Block) -> Iterator[tuple[str, list[str]]]:
        """Change the port's rules in the shared chains; yields each table with its lines, new rules before old ones."""
        for (table, chain), rules in self._shared.items():
            start, end = bisect_left(rules, (key,)), bisect_left(rules, (key, _AFTER))
            texts = block.get((table, chain), ())
            if [text for _, _, text in rules[start:end]] == list(texts):
                continue
            yield (
                table,
                [
                    *(f"-I {chain} {start + 1 + i} {text}" for i, text in enumerate(texts)),
                    *(f"-D {chain} {start + 1 + len(texts)}" for _ in range(start, end)),
                ],
            )
            rules[start:end] = [(key, i, text) for i, text in enumerate(texts)]


def _of(table: str, places: Iterable[Place], texts: Mapping[Place, Sequence[str]]) -> dict[str, tuple[Rule, ...]]:
    return {chain: tuple(map(Rule, texts[table, chain])) for t, chain in places if t == table}
