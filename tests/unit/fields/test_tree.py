"""The algebra of field sets, against sets of paths."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labkit.control.fields.tree import MEMBER, difference, intersection, is_tree, paths, union

STEPS = st.sampled_from(["f:a", "f:b", 'k:{"name":"a","port":80}', 'v:"x"', "i:0"])
NODES = st.recursive(
    st.just(MEMBER),
    lambda nodes: st.builds(
        lambda c, m: {**c, **m}, st.dictionaries(STEPS, nodes, min_size=1), st.sampled_from([{}, {".": MEMBER}])
    ),
)
TREES = st.dictionaries(STEPS, NODES, max_size=4)


@given(TREES, TREES)
def test_the_operations_are_those_of_sets(one, other):
    mine, others = set(paths(one)), set(paths(other))
    assert set(paths(union(one, other))) == mine | others
    assert set(paths(difference(one, other))) == mine - others
    assert set(paths(intersection(one, other))) == mine & others


@given(TREES, TREES)
def test_nothing_that_was_given_is_changed(one, other):
    before = repr((one, other))
    union(one, other), difference(one, other), intersection(one, other)
    assert repr((one, other)) == before
    assert MEMBER == {}


def test_paths_are_written_as_messages_have_them():
    tree = {
        "f:spec": {
            "f:ports": {'k:{"port":80,"protocol":"TCP"}': {".": {}, "f:port": {}}},
            "f:finalizers": {'v:"x"': {}},
            "f:list": {"i:3": {}},
        },
        "f:data": {},
    }
    assert list(paths(tree)) == [
        ".data",
        '.spec.finalizers[="x"]',
        ".spec.list[3]",
        '.spec.ports[port=80,protocol="TCP"]',
        '.spec.ports[port=80,protocol="TCP"].port',
    ]


@pytest.mark.parametrize(
    "bad", [[], {"f:a": 1}, {"a": {}}, {"k:nonsense": {}}, {"k:1": {}}, {'i:"x"': {}}, {"f:a": {"x:": {}}}]
)
def test_what_is_no_tree(bad):
    assert not is_tree(bad)


@given(TREES)
def test_trees_are_trees(tree):
    assert is_tree(tree)
