"""Patches: the words of the refusals, the bounds, and what holds for any of them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labkit.api.schema import definition
from labkit.control.patch import patched
from labkit.errors import ApiError

DEPLOYMENT = definition("apps/v1", "Deployment")
GENERIC = "the server rejected our request due to an error in our request"

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(0, 3) | st.sampled_from("ab"),
    lambda values: st.lists(values, max_size=3) | st.dictionaries(st.sampled_from("abc"), values, max_size=3),
    max_leaves=12,
)
OBJECTS = st.dictionaries(st.sampled_from("abc"), JSON, max_size=3)


def refused(kind: Any, patch: Any, live: Any = None, schema: Any = DEPLOYMENT) -> tuple[int, str, str]:
    with pytest.raises(ApiError) as caught:
        patched(kind, live or {"a": [1], "spec": {"replicas": 1}}, patch, schema)
    status = caught.value.details["status"]
    return status["code"], status["reason"], status["message"]


@pytest.mark.parametrize(
    "operations",
    [
        [{"op": "remove", "path": "/nope"}],
        [{"op": "remove", "path": ""}],
        [{"op": "replace", "path": "", "value": 3}],
        [{"op": "add", "path": "/nope/x", "value": 1}],
        [{"op": "add", "path": "/a/7", "value": 1}],
        [{"op": "add", "path": "/a/-3", "value": 1}],
        [{"op": "add", "path": "/a/x", "value": 1}],
        [{"op": "add", "path": "/a/²", "value": 1}],
        [{"op": "add", "path": f"/a/{'9' * 5000}", "value": 1}],
        [{"op": "add", "path": "/spec/replicas/x", "value": 1}],
        [{"op": "add", "path": "spec", "value": 1}],
        [{"op": "add", "value": 1}],
        [{"op": "add", "path": 3, "value": 1}],
        [{"op": "move", "path": "/b"}],
        [{"op": "copy", "path": "/b", "from": 1}],
        [{"op": "test", "path": "/spec/replicas", "value": True}],
        [{"op": "test", "path": "/spec/replicas", "value": 2}],
        [{"op": "odd", "path": "/spec"}],
        [{"path": "/spec"}],
        [{"op": ["add"], "path": "/spec", "value": 1}],
    ],
)
def test_an_operation_that_does_not_apply(operations):
    assert refused("json", operations) == (422, "Invalid", GENERIC)


@pytest.mark.parametrize("patch", [{}, "x", 3, None, [3], [None], ["x"], [[]]])
def test_what_is_no_json_patch(patch):
    code, reason, message = refused("json", patch)
    assert (code, reason) == (400, "BadRequest")
    assert message.startswith("json: cannot unmarshal ")


def test_too_many_operations():
    code, reason, message = refused("json", [{"op": "test", "path": "/b"}] * 10_001)
    assert (code, reason) == (413, "RequestEntityTooLarge")
    assert message == (
        "Request entity is too large: The allowed maximum operations in a JSON patch is 10000, got 10001"
    )


def test_copies_that_would_fill_the_memory():
    doubling = [{"op": "copy", "path": "/a/-", "from": "/a"}] * 60
    assert refused("json", doubling) == (422, "Invalid", GENERIC)


def test_operations_that_would_nest_without_end():
    twice = [{"op": "copy", "from": "/a", "path": "/a" * (2**times + 1)} for times in range(15)]
    assert refused("json", twice, {"a": {}}) == (422, "Invalid", GENERIC)


@pytest.mark.parametrize("patch", [[], "x", 3, None])
def test_what_is_no_merge_patch(patch):
    assert refused("merge", patch) == (400, "BadRequest", "Invalid JSON Patch")
    assert refused("strategic", patch) == (400, "BadRequest", "invalid JSON document")


def test_a_patch_that_is_nested_without_end():
    patch: Any = {}
    for _ in range(3000):
        patch = {"a": patch}
    assert refused("merge", patch) == (400, "BadRequest", "the patch is nested too deeply")
    assert refused("strategic", patch)[0] == 400


def _container(**fields: Any) -> Any:
    return {"spec": {"template": {"spec": {"containers": [fields]}}}}


@pytest.mark.parametrize(
    ("patch", "why"),
    [
        ({"spec": {"$patch": "odd"}}, 'unknown patch type: odd in map: {"$patch":"odd"}'),
        ({"spec": {"$patch": "merge"}}, 'unknown patch type: merge in map: {"$patch":"merge"}'),
        (_container(name="a", **{"$patch": "merge"}), "merging list cannot yet be specified in the patch"),
        (_container(name="a", **{"$patch": ["x"]}), "unknown patch type: ['x'] in map"),
        (_container(image="x"), 'map: {"image":"x"} does not contain declared merge key: name'),
        (_container(**{"$patch": "delete"}), 'map: {"$patch":"delete"} does not contain declared merge key: name'),
        ({"$unknown": 1}, "strategic merge patch format is not supported"),
        ({"metadata": {"$deleteFromPrimitiveList/finalizers": "x"}}, "invalid patch format of primitive list"),
        ({"metadata": {"$setElementOrder/finalizers": "x"}}, "invalid patch format of setElementOrder list"),
        ({"metadata": {"finalizers": None, "$setElementOrder/finalizers": []}}, "invalid patch format of setElement"),
        ({"metadata": {"finalizers": ["b"], "$setElementOrder/finalizers": ["a"]}}, "The order in patch list:"),
        ({"spec": {"$retainKeys": "x"}}, "invalid patch format of retainKeys"),
        ({"spec": {"$retainKeys": [{}]}}, "invalid patch format of retainKeys"),
        ({"spec": {"$retainKeys": ["a"], "b": 1}}, "invalid patch format of retainKeys"),
        ({"metadata": {"finalizers": ["a", {"b": 1}]}}, "list element types are not identical"),
    ],
)
def test_directives_that_make_no_sense(patch, why):
    live = {"metadata": {"finalizers": ["a"]}, **_container(name="a", image="b")}
    code, reason, message = refused("strategic", patch, live)
    assert (code, reason) == (400, "BadRequest")
    assert message.startswith(why)


def test_a_list_of_lists_does_not_merge():
    assert refused("strategic", {"metadata": {"finalizers": [[]]}}, {"metadata": {"finalizers": []}})[0] == 422


def test_custom_kinds_have_no_strategic_patch():
    code, reason, _ = refused("strategic", {}, schema=None)
    assert (code, reason) == (415, "UnsupportedMediaType")


def test_names_that_begin_with_a_dollar_are_no_directives_where_the_schema_has_them():
    crd = definition("apiextensions.k8s.io/v1", "CustomResourceDefinition")
    live = {"spec": {"names": {"kind": "A"}, "preserveUnknownFields": False}}
    patch = {"spec": {"versions": [{"name": "v1", "schema": {"openAPIV3Schema": {"$ref": "x"}}}]}}
    made = patched("strategic", live, patch, crd)
    assert made["spec"]["versions"][0]["schema"]["openAPIV3Schema"] == {"$ref": "x"}


def difference(one: Any, other: Any) -> Any:
    """The merge patch that leads from one object to the other; what holds no null can be reached."""
    patch = {name: None for name in one if name not in other}
    for name, value in other.items():
        if isinstance(value, dict) and isinstance(one.get(name), dict):
            patch[name] = difference(one[name], value)
        elif name not in one or one[name] != value:
            patch[name] = value
    return patch


def without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: without_nulls(below) for name, below in value.items() if below is not None}
    return value


@given(OBJECTS, OBJECTS.map(without_nulls))
def test_a_merge_patch_leads_from_any_object_to_any(one, other):
    assert patched("merge", one, difference(one, other), None) == other


@given(OBJECTS, OBJECTS)
def test_a_merge_patch_twice_is_as_once(one, patch):
    once = patched("merge", one, patch, None)
    assert patched("merge", once, patch, None) == once


@given(OBJECTS, st.lists(st.tuples(st.sampled_from(["add", "replace"]), st.sampled_from("abc"), JSON), max_size=5))
def test_a_json_patch_is_its_operations_one_by_one(one, changes):
    operations = [{"op": op, "path": f"/{name}", "value": value} for op, name, value in changes]
    expected = {**one, **{name: value for _, name, value in changes}}
    assert patched("json", one, operations, None) == expected


NAMES = st.lists(st.sampled_from("abcd"), unique=True)


@given(NAMES, NAMES)
def test_a_strategic_patch_merges_lists_by_key(there, given_names):
    live = {"spec": {"template": {"spec": {"containers": [{"name": n, "image": "old"} for n in there]}}}}
    patch = {"spec": {"template": {"spec": {"containers": [{"name": n, "tty": True} for n in given_names]}}}}
    once = patched("strategic", live, patch, DEPLOYMENT)
    made = {c["name"]: c for c in once["spec"]["template"]["spec"]["containers"]}
    assert made.keys() == set(there) | set(given_names)
    assert all(("image" in c) == (n in there) and ("tty" in c) == (n in given_names) for n, c in made.items())
    assert [n for n in made if n in given_names] == given_names
    assert patched("strategic", once, patch, DEPLOYMENT) == once
