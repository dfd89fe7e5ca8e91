"""What holds for any configurations of any managers."""

from __future__ import annotations

from typing import Any

from hypothesis import assume, given
from hypothesis import strategies as st
from owned_objects import LATER, NOW, owners

from labkit.control.fields import custom, server_side_apply
from labkit.control.store import copy
from labkit.errors import ApiError

Raw = dict[str, Any]
STRING = {"type": "string"}
ITEM = {"type": "object", "properties": {"name": STRING, "value": STRING, "more": {"type": "array", "items": STRING}}}
SPEC = {
    "plain": STRING,
    "labels": {"type": "object", "additionalProperties": STRING},
    "items": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"], "items": ITEM},
    "tags": {"type": "array", "x-kubernetes-list-type": "set", "items": STRING},
    "whole": {"type": "object", "x-kubernetes-map-type": "atomic", "additionalProperties": STRING},
    "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
}
TYPES = custom({"type": "object", "properties": {"spec": {"type": "object", "properties": SPEC}}})

NAMES = st.sampled_from(["a", "b", "c"])
MAPS = st.dictionaries(NAMES, NAMES, max_size=3)
ITEMS = st.dictionaries(
    NAMES, st.fixed_dictionaries({}, optional={"value": NAMES, "more": st.lists(NAMES, max_size=2)}), max_size=3
).map(lambda items: [{"name": name, **fields} for name, fields in items.items()])
FREE = st.dictionaries(NAMES, MAPS, max_size=2)
SPECS = st.fixed_dictionaries(
    {},
    optional={
        "plain": NAMES,
        "labels": MAPS,
        "items": ITEMS,
        "tags": st.lists(NAMES, unique=True),
        "whole": MAPS,
        "free": FREE,
    },
)


def gate(spec: Raw) -> Raw:
    return {"apiVersion": "e.io/v1", "kind": "Gate", "metadata": {"name": "g"}, "spec": copy(spec)}


def apply(live: Raw | None, spec: Raw, manager: str, force: bool = False) -> Raw:
    return server_side_apply(live, gate(spec), manager, force, NOW if live is None else LATER, types=TYPES)


def leaves(spec: Raw) -> Raw:
    """Path -> value of all that is owned as a whole, found without any of the code under test."""
    found: Raw = {}
    for field in ("plain", "whole"):
        if field in spec:
            found[f".spec.{field}"] = spec[field]
    found |= {f".spec.labels.{name}": value for name, value in spec.get("labels", {}).items()}
    found |= {f'.spec.tags[="{tag}"]': tag for tag in spec.get("tags", [])}
    for item in spec.get("items", []):
        found |= {f'.spec.items[name="{item["name"]}"].{field}': value for field, value in item.items()}
    for name, below in spec.get("free", {}).items():
        found |= {f".spec.free.{name}.{field}": value for field, value in below.items()}
    return found


def differing(one: Raw, other: Raw) -> set[str]:
    mine, others = leaves(one), leaves(other)
    return {path for path in mine.keys() & others.keys() if mine[path] != others[path]}


def spec_of(raw: Raw) -> Raw:
    return raw.get("spec", {})


@given(SPECS, SPECS)
def test_the_same_twice_changes_nothing(one, other):
    live = apply(apply(None, one, "one"), other, "two", force=True)
    assert apply(live, other, "two") is live


@given(SPECS, SPECS)
def test_conflicts_are_where_two_own_a_differing_leaf(one, other):
    live = apply(None, one, "one")
    try:
        apply(live, other, "two")
        found = set()
    except ApiError as error:
        found = {cause["field"] for cause in error.details["status"]["details"]["causes"]}
    assert found == differing(one, other)


@given(SPECS, SPECS)
def test_after_an_apply_all_that_was_applied_is_there(one, other):
    live = leaves(spec_of(apply(apply(None, one, "one"), other, "two", force=True)))
    assert leaves(other).items() <= live.items()
    assert live.keys() == leaves(one).keys() | leaves(other).keys()


@given(SPECS, SPECS, SPECS)
def test_what_one_applied_and_nobody_else_goes_when_it_is_left_out(one, other, later):
    assume(not differing(one, other))
    live = apply(apply(None, one, "one"), other, "two")
    live = apply(live, later, "one", force=True)
    assert leaves(spec_of(live)) == leaves(other) | leaves(later)


@given(SPECS, SPECS)
def test_the_order_of_managers_does_not_matter(one, other):
    assume(not differing(one, other))
    a = apply(apply(None, one, "one"), other, "two")
    b = apply(apply(None, other, "two"), one, "one")
    assert leaves(spec_of(a)) == leaves(spec_of(b))
    assert owners(a) == owners(b)


def named(spec: Raw, field: str) -> list[str]:
    return [item["name"] if field == "items" else item for item in spec.get(field, [])]


@given(SPECS, SPECS)
def test_lists_are_in_the_order_of_the_last_one(one, other):
    live = spec_of(apply(apply(None, one, "one"), other, "two", force=True))
    for field in ("items", "tags"):
        wanted = named(other, field)
        assert [name for name in named(live, field) if name in wanted] == wanted


@given(SPECS, SPECS)
def test_nothing_that_is_given_is_changed(one, other):
    live = apply(None, one, "one")
    before = copy(live)
    applied = gate(other)
    server_side_apply(live, applied, "two", True, LATER, types=TYPES)
    assert (live, applied) == (before, gate(other))
