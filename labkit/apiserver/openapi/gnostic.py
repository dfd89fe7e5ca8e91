"""An OpenAPI v2 document in the protobuf form that kubectl asks for.

Only the fields that the server's documents have. Source: github.com/google/gnostic/openapiv2/OpenAPIv2.proto.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

Raw = dict[str, Any]

ASKED_FOR = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"
CONTENT_TYPE = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
"""Of the answer: an "@" may not be in it, and clients refuse what they cannot parse."""

TEXTS = {"$ref": 1, "format": 2, "title": 3, "description": 4, "pattern": 13}
NUMBERS = {"maxLength": 11, "minLength": 12, "maxItems": 14, "minItems": 15}
DOUBLES = {"maximum": 7, "minimum": 9}
METHODS = {"get": 2, "put": 3, "post": 4, "delete": 5, "patch": 8}


def asked_for(accept: str) -> bool:
    """Does an Accept header name this form? Clients that know it prefer it, in either spelling."""
    return any(choice.split(";")[0].strip() in (ASKED_FOR, CONTENT_TYPE) for choice in accept.split(","))


def encode(document: Raw) -> bytes:
    """The bytes of a Document."""
    info = document["info"]
    return b"".join(
        [
            _text(1, document["swagger"]),
            _bytes(2, _text(1, info["title"]) + _text(2, info["version"])),
            _bytes(8, b"".join(_named(2, name, _path(path)) for name, path in document["paths"].items())),
            _bytes(9, _schemas(document["definitions"])),
        ]
    )


def _path(path: Raw) -> bytes:
    methods = b"".join(_bytes(number, _operation(path[name])) for name, number in METHODS.items() if name in path)
    return methods + b"".join(_bytes(9, _parameter(each)) for each in path.get("parameters", ()))


def _operation(operation: Raw) -> bytes:
    return b"".join(
        [
            *(_text(1, tag) for tag in operation["tags"]),
            _text(5, operation["operationId"]),
            *(_text(7, each) for each in operation.get("consumes", ())),
            *(_bytes(8, _parameter(each)) for each in operation.get("parameters", ())),
            _bytes(9, b"".join(_response(code, each) for code, each in operation["responses"].items())),
            *_extensions(13, operation),
        ]
    )


def _response(code: str, response: Raw) -> bytes:
    content = _text(1, response["description"])
    if "schema" in response:
        content += _bytes(2, _bytes(1, _schema(response["schema"])))
    return _named(1, code, _bytes(1, content))


def _parameter(parameter: Raw) -> bytes:
    """A ParametersItem: a parameter in the body, the query or the path."""
    if parameter["in"] == "body":
        content = _text(2, parameter["name"]) + _text(3, "body") + _flag(4, parameter["required"])
        return _bytes(1, _bytes(1, content + _bytes(5, _schema(parameter["schema"]))))
    query = parameter["in"] == "query"
    words = _text(2, parameter["in"]) + _text(3, parameter["description"]) + _text(4, parameter["name"])
    content = _flag(1, parameter.get("required", False)) + words + _text(6 if query else 5, parameter["type"])
    return _bytes(1, _bytes(2, _bytes(3 if query else 4, content)))


def _schemas(schemas: Mapping[str, Raw]) -> bytes:
    return b"".join(_named(1, name, _schema(each)) for name, each in schemas.items())


def _schema(schema: Raw) -> bytes:
    found = [_text(number, schema[name]) for name, number in TEXTS.items() if name in schema]
    found += [_number(number, schema[name]) for name, number in NUMBERS.items() if name in schema]
    found += [_double(number, schema[name]) for name, number in DOUBLES.items() if name in schema]
    if "default" in schema:
        found.append(_bytes(5, _any(schema["default"])))
    found.append(_flag(16, schema.get("uniqueItems", False)))
    found += [_text(19, name) for name in schema.get("required", ())]
    found += [_bytes(20, _any(value)) for value in schema.get("enum", ())]
    if "additionalProperties" in schema:
        found.append(_bytes(21, _bytes(1, _schema(schema["additionalProperties"]))))
    if "type" in schema:
        found.append(_bytes(22, _text(1, schema["type"])))
    if "items" in schema:
        found.append(_bytes(23, _bytes(1, _schema(schema["items"]))))
    if "properties" in schema:
        found.append(_bytes(25, _schemas(schema["properties"])))
    return b"".join([*found, *_extensions(31, schema)])


def _extensions(number: int, holder: Raw) -> Iterable[bytes]:
    return (_named(number, name, _any(value)) for name, value in holder.items() if name.startswith("x-"))


def _any(value: Any) -> bytes:
    """A value of any shape, as YAML text; JSON is YAML."""
    return _bytes(2, msgspec.json.encode(value))


def _named(number: int, name: str, value: bytes) -> bytes:
    return _bytes(number, _text(1, name) + _bytes(2, value))


def _text(number: int, value: str) -> bytes:
    return _bytes(number, value.encode())


def _bytes(number: int, value: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(value)) + value


def _number(number: int, value: int) -> bytes:
    return _varint(number << 3) + _varint(value & (2**64 - 1))


def _flag(number: int, value: bool) -> bytes:
    return _number(number, 1) if value else b""


def _double(number: int, value: float) -> bytes:
    return _varint(number << 3 | 1) + struct.pack("<d", value)


def _varint(value: int) -> bytes:
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    found.append(value)
    return bytes(found)
