"""Bodies made by an encoder of the tests' own, with field numbers as the generated.proto files give them."""

from __future__ import annotations

import struct
from base64 import b64decode
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from labkit.apiserver.protobuf.decode import decode
from labkit.errors import ApiError

from .encoder import body, num, sub, varint

Raw = dict[str, Any]


def pair(number: int, key: str, value: bytes | str) -> bytes:
    return sub(number, sub(1, key) + sub(2, value))


META = sub(1, "web") + sub(2, "") + sub(3, "") + sub(4, "") + sub(5, "") + sub(6, "") + num(7, 0) + sub(8, b"")


def test_a_deployment_as_kubectl_create_sends_it() -> None:
    """Go writes every field that is no pointer, empty or not: those must not reach defaulting and validation."""
    container = sub(1, "nginx") + sub(2, "nginx:1.27") + sub(5, "") + sub(8, b"") + sub(13, "") + sub(14, "")
    container += num(16, 0) + num(17, 0) + num(18, 0) + sub(20, "")
    pod = sub(2, container) + sub(3, "") + sub(6, "") + sub(8, "") + sub(10, "") + num(11, 0) + num(12, 0) + num(13, 0)
    template = sub(1, sub(1, "") + sub(8, b"") + pair(11, "app", "web")) + sub(2, pod)
    spec = num(1, 0) + sub(2, pair(1, "app", "web")) + sub(3, template)
    spec += sub(4, sub(1, "")) + num(5, 0) + num(7, 0)
    status = b"".join(num(number, 0) for number in (1, 2, 3, 4, 5))
    found = decode(body("apps/v1", "Deployment", sub(1, META + pair(11, "app", "web")) + sub(2, spec) + sub(3, status)))
    assert found == {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "labels": {"app": "web"}},
        "spec": {
            "replicas": 0,
            "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {"containers": [{"name": "nginx", "image": "nginx:1.27", "resources": {}}]},
            },
            "strategy": {},
        },
        "status": {},
    }


def test_a_service_with_its_ports() -> None:
    zero = num(1, 0) + num(2, 0) + sub(3, "")
    named = num(1, 1) + num(2, 0) + sub(3, "http")
    ports = [
        sub(1, "a") + sub(2, "TCP") + num(3, 80) + sub(4, zero) + num(5, 0),
        sub(2, "") + num(3, 0) + sub(4, named) + num(5, 30080),
    ]
    spec = b"".join(sub(1, port) for port in ports) + pair(2, "app", "web") + sub(3, "") + sub(4, "ClusterIP")
    found = decode(body("v1", "Service", sub(1, META) + sub(2, spec)))["spec"]
    assert found == {
        "ports": [
            {"name": "a", "protocol": "TCP", "port": 80},
            {"port": 0, "targetPort": "http", "nodePort": 30080},
        ],
        "selector": {"app": "web"},
        "type": "ClusterIP",
    }


def test_embedded_structs_lie_flat_in_json() -> None:
    volume = sub(1, "v") + sub(2, sub(2, sub(1, "")))
    secret = sub(1, "s") + sub(2, sub(6, sub(1, "keys") + num(3, 0o400)))
    http = sub(2, sub(1, "/ready") + sub(2, num(1, 0) + num(2, 8080) + sub(3, "")) + sub(3, "") + sub(4, ""))
    probe = sub(1, http) + num(2, 0) + num(3, 0) + num(4, 10) + num(5, 0) + num(6, 0)
    reference = sub(1, sub(1, "config"))
    env = sub(1, "E") + sub(2, "") + sub(3, sub(3, reference + sub(2, "key") + num(3, 0)))
    container = sub(1, "c") + sub(7, env) + sub(11, probe)
    found = decode(body("v1", "Pod", sub(2, sub(1, volume) + sub(1, secret) + sub(2, container))))["spec"]
    assert found == {
        "volumes": [
            {"name": "v", "emptyDir": {}},
            {"name": "s", "secret": {"secretName": "keys", "defaultMode": 0o400}},
        ],
        "containers": [
            {
                "name": "c",
                "env": [
                    {
                        "name": "E",
                        "valueFrom": {"configMapKeyRef": {"name": "config", "key": "key", "optional": False}},
                    }
                ],
                "readinessProbe": {"httpGet": {"path": "/ready", "port": 8080}, "periodSeconds": 10},
            }
        ],
    }


def test_well_known_types() -> None:
    limits = pair(1, "cpu", sub(1, "500m")) + pair(1, "memory", sub(1, "64Mi")) + pair(1, "x", b"")
    pod = decode(body("v1", "Pod", sub(2, sub(2, sub(1, "c") + sub(8, limits)))))
    assert pod["spec"]["containers"][0]["resources"] == {"limits": {"cpu": "500m", "memory": "64Mi", "x": "0"}}
    moment = num(1, 1738324800) + num(2, 123456789)
    lease = decode(body("coordination.k8s.io/v1", "Lease", sub(2, sub(1, "") + num(2, 15) + sub(4, moment))))
    assert lease["spec"] == {
        "holderIdentity": "", "leaseDurationSeconds": 15, "renewTime": "2025-01-31T12:00:00.123456Z",
    }  # fmt: skip
    made = decode(body("v1", "Pod", sub(1, sub(1, "p") + sub(8, moment) + sub(9, num(1, 0)))))
    assert made["metadata"] == {"name": "p", "creationTimestamp": "2025-01-31T12:00:00Z"}
    secret = decode(body("v1", "Secret", sub(1, META) + pair(2, "a", b"\x00\xff") + sub(3, "Opaque")))
    assert (secret["data"], secret["type"]) == ({"a": "AP8="}, "Opaque")
    entry = sub(1, "kubectl") + sub(2, "Update") + sub(7, sub(1, b'{"f:spec":{}}'))
    assert decode(body("v1", "Pod", sub(1, sub(17, entry))))["metadata"]["managedFields"] == [
        {"manager": "kubectl", "operation": "Update", "fieldsV1": {"f:spec": {}}}
    ]
    revision = decode(body("apps/v1", "ControllerRevision", sub(2, sub(1, b'{"spec":[1]}')) + num(3, 2)))
    assert (revision["data"], revision["revision"]) == ({"spec": [1]}, 2)
    extra = pair(5, "scopes", sub(1, "a") + sub(1, "b"))
    review = decode(body("authorization.k8s.io/v1", "SubjectAccessReview", sub(2, sub(3, "ann") + extra)))
    assert review["spec"] == {"user": "ann", "extra": {"scopes": ["a", "b"]}}


BODIES = msgspec.json.decode((Path(__file__).parents[2] / "data" / "protobuf_bodies.json").read_bytes())["bodies"]


@pytest.mark.parametrize("name", BODIES)
def test_what_a_real_kubectl_sends(name: str) -> None:
    assert decode(b64decode(BODIES[name]["body"])) == BODIES[name]["object"]


@pytest.mark.parametrize("api_version", ["v1", "apps/v1", "meta.k8s.io/v1"])
def test_options_are_of_every_group(api_version: str) -> None:
    found = decode(body(api_version, "DeleteOptions", num(1, 0) + num(3, 0) + sub(4, "Foreground") + sub(5, "All")))
    assert found == {
        "apiVersion": api_version,
        "kind": "DeleteOptions",
        "gracePeriodSeconds": 0,
        "orphanDependents": False,
        "propagationPolicy": "Foreground",
        "dryRun": ["All"],
    }


def test_numbers_are_signed() -> None:
    spec = num(1, 0) + sub(2, pair(1, "a", "b"))
    assert decode(body("scheduling.k8s.io/v1", "PriorityClass", num(2, -5)))["value"] == -5
    quota = decode(body("apps/v1", "Deployment", sub(2, spec + num(6, -1))))
    assert quota["spec"]["revisionHistoryLimit"] == -1


def test_fields_of_another_version_are_left_out() -> None:
    newer = sub(99, "x") + num(98, 7) + varint(97 << 3 | 1) + struct.pack("<d", 1.5) + varint(96 << 3 | 5) + b"abcd"
    assert decode(body("v1", "Namespace", sub(1, META) + newer)) == {
        "apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "web"},
    }  # fmt: skip


def test_numbers_may_be_packed() -> None:
    context = sub(4, varint(1) + varint(2)) + num(4, 3)
    found = decode(body("v1", "Pod", sub(2, sub(14, context))))
    assert found["spec"]["securityContext"] == {"supplementalGroups": [1, 2, 3]}


POD = body("v1", "Pod", sub(1, META) + sub(2, sub(2, sub(1, "c"))))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "does not begin with the protobuf prefix"),
        (b"k8s", "does not begin with the protobuf prefix"),
        (b'{"kind":"Pod"}', "does not begin with the protobuf prefix"),
        (b"k8s\x00", 'no kind "" is registered for version ""'),
        (b"k8s\x00" + num(1, 3), "wrong wireType"),
        (b"k8s\x00" + sub(1, b"\xff"), "unexpected EOF"),
        (body("v1", "Nothing", b""), 'no kind "Nothing" is registered for version "v1"'),
        (body("apps/v1", "Pod", b""), 'no kind "Pod" is registered for version "apps/v1"'),
        (body("v1", "PodSpec" * 100, b""), "no kind"),
        (POD[:-1], "unexpected EOF"),
        (body("v1", "Pod", num(1, 3)), 'Pod in version "v1" cannot be handled as a Pod: proto: wrong wireType'),
        (body("v1", "Pod", sub(1, sub(7, "x"))), "wrong wireType for a number"),
        (body("v1", "Pod", sub(1, sub(1, b"\xff\xfe"))), "invalid UTF-8"),
        (body("v1", "Pod", b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\x7f"), "unexpected EOF"),
        (body("v1", "Pod", b"\xff" * 11), "integer overflow"),
        (body("v1", "Pod", b"\x0b"), "illegal wireType 3"),
        (body("v1", "Pod", b"\x02\x00"), "illegal tag 0"),
        (body("v1", "Pod", b"\x80"), "unexpected EOF"),
        (body("v1", "Pod", varint(9 << 3 | 1) + b"1234567"), "unexpected EOF"),
        (body("v1", "Pod", sub(1, sub(8, num(1, 2**62)))), "beyond the year 9999"),
        (body("apps/v1", "ControllerRevision", sub(2, sub(1, b"{"))), "no JSON in a raw field"),
        (body("apps/v1", "ControllerRevision", sub(2, sub(1, b"[" * 100_000))), "no JSON in a raw field"),
        (body("v1", "Pod", sub(2, sub(2, b"") * 200_001)), "more than 200000 values"),
        (body("v1", "Pod", sub(2, sub(14, sub(4, b"\x01" * 200_001) + sub(4, b"\x01")) + sub(2, b""))), "more than"),
    ],
)  # fmt: skip
def test_what_is_no_object_is_refused(data: bytes, words: str) -> None:
    with pytest.raises(ApiError, match=words) as refused:
        decode(data)
    status = refused.value.details["status"]
    assert (status["code"], status["reason"]) == (400, "BadRequest")
    assert len(status["message"]) < 1000


@given(st.binary(max_size=200))
def test_any_bytes_get_an_answer(data: bytes) -> None:
    with pytest.raises(ApiError):
        decode(data)


@given(st.binary(max_size=80), st.integers(0, len(POD) - 1))
def test_any_damage_gets_an_answer(damage: bytes, at: int) -> None:
    try:
        decode(POD[:at] + damage + POD[at + len(damage) :])
    except ApiError as error:
        assert error.details["status"]["code"] == 400
