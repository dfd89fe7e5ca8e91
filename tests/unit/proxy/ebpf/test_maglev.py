"""The Maglev table has the properties that the paper promises."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from labkit.proxy.ebpf.maglev import SIZE, table

ENDS = st.integers(1, 10_000).map(lambda n: f"10.244.{n >> 8}.{n & 255}:8080")
NAMES = st.lists(ENDS, min_size=1, max_size=40, unique=True)


@given(NAMES)
def test_every_entry_leads_somewhere_and_the_shares_differ_by_one_at_most(names: list[str]) -> None:
    found = Counter(table(tuple(names)))
    assert sum(found.values()) == SIZE
    assert max(found.values()) - min(found.values()) <= 1
    assert set(found) == set(range(len(names)))


def test_a_lost_endpoint_moves_little_but_its_own_share() -> None:
    names = [f"10.244.1.{n}:8080" for n in range(10)]
    before = [names[p] for p in table(tuple(names))]
    after = [names[p] for p in table(tuple(names[:-1]))]
    moved = sum(a != b for a, b in zip(before, after, strict=True) if a != names[-1])
    assert moved < SIZE * 0.1
