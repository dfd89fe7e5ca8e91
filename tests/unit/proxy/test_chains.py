"""Shared chains that are edited in place end as they would have been made at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labkit.net.rules import Rule, Ruleset
from labkit.proxy.chains import Block, Chains

SHARED = (("nat", "ALL"), ("nat", "SOME"), ("filter", "ALL"))
HOOKS: Block = {("nat", "OUTPUT"): ["-j ALL"], ("filter", "INPUT"): ["-j ALL"]}

names = st.sampled_from("abcdefgh")
texts = st.lists(st.sampled_from([f"-p tcp -m tcp --dport {n} -j ACCEPT" for n in range(5)]), max_size=3)
blocks = st.dictionaries(st.sampled_from(SHARED), texts)
steps = st.lists(st.dictionaries(names, st.none() | st.tuples(blocks, st.none() | texts), max_size=4), max_size=6)


def made(given: Mapping[str, tuple[Block, list[str] | None] | None]) -> dict[tuple[str, str], Block | None]:
    """Blocks by key, each with two chains of its own where the example says so, and a rule that leads there."""
    found: dict[tuple[str, str], Block | None] = {}
    for name, part in given.items():
        if part is None:
            found[name, "tcp"] = None
        else:
            shared, own = part
            block = {place: list(texts) for place, texts in shared.items()}
            if own is not None:
                block.setdefault(("nat", "SOME"), []).append(f"-j OWN-{name}")
                block |= {("nat", f"OWN-{name}"): [*own, f"-j END-{name}"], ("nat", f"END-{name}"): own}
            found[name, "tcp"] = block
    return found


class Kernel:
    """What iptables-restore --noflush makes of the text."""

    def __init__(self) -> None:
        self.tables: dict[str, dict[str, list[str]]] = {"nat": {"OUTPUT": []}, "filter": {"INPUT": []}}

    def feed(self, text: str) -> None:
        for command, table, chain, rest in commands(text):
            chains = self.tables[table]
            match command:
                case ":":
                    chains[chain] = []
                case "-A":
                    chains[chain].append(rest)
                case "-I":
                    place, _, rule = rest.partition(" ") if rest[0].isdigit() else ("1", "", rest)
                    assert int(place) <= len(chains[chain]) + 1
                    chains[chain].insert(int(place) - 1, rule)
                case "-D":
                    del chains[chain][int(rest) - 1]
                case "-X":
                    assert not chains.pop(chain)
                    assert not any(f"-j {chain}" in rule for rules in chains.values() for rule in rules)

    def shows(self, wanted: Ruleset) -> bool:
        rules = {t.name: {c.name: [r.text for r in c.rules] for c in t.chains} for t in wanted.tables}
        return self.tables == rules


def commands(text: str) -> Iterator[tuple[str, str, str, str]]:
    table = ""
    for line in text.splitlines():
        if line.startswith("*"):
            table = line[1:]
        elif line.startswith(":"):
            yield ":", table, line[1:].split()[0], ""
        elif line != "COMMIT":
            command, chain, *rest = line.split(" ", 2)
            yield command, table, chain, rest[0] if rest else ""


@given(steps, st.sampled_from([None, 3]))
def test_any_sequence_of_changes_ends_in_the_rules_of_a_fresh_start(
    sequence: list[dict[str, tuple[Block, list[str] | None] | None]], batch: int | None
) -> None:
    chains = Chains(SHARED, HOOKS, "IPv4")
    kernel = Kernel()
    kernel.feed(chains.replace({}, batch))
    now: dict[tuple[str, str], Block] = {}
    for step in sequence:
        change = made(step)
        kernel.feed(chains.replace(change, batch))
        for key, block in change.items():
            if block is None:
                now.pop(key, None)
            else:
                now[key] = block
        fresh = Chains(SHARED, HOOKS, "IPv4")
        fresh.replace(now, None)
        assert chains.ruleset() == fresh.ruleset()
        assert kernel.shows(fresh.ruleset())


def test_ports_come_by_name_and_a_change_touches_only_its_own_rules() -> None:
    chains = Chains(SHARED, HOOKS, "IPv4")
    first = {(name, "tcp"): {("nat", "ALL"): [f"-j {name}1", f"-j {name}2"]} for name in "dbca"}
    chains.replace(first, None)
    rules = chains.ruleset().chain("nat", "ALL")
    assert rules and rules.rules[:3] == (Rule("-j a1"), Rule("-j a2"), Rule("-j b1"))
    text = chains.replace({("c", "tcp"): {("nat", "ALL"): ["-j c1", "-j c3"]}}, None)
    assert text == "*nat\n-I ALL 5 -j c1\n-I ALL 6 -j c3\n-D ALL 7\n-D ALL 7\nCOMMIT\n"
    assert chains.replace({("c", "tcp"): {("nat", "ALL"): ["-j c1", "-j c3"]}}, None) == ""
    assert chains.replace({("c", "tcp"): None, ("none", "tcp"): None}, None) == "*nat\n-D ALL 5\n-D ALL 5\nCOMMIT\n"


@pytest.mark.parametrize("size", [10, 1000])
def test_the_size_of_a_change_does_not_grow_with_the_number_of_ports(size: int) -> None:
    chains = Chains(SHARED, HOOKS, "IPv4")
    chains.replace({(f"{n:04}", "tcp"): {("nat", "ALL"): [f"-j {n}"]} for n in range(size)}, None)
    assert len(chains.replace({("0005", "tcp"): {("nat", "ALL"): ["-j other"]}}, None).splitlines()) == 4
