"""What the decoder says of values of a wrong type. The expected texts are those of a real API server's decoder."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labkit.api import schema
from labkit.api.unmarshal import said

CONTAINER = {"name": "c", "image": "nginx"}


def service(**port: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"}, "spec": {"ports": [port]}}


def deployment(**spec: Any) -> dict[str, Any]:
    whole = {"selector": {}, "template": {"spec": {"containers": [CONTAINER]}}, **spec}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "a"}, "spec": whole}


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (service(port="80"), "string into Go struct field ServicePort.spec.ports.port of type int32"),
        (service(port=80.5), "number 80.5 into Go struct field ServicePort.spec.ports.port of type int32"),
        (service(port=2**40), f"number {2**40} into Go struct field ServicePort.spec.ports.port of type int32"),
        (
            service(port=80, protocol=6),
            "number into Go struct field ServicePort.spec.ports.protocol of type v1.Protocol",
        ),
        (service(port=80, targetPort=True), "bool into Go value of type int32"),
        (deployment(replicas="2"), "string into Go struct field DeploymentSpec.spec.replicas of type int32"),
        (deployment(paused="yes"), "string into Go struct field DeploymentSpec.spec.paused of type bool"),
        (
            deployment(template={"spec": {"containers": {}}}),
            "object into Go struct field PodSpec.spec.template.spec.containers of type []v1.Container",
        ),
        (
            deployment(template={"spec": {"containers": ["c"]}}),
            "string into Go struct field PodSpec.spec.template.spec.containers of type v1.Container",
        ),
        (
            deployment(template={"spec": {"containers": [{**CONTAINER, "env": [{"name": "A", "value": 1}]}]}}),
            "number into Go struct field EnvVar.spec.template.spec.containers.env.value of type string",
        ),
        (
            deployment(template="x"),
            "string into Go struct field DeploymentSpec.spec.template of type v1.PodTemplateSpec",
        ),
        (
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "labels": {"x": 1}}},
            "number into Go struct field ObjectMeta.metadata.labels of type string",
        ),
        (
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "labels": "x"}},
            "string into Go struct field ObjectMeta.metadata.labels of type map[string]string",
        ),
    ],
)
def test_said(raw: dict[str, Any], expected: str) -> None:
    (problem,) = schema.problems(raw)
    assert said(raw, problem) == f"json: cannot unmarshal {expected}"


@pytest.mark.parametrize(
    "raw",
    [
        deployment(template={"spec": {"containers": [{**CONTAINER, "resources": {"limits": {"cpu": "much"}}}]}}),
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a"}, "data": {"x": "?"}},
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "creationTimestamp": "now"}},
    ],
)
def test_what_has_the_right_type_and_a_wrong_value_is_another_matter(raw: dict[str, Any]) -> None:
    (problem,) = schema.problems(raw)
    assert said(raw, problem) == ""


ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["spec", "ports", "port", "name", "a.b", "x[0]", ""]), inner, max_size=4)
    ),
)


@given(ANY, ANY)
def test_any_object_at_all_can_be_spoken_of(spec: Any, metadata: Any) -> None:
    raw = {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec}
    for problem in schema.problems(raw):
        said(raw, problem)
