"""Netfilter chains that many Service ports share, edited in place: a change costs what it changes.

    shared chain   the rules of one port after the other, the ports sorted by their keys
    own chain      of one port alone

Whatever the sequence of changes, the rules are those of a fresh start.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from functools import partial

from labkit.net.rules import Family, Rule, Ruleset, ruleset
from labkit.proxy.model import PortKey
from labkit.proxy.restore import diff, filled, transactions

Place = tuple[str, str]
"""Table and chain."""
Block = Mapping[Place, Sequence[str]]
"""The rules of one Service port, each without the `-A CHAIN ` before it."""
Lines = list[list[str]]
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
        """Put blocks in the place of those that the ports had (None: the port is gone); the edits as restore text.

        The first call's edits make the frame too. In every transaction's end a chain is there before what jumps to it.
        """
        start = "" if self._begun else diff(None, self.ruleset(), batch)
        self._begun = True
        groups: dict[str, tuple[Lines, Lines, Lines]] = {t: ([], [], []) for t, _ in self._shared}
        for key in sorted(blocks):
            block = blocks[key] or {}
            for table, lines, gone in self._own_edits(self._blocks.get(key, {}), block, batch):
                groups[table][0].extend(lines)
                groups[table][2].append(gone)
            for table, edit in self._edit(key, block):
                groups[table][1].append(edit)
            if blocks[key] is None:
                self._blocks.pop(key, None)
            else:
                self._blocks[key] = block
        return start + "".join(
            transactions(table, (lines for part in parts for lines in part if lines), batch)
            for table, parts in groups.items()
        )

    def _own_edits(self, old: Block, new: Block, batch: int | None) -> Iterator[tuple[str, Lines, list[str]]]:
        """Each table with the lines for the chains of one port that differ, and those for the chains that go."""
        for table in dict.fromkeys(t for block in (new, old) for t, _ in block):
            before, after = self._own(old, table), self._own(new, table)
            lines: list[str] = []
            for chain, texts in after.items():
                if before.get(chain) != texts:
                    lines.append(f":{chain} - [0:0]")
                    lines += [f"-A {chain} {text}" for text in texts]
            gone = [f":{chain} - [0:0]" for chain in before.keys() - after.keys()]
            gone += [f"-X {line[1:].partition(' ')[0]}" for line in gone]
            if batch is not None and len(lines) > batch:  # its chains do not fit one transaction: leaves first
                yield table, filled(_rules(before), _rules(after), batch), gone
            else:
                yield table, [lines], gone

    def _own(self, block: Block, table: str) -> dict[str, Sequence[str]]:
        return {c: texts for (t, c), texts in block.items() if t == table and (t, c) not in self._shared}

    def _edit(self, key: PortKey, block: Block) -> Iterator[tuple[str, list[str]]]:
        """Change the port's rules in the shared chains; yields each table with its lines, new rules before old ones."""
        for (table, chain), rules in self._shared.items():
            start, end = bisect_left(rules, (key,)), bisect_left(rules, (key, _AFTER))
            texts = block.get((table, chain), ())
            if [text for _, _, text in rules[start:end]] == list(texts):
                continue
            at = partial(_place, chain, start, end == len(rules) and start == end)
            yield (
                table,
                [
                    *(f"{at(i)} {text}" for i, text in enumerate(texts)),
                    *(f"-D {chain} {start + 1 + len(texts)}" for _ in range(start, end)),
                ],
            )
            rules[start:end] = [(key, i, text) for i, text in enumerate(texts)]


def _place(chain: str, start: int, last: bool, offset: int) -> str:
    """Where a rule goes; at the end of a chain, by the command that need not count."""
    return f"-A {chain}" if last else f"-I {chain} {start + 1 + offset}"


def _rules(chains: Mapping[str, Sequence[str]]) -> dict[str, tuple[Rule, ...]]:
    return {chain: tuple(map(Rule, texts)) for chain, texts in chains.items()}
