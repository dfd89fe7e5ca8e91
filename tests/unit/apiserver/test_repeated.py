"""Keys that stand twice in a JSON body."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from labkit.apiserver.repeated import repeated

MAPS = "/api/v1/namespaces/default/configmaps"
TWICE = b'{"metadata": {"name": "a"}, "data": {"x": "1", "x": "2"}}'


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"a": 1, "a": 2}', ["a"]),
        (b'{"a" : 1, "a": 2, "a"\n:3}', ["a"]),
        (b'{"spec": {"c": [{"n": 1}, {"n": 1, "n": 2}]}, "spec2": {"x": 1, "x": 1}}', ["spec.c[1].n", "spec2.x"]),
        (b'{"a": "say \\"a\\": twice", "b": "\\u0022: x"}', []),
        (b'{"a": {"b": 1}, "b": {"a": 1}}', []),
        (b'[{"a": 1}, {"a": 2}]', []),
        (b'{"a": 1, "a": "\\u003A"}', ["a"]),
        (b'{"a": "\\u003a:"}', []),
        (b'"a"', []),
    ],
)
def test_repeated(body: bytes, expected: list[str]) -> None:
    assert repeated(body, msgspec.json.decode(body)) == expected


JSON = st.recursive(
    st.none() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
)


@given(JSON, st.sampled_from([None, 1]), st.booleans())
def test_nothing_is_found_where_nothing_is_repeated(value: Any, indent: int | None, ascii_only: bool) -> None:
    body = json.dumps(value, indent=indent, ensure_ascii=ascii_only, separators=(",", " : ")).encode(
        errors="surrogatepass"
    )
    try:
        read = msgspec.json.decode(body)
    except msgspec.DecodeError:  # half a surrogate pair
        return
    assert repeated(body, read) == []


def test_what_clients_hear_of_it(server: Any) -> None:
    strict = server.ask("POST", MAPS, TWICE, fieldValidation="Strict")
    assert (strict.status, strict.message) == (
        400,
        'ConfigMap in version "v1" cannot be handled as a ConfigMap: strict decoding error: duplicate field "data.x"',
    )
    assert server.ask("GET", f"{MAPS}/a").status == 404
    warned = server.ask("POST", MAPS, TWICE)
    assert (warned.status, warned.warnings, warned.json["data"]) == (201, ('duplicate field "data.x"',), {"x": "2"})
    ignored = server.ask("PUT", f"{MAPS}/a", TWICE, fieldValidation="Ignore")
    assert (ignored.status, ignored.warnings) == (200, ())
    assert server.ask("PUT", f"{MAPS}/a", TWICE, fieldValidation="Strict").status == 400
