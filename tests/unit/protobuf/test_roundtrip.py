"""Random objects of many kinds, written by the tests' own encoder, are read back as they were."""

from __future__ import annotations

from base64 import b64decode
from datetime import datetime, timedelta
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from labkit.apiserver.protobuf.decode import decode
from labkit.apiserver.protobuf.fields import message_of, messages

from .encoder import body, num, sub

Raw = dict[str, Any]
EPOCH = datetime.fromisoformat("1970-01-01T00:00:00Z")


SAMPLES = {
    "string": st.text(max_size=5),
    "bytes": st.sampled_from(["", "AP8="]),
    "bool": st.booleans(),
    "int32": st.integers(-(2**31), 2**31 - 1),
    "int64": st.integers(-(2**63), 2**63 - 1),
    "time": st.sampled_from(["2025-01-31T12:00:00Z", "0001-01-01T00:00:01Z", "9999-12-31T23:59:59Z"]),
    "microtime": st.sampled_from(["2025-01-31T12:00:00.000001Z", "1969-12-31T23:59:59.999999Z"]),
    "quantity": st.sampled_from(["0", "500m", "1Gi"]),
    "intorstring": st.integers(-5, 70000) | st.sampled_from(["http", "25%"]),
    "json": st.sampled_from([{"a": [1, None]}, "x", 3]),
    "strings": st.lists(st.text(max_size=3), max_size=2),
}


@st.composite
def written(draw: st.DrawFn, name: str, levels: int) -> Raw:
    found: Raw = {}
    fields = [f for f in messages()[name].values() if f.way != "inline" and (levels or f.kind in SAMPLES)]
    for field in draw(st.lists(st.sampled_from(fields), max_size=4, unique_by=lambda f: f.name)) if fields else ():
        one = SAMPLES[field.kind] if field.kind in SAMPLES else written(field.kind, levels - 1)
        if field.way == "list":
            one = st.lists(one, min_size=1, max_size=2)
        elif field.way == "map":
            one = st.dictionaries(st.text(max_size=3), one, min_size=1, max_size=2)
        found[field.name] = draw(one)
    return found


def scalar(kind: str, value: Any) -> Any:
    """A value as wire content: an int for a varint, else bytes."""
    if kind in ("bool", "int32", "int64"):
        return int(value)
    match kind:
        case "string":
            return value.encode()
        case "bytes":
            return b64decode(value)
        case "time" | "microtime":
            micros = (datetime.fromisoformat(value) - EPOCH) // timedelta(microseconds=1)
            return num(1, micros // 10**6) + num(2, micros % 10**6 * 1000)
        case "quantity":
            return sub(1, value)
        case "intorstring":
            return num(1, 1) + num(2, 0) + sub(3, value) if isinstance(value, str) else num(2, value)
        case "json":
            return sub(1, msgspec.json.encode(value))
        case "strings":
            return b"".join(sub(1, item) for item in value)
    return encoded(kind, value)


def put(number: int, content: int | bytes) -> bytes:
    return num(number, content) if isinstance(content, int) else sub(number, content)


def encoded(name: str, tree: Raw) -> bytes:
    found = b""
    numbers = {field.name: (number, field) for number, field in messages()[name].items()}
    for field_name, value in tree.items():
        number, field = numbers[field_name]
        if field.way == "list":
            found += b"".join(put(number, scalar(field.kind, item)) for item in value)
        elif field.way == "map":
            found += b"".join(
                sub(number, sub(1, key) + put(2, scalar(field.kind, item))) for key, item in value.items()
            )
        else:
            found += put(number, scalar(field.kind, value))
    return found


def kept(message: str, tree: Raw) -> Raw:
    """What of a tree remains: zeros go where they mean nothing."""
    found: Raw = {}
    fields = {field.name: field for field in messages()[message].values()}
    for key, value in tree.items():
        field = fields[key]
        if field.kind in messages():
            each = {
                "list": lambda v, k: [kept(k, i) for i in v],
                "map": lambda v, k: {n: kept(k, i) for n, i in v.items()},
            }
            found[key] = each.get(field.way, lambda v, k: kept(k, v))(value, field.kind)
        elif field.keep or value or field.way != "one":
            found[key] = value
    return found


KINDS = [("v1", "Pod"), ("v1", "Service"), ("apps/v1", "StatefulSet"), ("batch/v1", "CronJob"), ("v1", "Node"),
         ("networking.k8s.io/v1", "NetworkPolicy"), ("autoscaling/v2", "HorizontalPodAutoscaler"),
         ("rbac.authorization.k8s.io/v1", "ClusterRole"), ("events.k8s.io/v1", "Event"),
         ("authorization.k8s.io/v1", "SubjectAccessReview"), ("discovery.k8s.io/v1", "EndpointSlice")]  # fmt: skip


@given(st.sampled_from(KINDS).flatmap(lambda k: st.tuples(st.just(k), written(message_of(*k), 6))))
@settings(deadline=None, max_examples=150)
def test_what_was_written_is_read(case: tuple[tuple[str, str], Raw]) -> None:
    (api_version, kind), tree = case
    name = message_of(api_version, kind)
    found = decode(body(api_version, kind, encoded(name, tree)))
    assert found == {"apiVersion": api_version, "kind": kind, **kept(name, tree)}
