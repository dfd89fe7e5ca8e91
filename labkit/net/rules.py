"""Netfilter rules as plain values, in the words of `iptables-save`.

    Ruleset -> Table "nat" -> Chain "KUBE-SERVICES" -> Rule "-d 10.96.0.10/32 -p udp … -j KUBE-SVC-…"

What `parse` reads from `iptables-save` equals what was planned, character by character: a rule is written the
way iptables prints it, not the way it may be typed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec

Family = Literal["IPv4", "IPv6"]

BUILT_IN: Mapping[str, tuple[str, ...]] = {
    "mangle": ("PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"),
    "filter": ("INPUT", "FORWARD", "OUTPUT"),
    "nat": ("PREROUTING", "INPUT", "OUTPUT", "POSTROUTING"),
}


class Rule(msgspec.Struct, frozen=True):
    """One rule: `text` is exactly what stands behind `-A CHAIN ` in `iptables-save`."""

    text: str

    @property
    def target(self) -> str:
        """The chain or verdict that it jumps to; empty where it only counts."""
        _, found, jump = f" {self.text}".rpartition(" -j ")
        return jump.partition(" ")[0] if found else ""

    def __str__(self) -> str:
        return self.text


class Chain(msgspec.Struct, frozen=True):
    """Rules in the order of evaluation. `policy` is "-" except in a built-in chain."""

    name: str
    rules: tuple[Rule, ...] = ()
    policy: str = "-"


class Table(msgspec.Struct, frozen=True):
    """Chains in the order of `iptables-save`: the built-in ones in hook order, then the others by name."""

    name: str
    chains: tuple[Chain, ...] = ()

    def chain(self, name: str) -> Chain | None:
        return next((c for c in self.chains if c.name == name), None)


class Ruleset(msgspec.Struct, frozen=True):
    """The tables of one address family on one node."""

    tables: tuple[Table, ...] = ()
    family: Family = "IPv4"

    def table(self, name: str) -> Table:
        """The table, empty where nothing was said about it."""
        return next((t for t in self.tables if t.name == name), Table(name))

    def chain(self, table: str, name: str) -> Chain | None:
        return self.table(table).chain(name)

    def __str__(self) -> str:
        """As `iptables-save` prints it, without its comment lines."""
        lines: list[str] = []
        for table in self.tables:
            lines.append(f"*{table.name}")
            lines += [f":{c.name} {c.policy} [0:0]" for c in table.chains]
            lines += [f"-A {c.name} {r.text}" for c in table.chains for r in c.rules]
            lines.append("COMMIT")
        return "".join(f"{line}\n" for line in lines)


def ruleset(tables: Mapping[str, Mapping[str, list[str]]], family: Family = "IPv4") -> Ruleset:
    """A Ruleset from table -> chain -> rule texts. Built-in chains get the policy ACCEPT."""
    made = []
    for name, chains in tables.items():
        hooks = BUILT_IN.get(name, ())
        order = [c for c in hooks if c in chains] + sorted(set(chains) - set(hooks))
        made.append(
            Table(
                name,
                tuple(Chain(c, tuple(map(Rule, chains[c])), "ACCEPT" if c in hooks else "-") for c in order),
            )
        )
    return Ruleset(tuple(made), family)


def parse(saved: str, family: Family = "IPv4") -> Ruleset:
    """What `iptables-save` printed, as a Ruleset in its own order; packet counters are left out."""
    tables: list[Table] = []
    name = ""
    policies: dict[str, str] = {}
    rules: dict[str, list[Rule]] = {}
    for line in map(str.rstrip, saved.splitlines()):  # iptables 1.8.7 ends a rule that has no target with a space
        if line.startswith("*"):
            name, policies, rules = line[1:], {}, {}
        elif line.startswith(":"):
            chain, policy, _ = line[1:].split(" ", 2)
            policies[chain], rules[chain] = policy, []
        elif line.startswith("-A "):
            _, chain, *rest = line.split(" ", 2)
            rules[chain].append(Rule(rest[0] if rest else ""))
        elif line == "COMMIT":
            tables.append(Table(name, tuple(Chain(c, tuple(rules[c]), p) for c, p in policies.items())))
    return Ruleset(tuple(tables), family)


def merge(*rulesets: Ruleset) -> Ruleset:
    """All of them on one node: the rules of a chain follow each other in the order of the arguments."""
    tables: dict[str, dict[str, list[str]]] = {}
    for given in rulesets:
        for table in given.tables:
            chains = tables.setdefault(table.name, {})
            for chain in table.chains:
                chains.setdefault(chain.name, []).extend(rule.text for rule in chain.rules)
    return ruleset(tables, rulesets[0].family)
