"""The rules of a node that serve one Service, in the order in which a packet may meet them. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from labkit.net.rules import Chain, Ruleset

Row = dict[str, object]
ENTRANCES = (
    "KUBE-SERVICES", "KUBE-EXTERNAL-SERVICES", "KUBE-NODEPORTS",
    "KUBE-PORTALS-CONTAINER", "KUBE-PORTALS-HOST", "KUBE-NODEPORT-CONTAINER", "KUBE-NODEPORT-HOST",
    "KUBE-NODEPORT-NON-LOCAL", "LABKIT-HNS-LB",
)  # fmt: skip
"""The chains in which each Service has rules of its own: of the modes iptables, userspace and kernelspace."""
ENDS = (":", " ", '"')  # what follows a Service's name in a comment: its port's name, more words, or nothing


def serving(rules: Ruleset, service: str, table: str = "nat") -> list[Row]:
    """Rows TABLE, CHAIN, NUMBER, RULE: the entries of ENTRANCES for "namespace/name", and the chains behind them.

    NUMBER counts from 1 within the chain, as `iptables -L --line-numbers` does.
    """
    rows: list[Row] = []
    for chain in ENTRANCES:
        start = rules.chain(table, chain)
        if start is None:
            continue
        for number, rule in enumerate(start.rules, 1):
            if any(f'"{service}{end}' in rule.text for end in ENDS):
                rows.append(_row(table, chain, number, rule.text))
                rows += _behind(rules, table, rule.target, {str(r["CHAIN"]) for r in rows})
    return rows


def _behind(rules: Ruleset, table: str, name: str, seen: set[str]) -> Iterator[Row]:
    chain = rules.chain(table, name)
    if chain is None or name in seen:
        return
    seen.add(name)
    for number, rule in enumerate(chain.rules, 1):
        yield _row(table, name, number, rule.text)
    for target in _targets(chain):
        yield from _behind(rules, table, target, seen)


def _targets(chain: Chain) -> list[str]:
    return [
        rule.target
        for rule in chain.rules
        if rule.target.startswith(("KUBE-SVC-", "KUBE-SEP-", "KUBE-EXT-", "KUBE-SVL-"))
    ]


def _row(table: str, chain: str, number: int, text: str) -> Row:
    return {"TABLE": table, "CHAIN": chain, "NUMBER": number, "RULE": text}
