"""Requests that no client should make: whatever they ask for and however, the answer is right or says what is wrong."""

from __future__ import annotations

import base64
import json
from random import Random
from typing import Any
from urllib.parse import quote

import pytest
from fuzz_bed import Bed, Got
from fuzz_samples import sample
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

CONFIG_MAPS = "/api/v1/namespaces/default/configmaps"
SMALL = settings(max_examples=150, derandomize=True, database=None, suppress_health_check=list(HealthCheck))

PARTS = (
    "a",
    "b",
    "app",
    "=",
    "==",
    "!=",
    "!",
    ",",
    "(",
    ")",
    " in ",
    " notin ",
    " ",
    "\\",
    "x/y",
    "é",
    "\n",
    "\0",
    ">",
    "<",
    "1",
    "'",
)
SELECTORS = st.lists(st.sampled_from(PARTS), max_size=8).map("".join) | st.text(max_size=8)
NUMBERS = st.sampled_from(
    ["", "0", "1", "-1", "3", "x", "1.5", "9" * 30, "٣", "18446744073709551616", " 1", "+1", "1_0", "0x1"]
)
TOKENS = st.sampled_from(
    ["", "x", "===", "é", base64.b64encode(b"{}").decode(), base64.b64encode(b"[" * 500).decode()]
) | st.builds(
    lambda rv, start: base64.urlsafe_b64encode(
        json.dumps({"v": "meta.k8s.io/v1", "rv": rv, "start": start}).encode()
    ).decode(),
    st.sampled_from([0, 1, -1, 2**70, "1", None, 1.5, True]),
    st.sampled_from(["a", ["a", "b"], [1], [], None, {"0": 1}, ["", "\0"]]),
)
FLAGS = st.sampled_from(["", "true", "false", "1", "maybe", "\0"])
VALUES: dict[str, st.SearchStrategy[str]] = {
    "labelSelector": SELECTORS,
    "fieldSelector": SELECTORS | SELECTORS.map(lambda text: f"metadata.name={text}"),
    "resourceVersion": NUMBERS,
    "resourceVersionMatch": st.sampled_from(["", "Exact", "NotOlderThan", "x"]),
    "limit": NUMBERS,
    "continue": TOKENS,
    "timeoutSeconds": st.sampled_from(["x", "-1", "9" * 30]),
    "sendInitialEvents": FLAGS,
    "pretty": FLAGS,
    "includeObject": st.sampled_from(["", "None", "Object", "Metadata", "x"]),
    "é\0=&": st.text(max_size=4),
}
ACCEPTS = st.sampled_from(
    [
        "",
        "*/*",
        "application/json",
        "text/html",
        "application/json;as=Table;v=v1;g=meta.k8s.io",
        "application/json;as=Table",
        "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io",
        "application/json;as=x;v=y;g=z,*/*",
        ";;;,,,",
        "a" * 300,
        "application/vnd.kubernetes.protobuf",
        "application/vnd.kubernetes.protobuf,application/json",
        "application/yaml",
        "\xff/\xff",
    ]
)
RESOURCES = (
    "api/v1/pods", "api/v1/nodes", "api/v1/namespaces/default/configmaps", "apis/apps/v1/deployments", "api/v1/events",
    "apis/apiextensions.k8s.io/v1/customresourcedefinitions", "apis/events.k8s.io/v1/events", "api/v1/secrets",
)  # fmt: skip


@pytest.fixture(scope="module")
def shared() -> Any:
    with Bed() as made:
        for name in "abc":
            assert made.ask("POST", CONFIG_MAPS, {"metadata": {"name": name}, **sample("ConfigMap")}).status == 201
            assert (
                made.ask(
                    "POST", "/api/v1/namespaces/default/pods", {"metadata": {"name": name}, **sample("Pod")}
                ).status
                == 201
            )
        yield made


def sane(got: Got) -> Got:
    """An answer of a server that is well: to a version from the future it says 504, as the real one does."""
    late = got.status == 504 and "Too large resource version" in got.json["message"]
    assert got.status < 500 or late, got.body
    if got.status >= 400 and got.headers["content-type"] == "application/json":
        assert (got.json["kind"], got.json["code"]) == ("Status", got.status)
    return got


@given(
    st.sampled_from(RESOURCES),
    st.dictionaries(st.sampled_from(sorted(VALUES)), st.just(None), max_size=4),
    ACCEPTS,
    st.data(),
)
@SMALL
def test_strange_lists(shared: Bed, path: str, names: Any, accept: str, data: Any) -> None:
    query = "&".join(f"{quote(name, safe='')}={quote(data.draw(VALUES[name]), safe='')}" for name in sorted(names))
    sane(shared.ask("GET", f"/{path}?{query}", headers={"Accept": accept}, raw_path=True))


PIECES = (
    "api", "apis", "v1", "apps", "namespaces", "default", "pods", "configmaps", "a", "status", "scale", "log", "~",
    "eviction", "watch", "%2f", "..", ".", "%2e%2e", "%00", "%ff", "%E2%80%AE", "%c3%a9", "", "%zz", "%", "a%2fb",
    "token", "deployments", "openapi", "v3", "version", "livez", "binding", "finalize", "metrics.k8s.io", "v1beta1",
    "exec",
)  # fmt: skip
BODIES = (None, b"{}", b"[]", b"null", b"\xff\xfe", b"{", b'{"kind":7,"metadata":[]}', b"a: b: c", b"k8s\x00\xff")
MEDIA = (
    "application/json", "application/yaml", "application/merge-patch+json", "application/apply-patch+yaml", ";",
    "application/vnd.kubernetes.protobuf", "text/plain", "application/json-patch+json",
)  # fmt: skip


@given(
    st.sampled_from(["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"]),
    st.lists(st.sampled_from(PIECES), max_size=9),
    st.sampled_from(BODIES),
    st.sampled_from(MEDIA),
)
@settings(SMALL, max_examples=500)
def test_strange_paths_and_bodies(bed_for_paths: Bed, method: str, pieces: list[str], body: Any, media: str) -> None:
    path = "/" + "/".join(pieces)
    note(f"{method} {path} {media} {body!r}")
    if method != "HEAD":  # its answer has no body, which this client waits for
        sane(bed_for_paths.ask(method, path, body, headers={"Content-Type": media}, raw_path=True))


@pytest.fixture(scope="module")
def bed_for_paths() -> Any:
    with Bed() as made:
        yield made


DEEP = 100_000
DOUBLING = [{"op": "copy", "from": "/data", "path": f"/data/x{turn}"} for turn in range(40)]
TEST = {"op": "test", "path": "/data", "value": 1}


@pytest.mark.parametrize(
    ("media", "body", "code"),
    [
        ("application/json", b"[" * DEEP, 400),
        ("application/json", b'{"a":' * DEEP + b"1" + b"}" * DEEP, 400),
        ("application/json", b'{"data":{"a":"\xff\xfe"}}', 400),
        ("application/json", b'{"metadata":{"name":"\\ud800"}}', 400),
        ("application/json", b"", 400),
        ("application/json", b'{"data":{"a":1e999}}', 400),
        ("application/yaml", b"[" * 20_000, 400),
        ("application/yaml", b"a: \xff", 400),
        ("application/yaml", b"a: &a [*a]", 400),
        ("application/yaml", b"a: &a [1,1,1,1,1,1,1,1,1]\n" + b"".join(
            b"%c: &%c [%b]\n" % (c, c, b",".join([b"*%c" % (c - 1)] * 9)) for c in range(ord("b"), ord("l"))), 400),
        ("application/vnd.kubernetes.protobuf", b"k8s\x00" + b"\xff" * 50, 400),
        ("application/vnd.kubernetes.protobuf", b"", 400),
        ("text/plain", b"{}", 415),
        ("application/x-www-form-urlencoded", b"a=b", 415),
        ("\xff", b"{}", 415),
    ],
)  # fmt: skip
@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_bodies_that_cannot_be_read(shared: Bed, method: str, media: str, body: bytes, code: int) -> None:
    path = CONFIG_MAPS if method == "POST" else f"{CONFIG_MAPS}/a"
    got = sane(shared.ask(method, path, body, headers={"Content-Type": media}))
    assert got.status == code, got.body


@pytest.mark.parametrize(
    ("media", "body", "code"),
    [
        ("application/json-patch+json", b"[" * DEEP, 400),
        ("application/json-patch+json", b"{}", 400),
        ("application/json-patch+json", json.dumps(DOUBLING).encode(), 422),
        ("application/json-patch+json", json.dumps([TEST] * 10_001).encode(), 413),
        ("application/merge-patch+json", b'{"a":' * DEEP, 400),
        ("application/merge-patch+json", b"7", 400),
        ("application/strategic-merge-patch+json", b'{"metadata":{"$patch":"x"}}', 400),
        ("application/strategic-merge-patch+json", b"\xff", 400),
        ("application/apply-patch+yaml", b"{", 400),
        ("application/apply-patch+yaml", b"[]", 400),
        ("application/json", b"{}", 415),
    ],
)  # fmt: skip
def test_patches_that_cannot_be_meant(shared: Bed, media: str, body: bytes, code: int) -> None:
    query = "?fieldManager=x" if "apply" in media else ""
    before = shared.ask("GET", f"{CONFIG_MAPS}/a").body
    got = sane(shared.ask("PATCH", f"{CONFIG_MAPS}/a{query}", body, headers={"Content-Type": media}))
    assert got.status == code, got.body
    assert shared.ask("GET", f"{CONFIG_MAPS}/a").body == before


def test_a_body_of_three_mebibytes_and_no_more(shared: Bed) -> None:
    def text(size: int) -> bytes:
        head, tail = b'{"metadata":{"name":"big"},"data":{"a":"', b'"}}'
        return head + b"x" * (size - len(head) - len(tail)) + tail

    just = shared.ask("POST", CONFIG_MAPS, text(3 * 2**20))
    assert (just.status, just.json["reason"]) == (422, "Invalid")  # a ConfigMap may have one
    over = sane(shared.ask("POST", CONFIG_MAPS, text(3 * 2**20 + 1)))
    assert (over.status, over.json["reason"]) == (413, "RequestEntityTooLarge")
    assert shared.ask("GET", f"{CONFIG_MAPS}/big").status == 404


def test_strange_clients_leave_nothing(bed: Bed) -> None:
    chance = Random(7)
    for _ in range(100):
        data = bytes(chance.randrange(256) for _ in range(chance.randrange(1, 200)))
        assert bed.raw(b"GET / HTTP/1.1\r\n" + data + b"\r\n\r\n\r\n").status in (400, 404, 200, 403, 431)
    assert len(bed.server.connections) == 1
