"""CustomResourceDefinitions and APIServices in protobuf; field numbers as their generated.proto files give them."""

from __future__ import annotations

import struct
from typing import Any

import pytest

from labkit.api import schema
from labkit.apiserver.protobuf.decode import decode
from labkit.apiserver.protobuf.registration import MESSAGES
from labkit.errors import ApiError

from .encoder import body, num, sub, varint

Raw = dict[str, Any]


def double(number: int, value: float) -> bytes:
    return varint(number << 3 | 1) + struct.pack("<d", value)


def prop(name: str, content: bytes) -> bytes:
    return sub(29, sub(1, name) + sub(2, content))


def definition(schema: bytes) -> bytes:
    """A definition of which only the schema is of interest."""
    version = sub(1, "v1") + num(2, 1) + num(3, 0) + sub(4, sub(1, schema))
    return body("apiextensions.k8s.io/v1", "CustomResourceDefinition", sub(2, sub(7, version)))


def read(schema: bytes) -> Any:
    (version,) = decode(definition(schema))["spec"]["versions"]
    return version["schema"]["openAPIV3Schema"]


def test_a_definition_whole() -> None:
    names = sub(1, "gateways") + sub(2, "") + sub(3, "gw") + sub(4, "Gateway") + sub(5, "") + sub(6, "all")
    column = (
        sub(1, "Age") + sub(2, "date") + sub(3, "") + sub(4, "") + num(5, 0) + sub(6, ".metadata.creationTimestamp")
    )
    version = sub(1, "v1") + num(2, 1) + num(3, 0) + sub(4, sub(1, sub(5, "object"))) + sub(5, sub(1, b""))
    version += sub(6, column) + num(7, 0)
    spec = sub(1, "example.com") + sub(3, names) + sub(4, "Namespaced") + sub(7, version) + num(10, 0)
    status = sub(2, sub(1, "") + sub(4, ""))
    found = decode(
        body("apiextensions.k8s.io/v1", "CustomResourceDefinition", sub(1, sub(1, "n")) + sub(2, spec) + sub(3, status))
    )
    assert found == {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "n"},
        "spec": {
            "group": "example.com",
            "names": {"plural": "gateways", "shortNames": ["gw"], "kind": "Gateway", "categories": ["all"]},
            "scope": "Namespaced",
            "versions": [
                {
                    "name": "v1",
                    "served": True,
                    "storage": False,
                    "schema": {"openAPIV3Schema": {"type": "object"}},
                    "subresources": {"status": {}},
                    "additionalPrinterColumns": [
                        {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"}
                    ],
                }
            ],
        },
        "status": {"acceptedNames": {"plural": "", "kind": ""}},
    }


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (sub(5, "string") + sub(15, "^a$") + num(13, 0) + num(37, 0),
         {"type": "string", "pattern": "^a$", "maxLength": 0}),
        (double(9, 65535.0) + double(11, 0.5) + num(10, 0), {"maximum": 65535, "minimum": 0.5}),
        (sub(8, sub(1, b'{"a":[1]}')) + sub(20, sub(1, b'"x"')) + sub(20, sub(1, b"null")),
         {"default": {"a": [1]}, "enum": ["x", None]}),
        (sub(8, sub(1, b"false")), {"default": False}),
        (sub(24, sub(1, sub(5, "string"))), {"items": {"type": "string"}}),
        (sub(24, sub(2, sub(5, "string")) + sub(2, b"")), {"items": [{"type": "string"}, {}]}),
        (sub(30, num(1, 1)), {"additionalProperties": True}),
        (sub(30, num(1, 0)), {"additionalProperties": False}),
        (sub(30, num(1, 1) + sub(2, sub(5, "integer"))), {"additionalProperties": {"type": "integer"}}),
        (sub(30, num(1, 1) + sub(2, b"")), {"additionalProperties": {}}),
        (sub(32, sub(1, "a") + sub(2, sub(2, "b"))), {"dependencies": {"a": ["b"]}}),
        (prop("a", sub(5, "integer")) + prop("b", b""), {"properties": {"a": {"type": "integer"}, "b": {}}}),
        (sub(23, "a") + sub(25, b"") + sub(28, sub(23, "b")),
         {"required": ["a"], "allOf": [{}], "not": {"required": ["b"]}}),
        (num(38, 1) + num(39, 0) + num(40, 1) + sub(41, "k") + sub(42, "map") + sub(43, "atomic"),
         {"x-kubernetes-preserve-unknown-fields": True, "x-kubernetes-int-or-string": True,
          "x-kubernetes-list-map-keys": ["k"], "x-kubernetes-list-type": "map", "x-kubernetes-map-type": "atomic"}),
        (sub(44, sub(1, "self > 0") + sub(2, "") + sub(3, "") + num(6, 0)),
         {"x-kubernetes-validations": [{"rule": "self > 0", "optionalOldSelf": False}]}),
        (sub(2, "s") + sub(3, "#/r"), {"$schema": "s", "$ref": "#/r"}),
    ],
)  # fmt: skip
def test_a_schema(content: bytes, expected: Raw) -> None:
    assert read(content) == expected


def test_an_api_service() -> None:
    spec = sub(1, sub(1, "kube-system") + sub(2, "metrics-server") + num(3, 443)) + sub(2, "metrics.k8s.io")
    spec += sub(3, "v1beta1") + num(4, 1) + sub(5, b"\x01") + num(7, 100) + num(8, 0)
    found = decode(body("apiregistration.k8s.io/v1", "APIService", sub(1, sub(1, "n")) + sub(2, spec) + sub(3, b"")))
    assert found["spec"] == {
        "service": {"namespace": "kube-system", "name": "metrics-server", "port": 443},
        "group": "metrics.k8s.io",
        "version": "v1beta1",
        "insecureSkipTLSVerify": True,
        "caBundle": "AQ==",
        "groupPriorityMinimum": 100,
        "versionPriority": 0,
    }


def test_every_field_is_one_of_the_published_schema() -> None:
    prefixes = {
        "apiextensions.": "io.k8s.apiextensions-apiserver.pkg.apis.",
        "apiregistration.": "io.k8s.kube-aggregator.pkg.apis.",
    }
    for name, message in MESSAGES.items():
        prefix = next(long for short, long in prefixes.items() if name.startswith(short))
        published = schema.definitions()[schema.PREFIX + prefix + name]
        if "properties" not in published:
            assert not message or "Or" in name
            continue
        written = {field.name: field for field in message.values()}
        meta = {"apiVersion", "kind"} if "x-kubernetes-group-version-kind" in published else set()
        assert written.keys() == published["properties"].keys() - meta, name
        for field in published.get("required", ()):
            one = written[field]
            assert one.way != "one" or one.keep or one.kind in MESSAGES, f"{name}.{field}"
        for field in written:
            shape = published["properties"][field]
            ways = {"array": "list", "object": "map" if "additionalProperties" in shape else "one"}
            assert written[field].way == ways.get(shape.get("type", ""), "one"), f"{name}.{field}"


def nested(levels: int) -> bytes:
    found = sub(5, "string")
    for _ in range(levels):
        found = sub(24, sub(1, found))
    return definition(found)


def test_nesting_is_bounded() -> None:
    assert decode(nested(40))
    for levels in (60, 2000):
        with pytest.raises(ApiError, match="nested more than 100 deep"):
            decode(nested(levels))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (num(9, 1), "wrong wireType"),
        (sub(9, "abc"), "wrong wireType for a double"),
        (double(9, float("nan")), "no finite number"),
        (double(9, float("inf")), "no finite number"),
        (sub(8, sub(1, b"{")), "no JSON in a raw field"),
        (sub(24, num(1, 1)), "wrong wireType"),
    ],
)
def test_what_is_no_schema_is_refused(content: bytes, words: str) -> None:
    with pytest.raises(ApiError, match=words) as refused:
        decode(definition(content))
    assert refused.value.details["status"]["code"] == 400
