"""From the rules that a node has to those that it should have, as text for `iptables-restore --noflush`.

Only chains that differ are written, as kube-proxy's partial sync does (KEP-3453): a chain's header empties it, and
its rules follow in the same transaction. Chains that nothing needs any more are removed last.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from difflib import SequenceMatcher

from labkit.net.rules import BUILT_IN, Chain, Rule, Ruleset, Table

Chains = Mapping[str, tuple[Rule, ...]]
PART = 1000
"""Lines after which a transaction's text is handed out, whole or not."""


def diff(previous: Ruleset | None, desired: Ruleset, batch: int | None = None) -> str:
    """The changes as restore text; empty where there are none.

    Each table is one transaction, or, where `batch` is given, as many as it takes to keep each within `batch` lines.
    Then every intermediate state is consistent: chains come after those they jump to, and a chain too long for
    one transaction is edited rule by rule. In built-in chains only the rules of the two rule sets are touched.
    """
    groups = (
        (table.name, group)
        for table in desired.tables
        for group in _changes(table.name, _chains(previous, table.name), _chains(desired, table.name), batch)
    )
    return "".join(transactions(groups, batch))


def own_part(found: Ruleset, own: Callable[[str], bool]) -> Ruleset:
    """What kube-proxy made of the rules found on a node: its chains, and the jumps to them in built-in chains.

    own: whether a chain of this name is kube-proxy's.
    """
    return Ruleset(tuple(Table(t.name, tuple(_own_chains(t, own))) for t in found.tables), found.family)


def _own_chains(table: Table, own: Callable[[str], bool]) -> Iterator[Chain]:
    for chain in table.chains:
        if own(chain.name):
            yield chain
        elif chain.name in BUILT_IN.get(table.name, ()):
            yield Chain(chain.name, tuple(r for r in chain.rules if own(r.target)), chain.policy)


def _chains(rules: Ruleset | None, table: str) -> Chains:
    return {c.name: c.rules for c in rules.table(table).chains} if rules else {}


def _changes(table: str, old: Chains, new: Chains, batch: int | None) -> list[list[str]]:
    """The lines that change one table, in groups. Chains that are in neither stay as they are."""
    hooks = BUILT_IN[table]
    gone = {c for c in old if c not in new and c not in hooks}
    groups = filled(old, {c: rules for c, rules in new.items() if c not in hooks}, batch)
    groups += [_edit_hook(c, old.get(c, ()), new.get(c, ())) for c in hooks]
    stale = list(reversed(_leaves_first(gone, old)))
    return groups + [removed([c]) for c in stale]


def removed(chains: Sequence[str]) -> list[str]:
    """The lines that take chains away to which only these themselves jump."""
    return [f":{chain} - [0:0]" for chain in chains] + [f"-X {chain}" for chain in chains]


def filled(old: Chains, new: Chains, batch: int | None) -> list[list[str]]:
    """The lines of each chain that differs, leaves first."""
    changed = {c for c in new if old.get(c) != new[c]}
    return [_fill(c, old.get(c), new[c], batch) for c in _leaves_first(changed, new)]


def transactions(groups: Iterable[tuple[str, list[str]]], batch: int | None = None) -> Iterator[str]:
    """Groups of lines, each with its table, as restore text, in parts that can be fed while the next are made.

    Neighbours of one table share a transaction, as long as it keeps within `batch` lines; only a group longer than
    that is cut.
    """
    table, length, part = "", 0, list[str]()  # of the transaction that is open
    for name, group in groups:
        for lines in _cut(group, batch):
            if table and (name != table or (batch is not None and length + len(lines) > batch)):
                yield "\n".join([*part, "COMMIT", ""])
                table = ""
            elif len(part) > PART:
                yield "\n".join([*part, ""])
                part = []
            if not table:
                table, length, part = name, 0, [f"*{name}"]
            length += len(lines)
            part += lines
    if table:
        yield "\n".join([*part, "COMMIT", ""])


def _cut(group: list[str], batch: int | None) -> list[list[str]]:
    """What fits one transaction each."""
    if batch is None or len(group) <= batch:
        return [group] if group else []
    return [group[at : at + batch] for at in range(0, len(group), batch)]


def _leaves_first(names: set[str], chains: Chains) -> list[str]:
    """The chains, each after those of them that it jumps to."""
    ordered: dict[str, None] = {}

    def visit(name: str) -> None:
        for rule in chains[name]:
            if rule.target in names and rule.target not in ordered:
                visit(rule.target)
        ordered[name] = None

    for name in sorted(names):
        if name not in ordered:
            visit(name)
    return list(ordered)


def _fill(chain: str, old: tuple[Rule, ...] | None, new: tuple[Rule, ...], batch: int | None) -> list[str]:
    """Empty and fill a chain; one that would not fit a transaction and may be in use is edited instead."""
    if old is not None and batch is not None and len(new) >= batch:
        return list(_edits(chain, old, new))
    return [f":{chain} - [0:0]", *(f"-A {chain} {rule.text}" for rule in new)]


def _edits(chain: str, old: tuple[Rule, ...], new: tuple[Rule, ...]) -> Iterator[str]:
    """Single inserts and deletes, from the end so that earlier positions stay valid; new rules before old ones go."""
    before = next((i for i, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), min(len(old), len(new)))
    rest = min(len(old), len(new)) - before
    after = next((i for i in range(rest) if old[-1 - i] != new[-1 - i]), rest)
    a, b = old[before : len(old) - after], new[before : len(new) - after]
    matcher = SequenceMatcher(None, [r.text for r in a], [r.text for r in b], autojunk=False)
    for tag, start, end, first, last in reversed(matcher.get_opcodes()):
        if tag == "equal":
            continue
        start, end, first, last = start + before, end + before, first + before, last + before
        for offset, rule in enumerate(new[first:last]):
            yield f"-I {chain} {start + 1 + offset} {rule.text}"
        for _ in range(start, end):
            yield f"-D {chain} {start + 1 + last - first}"


def _edit_hook(hook: str, old: tuple[Rule, ...], new: tuple[Rule, ...]) -> list[str]:
    """Others have rules in built-in chains too: ours go in front of them, as kube-proxy puts them."""
    if old == new:
        return []
    return [f"-D {hook} {rule.text}" for rule in old] + [f"-I {hook} {rule.text}" for rule in reversed(new)]
