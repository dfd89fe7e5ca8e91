from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from labkit.api import kinds, schema
from labkit.api.resources import Resource
from labkit.apiserver.tables import custom
from labkit.apiserver.tables.table import partial, partial_list, printer, table

Raw = dict[str, Any]
GATEWAY = Resource("Gateway", "example.com/v1", "gateways", custom=True)
META = {"name": "x", "namespace": "d", "uid": "u", "creationTimestamp": "1970-01-01T00:15:00Z"}


def test_a_table_whole() -> None:
    o = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": META}
    found = table(kinds.Catalogue().find("sa"), [o], 1000.0, metadata={"resourceVersion": "7"})
    name, age = found.pop("columnDefinitions")
    assert name.pop("description").startswith("Name must be unique within a namespace.")
    assert age.pop("description").startswith("CreationTimestamp is a timestamp representing the server time")
    assert name == {"name": "Name", "type": "string", "format": "name", "priority": 0}
    assert age == {"name": "Age", "type": "string", "format": "", "priority": 0}
    assert found == {
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": {"resourceVersion": "7"},
        "rows": [
            {
                "cells": ["x", "100s"],
                "object": {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": META},
            }
        ],
    }


def test_what_of_its_object_a_row_carries() -> None:
    o = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": META}
    sa = kinds.Catalogue().find("sa")
    assert "object" not in table(sa, [o], 0, "None")["rows"][0]
    assert table(sa, [o], 0, "Object")["rows"][0]["object"] is o


def test_a_watch_sends_the_columns_once() -> None:
    assert table(kinds.Catalogue().find("sa"), [], 0, headers=False)["columnDefinitions"] == []
    assert table(kinds.Catalogue().find("sa"), [], 0)["rows"] == []


@pytest.mark.parametrize(("phase", "reason"), [("Succeeded", "Succeeded"), ("Failed", "Failed"), ("Running", None)])
def test_rows_of_pods_that_ended_say_so(phase: str, reason: str | None) -> None:
    o = {"metadata": META, "spec": {"containers": [{"name": "c"}]}, "status": {"phase": phase}}
    conditions = table(kinds.Catalogue().find("po"), [o], 0)["rows"][0].get("conditions", [])
    assert [c["reason"] for c in conditions] == ([reason] if reason else [])


@pytest.mark.parametrize("kind", ["Role", "ClusterRole", "LimitRange", "CustomResourceDefinition"])
def test_a_kind_without_printer_shows_its_creation(kind: str) -> None:
    found = table(kinds.Catalogue().find(kind), [{"metadata": META}], 1000.0)
    assert [(c["name"], c["type"]) for c in found["columnDefinitions"]] == [("Name", "string"), ("Created At", "date")]
    assert found["rows"][0]["cells"] == ["x", "1970-01-01T00:15:00Z"]


def test_partial_objects() -> None:
    one = partial({"apiVersion": "v1", "kind": "Pod", "metadata": META, "spec": {}})
    assert one == {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": META}
    assert partial_list([{"metadata": META}], {"resourceVersion": "3"}) == {
        "kind": "PartialObjectMetadataList",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": {"resourceVersion": "3"},
        "items": [one],
    }


GATEWAYS = [
    {"name": "Class", "type": "string", "jsonPath": ".spec.gatewayClassName"},
    {"name": "Address", "type": "string", "jsonPath": ".status.addresses[*].value"},
    {"name": "Programmed", "type": "string", "jsonPath": ".status.conditions[?(@.type==\"Programmed\")].status"},
    {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"},
    {"name": "Port", "type": "integer", "jsonPath": ".spec.port", "format": "int32", "priority": 1,
     "description": "The port."},
]  # fmt: skip


def test_the_columns_of_a_definition() -> None:
    o = {
        "metadata": META,
        "spec": {"gatewayClassName": "istio", "port": 80},
        "status": {"addresses": [{"value": "10.0.0.1"}, {"value": "10.0.0.2"}],
                   "conditions": [{"type": "Accepted", "status": "False"}, {"type": "Programmed", "status": "True"}]},
    }  # fmt: skip
    found = table(GATEWAY, [o], 1000.0, columns=GATEWAYS)
    assert [c["name"] for c in found["columnDefinitions"]] == ["Name", "Class", "Address", "Programmed", "Age", "Port"]
    assert found["columnDefinitions"][1]["description"] == (
        "Custom resource definition column (in JSONPath format): .spec.gatewayClassName"
    )
    port = {"name": "Port", "type": "integer", "format": "int32", "description": "The port.", "priority": 1}
    assert found["columnDefinitions"][5] == port
    assert found["rows"][0]["cells"] == ["x", "istio", "10.0.0.1", "True", "100s", 80]
    assert table(GATEWAY, [{"metadata": META}], 1000.0, columns=GATEWAYS)["rows"][0]["cells"] == [
        "x", None, None, None, "100s", None,
    ]  # fmt: skip


def test_a_custom_kind_has_nothing_of_its_namesake() -> None:
    pod = Resource("Pod", "example.com/v1", "pods", custom=True)
    found = table(pod, [{"metadata": META, "status": {"phase": "Failed"}}], 1000.0)
    assert found["rows"][0]["cells"] == ["x", "100s"] and "conditions" not in found["rows"][0]


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        ("string", "a", "a"),
        ("string", 1.5, "1.5"),
        ("string", True, "true"),
        ("string", ["a", 1], '["a",1]'),
        ("integer", 3, 3),
        ("integer", 3.9, 3),
        ("integer", "3", None),
        ("integer", True, None),
        ("number", 3, 3.0),
        ("boolean", False, False),
        ("boolean", "true", None),
        ("date", "1970-01-01T00:15:00Z", "100s"),
        ("date", "soon", "<invalid>"),
        ("date", "", "<unknown>"),
        ("date", 7, None),
        ("odd", "a", None),
    ],
)
def test_a_cell_has_its_columns_type(kind: str, value: object, expected: object) -> None:
    columns = [{"name": "c", "type": kind, "jsonPath": ".v"}]
    found = table(GATEWAY, [{"metadata": META, "v": value}], 1000.0, columns=columns)["rows"][0]["cells"][1]
    assert (type(found), found) == (type(expected), expected)


TREE = {
    "a": {"b.c": 1, "list": [{"k": "x", "n": 1}, {"k": "y", "n": 2, "deep": {"m": [7, 8]}}], "m": {"p": 5}},
    "words": ["w", "v"],
}


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (".a['b.c']", 1),
        ('.a["b.c"]', 1),
        (r".a.b\.c", 1),
        (".a.list[0].k", "x"),
        (".a.list[-1].k", "y"),
        (".a.list[5].k", None),
        (".a.list[*].n", 1),
        (".a.list[?(@.k=='y')].n", 2),
        ('.a.list[?(@.k == "y")].deep.m[1]', 8),
        (".a.list[?(@.n==2)].k", "y"),
        (".a.list[?(@.k!='x')].k", "y"),
        (".a.list[?(@.deep=='x')].k", None),
        (".a.m.*", 5),
        (".a.m[*]", 5),
        ('.words[?(@=="v")]', "v"),
        (".words.a", None),
        (".a[0]", None),
        (".missing.more", None),
        ("a.b", None),
        (".a.list[", None),
        (".a..n", None),
        (".a.list[?(@.k=='y')", None),
    ],
)
def test_a_path(path: str, expected: object) -> None:
    assert custom.find(TREE, path) == expected


def test_the_root() -> None:
    assert custom.find(TREE, ".") is TREE
    assert custom.find(TREE, "") is TREE


@given(st.text(alphabet=".a[]?(@=!\"'*\\x1 -", max_size=40))
def test_any_text_is_a_path_or_none(path: str) -> None:
    custom.find(TREE, path)


def written(definition: Raw, depth: int, whole: bool) -> st.SearchStrategy[Any]:
    """Values of a definition's shape; required fields are there where `whole`, else any may be missing."""
    if "$ref" in definition:
        definition = schema.definitions()[definition["$ref"]]
    match definition.get("type"):
        case "string" if definition.get("format") == "date-time":
            return st.just("2025-01-31T12:00:00Z")
        case "string":
            return st.sampled_from(["", "a", "Ready", "True", "In", "Running", "LoadBalancer", "Resource"])
        case "integer":
            return st.integers(0, 9)
        case "boolean":
            return st.booleans()
        case "array":
            return st.lists(written(definition["items"], depth - 1, whole), max_size=3) if depth else st.just([])
        case "object" if "properties" in definition:
            return st.deferred(lambda: fields(definition, depth, whole)) if depth else st.just({})
        case "object":
            return st.dictionaries(st.sampled_from(["a", "limits.cpu", "storage"]), st.just("1"), max_size=2)
    return st.sampled_from(["1", "50%"])


@st.composite
def fields(draw: st.DrawFn, definition: Raw, depth: int, whole: bool) -> Raw:
    known = definition["properties"]
    names = set(draw(st.lists(st.sampled_from(sorted(known)), max_size=6, unique=True)))
    names |= set(definition.get("required", ())) if whole else set()
    return {n: draw(written(known[n], depth - 1, whole and n != "status")) for n in sorted(names)}


@st.composite
def stored(draw: st.DrawFn) -> tuple[Resource, Raw]:
    resource = draw(st.sampled_from(kinds.RESOURCES))
    definition = schema.definition(resource.api_version, resource.kind)
    assert definition is not None
    raw = draw(fields(definition, 7, True))
    for name in ("spec", "status"):
        if name in definition["properties"]:
            raw[name] = draw(written(definition["properties"][name], 6, name == "spec"))
    return resource, {**raw, "metadata": META}


@given(stored())
@settings(max_examples=200, suppress_health_check=[HealthCheck.too_slow], deadline=None)
def test_every_stored_object_has_a_row(case: tuple[Resource, Raw]) -> None:
    resource, raw = case
    (row,) = table(resource, [raw], 2e9)["rows"]
    assert len(row["cells"]) == len(printer(resource).columns)
    assert all(cell is None or isinstance(cell, str | int) for cell in row["cells"])
