"""OpenAPI v2: what it says of v3's schemas, and its protobuf form, read back by this file's own reader."""

from __future__ import annotations

import struct
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from labkit.api.kinds import Catalogue
from labkit.api.resources import Resource
from labkit.apiserver.openapi import gnostic, version2
from labkit.apiserver.openapi.documents import OpenApi

Raw = dict[str, Any]
Fields = dict[int, list[Any]]


def documents() -> tuple[Raw, bytes]:
    catalogue = Catalogue()
    catalogue.add([Resource("Gateway", "example.com/v1", "gateways", custom=True, subresources=("status",))])
    written = {
        "type": "object",
        "properties": {"spec": {"type": "object", "properties": {
            "port": {"type": "integer", "minimum": 1, "maximum": 65535, "default": 80},
            "mode": {"type": "string", "enum": ["a", "b"], "pattern": "^[a-z]$", "maxLength": 1},
        }}},
    }  # fmt: skip
    openapi = OpenApi(catalogue, lambda version, kind: written)
    whole, bytes_ = openapi.swagger("json"), openapi.swagger("protobuf")
    assert whole.content_type == "application/json"
    assert bytes_.content_type == "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
    assert openapi.swagger("json") is whole
    return msgspec.json.decode(whole.body), bytes_.body


JSON, PROTOBUF = documents()


def test_the_document() -> None:
    assert JSON["swagger"] == "2.0"
    names = JSON["definitions"].keys()
    assert {"io.k8s.api.core.v1.Pod", "io.k8s.api.core.v1.PodList", "com.example.v1.Gateway"} <= names
    patch = JSON["paths"]["/api/v1/namespaces/{namespace}/pods/{name}"]["patch"]
    assert {"dryRun", "fieldValidation", "force", "body"} <= {p["name"] for p in patch["parameters"]}
    assert patch["x-kubernetes-group-version-kind"] == {"group": "", "version": "v1", "kind": "Pod"}


def test_every_reference_is_there_and_no_keyword_of_v3() -> None:
    def walk(value: Any, names: bool) -> None:
        """`names`: the keys of this object are names, not keywords."""
        if isinstance(value, list):
            for each in value:
                walk(each, False)
        elif isinstance(value, dict):
            if not names:
                assert not value.keys() & {"allOf", "anyOf", "oneOf", "nullable", "not", "content", "requestBody"}
                if "$ref" in value:
                    assert value["$ref"].removeprefix("#/definitions/") in JSON["definitions"]
            for key, each in value.items():
                walk(each, not names and key in ("properties", "definitions", "paths"))

    walk(JSON, False)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ({"type": "string", "nullable": True, "description": "d"}, {"description": "d"}),
        ({"x-kubernetes-int-or-string": True, "anyOf": [{}]}, {"x-kubernetes-int-or-string": True}),
        (
            {"type": "object", "x-kubernetes-preserve-unknown-fields": True, "properties": {"a": {"type": "string"}}},
            {"x-kubernetes-preserve-unknown-fields": True},
        ),
        (
            {"type": "array", "items": {"type": "string", "nullable": True}, "maxItems": 3},
            {"type": "array", "items": {}, "maxItems": 3},
        ),
        ({"type": "object", "additionalProperties": True}, {"type": "object"}),
        (
            {"type": "object", "additionalProperties": {"type": "integer", "not": {}}},
            {"type": "object", "additionalProperties": {"type": "integer"}},
        ),
        (
            {"description": "d", "allOf": [{"$ref": "#/components/schemas/x"}]},
            {"$ref": "#/definitions/x", "description": "d"},
        ),
        ({"allOf": [{"required": ["a"]}], "type": "object"}, {"type": "object"}),
    ],
)
def test_a_schema_of_v3_in_v2(written: Raw, expected: Raw) -> None:
    assert version2.schema(written) == expected


def test_types_with_a_choice() -> None:
    assert JSON["definitions"]["io.k8s.apimachinery.pkg.api.resource.Quantity"]["type"] == "string"
    port = JSON["definitions"]["io.k8s.apimachinery.pkg.util.intstr.IntOrString"]
    assert (port["type"], port["format"]) == ("string", "int-or-string")


def fields(data: bytes) -> Fields:
    """The fields of a message: ints, doubles and bytes by number."""
    found: Fields = {}
    at = 0

    def varint() -> int:
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while at < len(data):
        tag = varint()
        if tag & 7 == 0:
            value: Any = varint()
        else:
            size = varint() if tag & 7 == 2 else 8
            value, at = data[at : at + size], at + size
            if tag & 7 == 1:
                (value,) = struct.unpack("<d", value)
        found.setdefault(tag >> 3, []).append(value)
    assert at == len(data)
    return found


def named(entries: list[bytes]) -> dict[str, bytes]:
    read = [fields(entry) for entry in entries]
    return {entry[1][0].decode(): entry[2][0] for entry in read}


def any_value(data: bytes) -> Any:
    return msgspec.json.decode(fields(data)[2][0])


def schema(data: bytes) -> Raw:
    """A Schema message as JSON. Numbers: gnostic's OpenAPIv2.proto."""
    read = fields(data)
    found: Raw = {}
    for number, name in {1: "$ref", 2: "format", 4: "description", 13: "pattern"}.items():
        if number in read:
            found[name] = read[number][0].decode()
    for number, name in {
        7: "maximum",
        9: "minimum",
        11: "maxLength",
        12: "minLength",
        14: "maxItems",
        15: "minItems",
    }.items():
        if number in read:
            found[name] = read[number][0]
    if 5 in read:
        found["default"] = any_value(read[5][0])
    if 16 in read:
        found["uniqueItems"] = bool(read[16][0])
    if 19 in read:
        found["required"] = [name.decode() for name in read[19]]
    if 20 in read:
        found["enum"] = [any_value(value) for value in read[20]]
    if 21 in read:
        found["additionalProperties"] = schema(fields(read[21][0])[1][0])
    if 22 in read:
        found["type"] = fields(read[22][0])[1][0].decode()
    if 23 in read:
        found["items"] = schema(fields(read[23][0])[1][0])
    if 25 in read:
        inside = fields(read[25][0]) if read[25][0] else {}
        found["properties"] = {name: schema(each) for name, each in named(inside.get(1, [])).items()}
    found |= {name: any_value(each) for name, each in named(read.get(31, [])).items()}
    return found


def test_the_protobuf_says_what_the_json_says() -> None:
    document = fields(PROTOBUF)
    assert document[1] == [b"2.0"]
    assert fields(document[2][0])[1] == [b"Kubernetes"]
    definitions = named(fields(document[9][0])[1])
    assert {name: schema(each) for name, each in definitions.items()} == JSON["definitions"]


def test_the_operations_in_protobuf() -> None:
    found = named(fields(fields(PROTOBUF)[8][0])[2])
    assert found.keys() == JSON["paths"].keys()
    methods = {2: "get", 3: "put", 4: "post", 5: "delete", 8: "patch"}
    for path, data in found.items():
        item, written = fields(data), JSON["paths"][path]
        assert {methods[number] for number in item if number in methods} == written.keys() - {"parameters"}
        assert [parameter(each) for each in item.get(9, [])] == written.get("parameters", [])
        for number, name in methods.items():
            if number in item:
                assert operation(item[number][0]) == written[name]


def parameter(data: bytes) -> Raw:
    one = fields(fields(data)[1][0])
    if 1 in one:
        body = fields(one[1][0])
        found = {"name": body[2][0].decode(), "in": body[3][0].decode(), "required": bool(body.get(4, [0])[0])}
        return {**found, "schema": schema(body[5][0])}
    (way, values) = next(iter(fields(one[2][0]).items()))
    read = fields(values[0])
    required = {"required": True} if 1 in read else {}
    kind = read[{3: 6, 4: 5}[way]][0].decode()
    words = {"in": read[2][0].decode(), "description": read[3][0].decode(), "name": read[4][0].decode()}
    return {**required, **words, "type": kind}


def operation(data: bytes) -> Raw:
    read = fields(data)
    found: Raw = {"tags": [tag.decode() for tag in read[1]], "operationId": read[5][0].decode()}
    if 7 in read:
        found["consumes"] = [each.decode() for each in read[7]]
    if 8 in read:
        found["parameters"] = [parameter(each) for each in read[8]]
    found["responses"] = {}
    for code, data in named(fields(read[9][0])[1]).items():
        response = fields(fields(data)[1][0])
        answer = {"schema": schema(fields(response[2][0])[1][0])} if 2 in response else {}
        found["responses"][code] = {"description": response[1][0].decode(), **answer}
    return found | {name: any_value(each) for name, each in named(read[13]).items()}


TEXT = st.text(max_size=5)
LEAF = st.fixed_dictionaries(
    {},
    optional={
        "type": st.sampled_from(["string", "integer", "object", "array", "boolean", "number"]),
        "format": TEXT,
        "description": TEXT,
        "default": st.none() | st.integers() | TEXT | st.lists(st.booleans()),
        "enum": st.lists(TEXT | st.integers(), min_size=1, max_size=2),
        "required": st.lists(TEXT, min_size=1, max_size=2),
        "maximum": st.integers(-9, 9),
        "minLength": st.integers(0, 9),
        "maxItems": st.integers(0, 2**62),
        "nullable": st.booleans(),
        "x-kubernetes-preserve-unknown-fields": st.booleans(),
        "oneOf": st.just([{"required": ["a"]}]),
    },
)


def nested(inner: st.SearchStrategy[Raw]) -> st.SearchStrategy[Raw]:
    more = {
        "items": inner,
        "properties": st.dictionaries(TEXT, inner, min_size=1, max_size=2),
        "additionalProperties": inner,
    }
    return st.builds(lambda a, b: a | b, LEAF, st.fixed_dictionaries({}, optional=more))


@given(st.recursive(LEAF, nested, max_leaves=6))
def test_any_custom_schema_can_be_said(written: Raw) -> None:
    told = version2.schema(written)
    data = gnostic.encode(
        {"swagger": "2.0", "info": {"title": "", "version": ""}, "paths": {}, "definitions": {"x": told}}
    )
    assert schema(named(fields(fields(data)[9][0])[1])["x"]) == told
