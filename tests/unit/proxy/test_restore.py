"""Applying a difference gives the desired rules; each transaction on the way leaves rules that work."""

from collections.abc import Iterator
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labkit.net.rules import BUILT_IN, Ruleset, parse, ruleset
from labkit.proxy.iptables.names import is_own
from labkit.proxy.restore import PART, diff, own_part, transactions

Tables = dict[str, dict[str, list[str]]]


def restore(tables: Tables, text: str) -> list[Tables]:
    """What iptables-restore --noflush makes of the tables: the state after every COMMIT. Refuses what it would."""
    states = []
    chains: dict[str, list[str]] = {}
    for line in text.splitlines():
        match line.split(" ", 2):
            case [head] if head.startswith("*"):
                chains = tables.setdefault(head[1:], {h: [] for h in BUILT_IN[head[1:]]})
            case [head, *_] if head.startswith(":"):
                chains[head[1:]] = []
            case ["-A", chain, rule]:
                chains[chain].append(rule)
            case ["-I", chain, rule]:
                number, _, rest = rule.partition(" ")
                at, body = (int(number), rest) if number.isdigit() else (1, rule)
                assert 1 <= at <= len(chains[chain]) + 1
                chains[chain].insert(at - 1, body)
            case ["-D", chain, rule]:
                if rule.isdigit():
                    del chains[chain][int(rule) - 1]
                else:
                    chains[chain].remove(rule)
            case ["-X", chain]:
                assert chains.pop(chain) == []
            case ["COMMIT"]:
                for rules in chains.values():
                    assert all(r.rpartition("-j ")[2] in {*chains, "ACCEPT"} for r in rules), "jump to a missing chain"
                states.append({t: {c: list(r) for c, r in cs.items()} for t, cs in tables.items()})
    return states


def without_empty_hooks(tables: Tables) -> Ruleset:
    kept = {t: {c: r for c, r in cs.items() if r or c not in BUILT_IN[t]} for t, cs in tables.items()}
    return ruleset(kept)


def built(services: dict[int, int]) -> Ruleset:
    """A small proxy: service -> number of endpoints; a dispatch chain, a chain per service and per endpoint."""
    nat: dict[str, list[str]] = {"PREROUTING": ["-m first -j ACCEPT", "-j KUBE-SERVICES"], "KUBE-SERVICES": []}
    for service, count in sorted(services.items()):
        nat["KUBE-SERVICES"].append(f"-d 10.96.0.{service} -j KUBE-SVC-{service}")
        nat[f"KUBE-SVC-{service}"] = [f"-m {count - i} -j KUBE-SEP-{service}-{i}" for i in range(count)]
        for i in range(count):
            nat[f"KUBE-SEP-{service}-{i}"] = ["-j ACCEPT"]
    nat["KUBE-SERVICES"].append("-m last -j ACCEPT")
    return ruleset({"nat": nat})


STATES = st.lists(st.dictionaries(st.integers(0, 30), st.integers(1, 4), max_size=20), min_size=1, max_size=5)


@given(STATES, st.sampled_from([None, 5, 12, 250]))
def test_any_sequence_ends_as_a_fresh_start_does(states: list[dict[int, int]], batch: int | None) -> None:
    tables: Tables = {}
    previous: Ruleset | None = None
    for state in states:
        desired = built(state)
        restore(tables, diff(previous, desired, batch))
        previous = desired
    assert without_empty_hooks(tables) == built(states[-1])
    assert diff(previous, built(states[-1]), batch) == ""


@given(STATES, st.sampled_from([5, 12]))
def test_services_that_stay_are_dispatched_after_every_transaction(states: list[dict[int, int]], batch: int) -> None:
    tables: Tables = {}
    restore(tables, diff(None, built(states[0]), batch))
    for before, after in pairwise(states):
        for tables_then in restore(tables, diff(built(before), built(after), batch)):
            dispatch = tables_then["nat"]["KUBE-SERVICES"]
            assert dispatch[-1] == "-m last -j ACCEPT"
            for service in before.keys() & after.keys():
                assert f"-d 10.96.0.{service} -j KUBE-SVC-{service}" in dispatch
                assert tables_then["nat"][f"KUBE-SVC-{service}"]


def test_transactions_keep_to_the_limit() -> None:
    text = diff(None, built(dict.fromkeys(range(40), 3)), 50)
    assert max(part.count("\n") for part in text.split("COMMIT\n")) <= 51
    assert diff(None, built(dict.fromkeys(range(40), 3))).count("COMMIT") == 1


@pytest.mark.parametrize("batch", [None, 250])
def test_text_is_handed_out_while_the_next_groups_are_made(batch: int | None) -> None:
    made = []

    def groups() -> Iterator[tuple[str, list[str]]]:
        for number in range(3 * PART):
            made.append(f"-A KUBE-SERVICES -j {number}")
            yield "nat", made[-1:]

    parts = transactions(groups(), batch)
    first = next(parts)
    assert len(made) <= PART + 2
    lines = (first + "".join(parts)).splitlines()
    assert [line for line in lines if line not in ("*nat", "COMMIT")] == made
    assert lines.count("*nat") == lines.count("COMMIT") == (12 if batch else 1)


def test_only_what_changed_is_written() -> None:
    before, after = built({1: 3, 2: 2}), built({1: 2, 2: 2})
    lines = diff(before, after).splitlines()
    assert [line for line in lines if line.startswith(":")] == [":KUBE-SVC-1 - [0:0]", ":KUBE-SEP-1-2 - [0:0]"]
    assert lines[-2:] == ["-X KUBE-SEP-1-2", "COMMIT"]


def test_rules_of_others_in_built_in_chains_stay() -> None:
    tables: Tables = {"nat": {**{h: [] for h in BUILT_IN["nat"]}, "PREROUTING": ["-j ACCEPT"], "OTHER": []}}
    restore(tables, diff(None, built({1: 1})))
    assert tables["nat"]["PREROUTING"] == ["-m first -j ACCEPT", "-j KUBE-SERVICES", "-j ACCEPT"]
    gone = ruleset({"nat": {}})
    restore(tables, diff(built({1: 1}), gone))
    assert tables == {"nat": {**{h: [] for h in BUILT_IN["nat"]}, "PREROUTING": ["-j ACCEPT"], "OTHER": []}}


def test_own_part_of_what_is_found() -> None:
    saved = """*nat
:PREROUTING ACCEPT [1:2]
:KUBE-SERVICES - [0:0]
:KUBE-KUBELET-CANARY - [0:0]
-A PREROUTING -j KUBE-SERVICES
-A PREROUTING -j OTHER
-A KUBE-SERVICES -m last -j ACCEPT
COMMIT
"""
    assert own_part(parse(saved), is_own) == ruleset(
        {"nat": {"PREROUTING": ["-j KUBE-SERVICES"], "KUBE-SERVICES": ["-m last -j ACCEPT"]}}
    )


@pytest.mark.parametrize("batch", [None, 250])
def test_nothing_to_do_is_an_empty_text(batch: int | None) -> None:
    assert diff(built({1: 3}), built({1: 3}), batch) == ""
