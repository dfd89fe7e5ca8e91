"""Shape and sense together, and that no object of whatever content ends in a crash."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labkit.api import check
from labkit.api.kinds import RESOURCES

PLAIN = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8)
NAMES = st.sampled_from(
    ["metadata", "spec", "name", "labels", "ports", "port", "selector", "template", "containers", "matchLabels",
     "targetPort", "type", "env", "value", "a]b", "a.b", "strategy", "rollingUpdate", "dnsConfig", "endpoints"]
)  # fmt: skip
ANYTHING = st.recursive(
    PLAIN, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4), max_leaves=25
)


@given(st.sampled_from(RESOURCES), st.dictionaries(NAMES, ANYTHING, max_size=4))
@settings(max_examples=300)
def test_any_object_gets_an_answer(resource: Any, fields: dict[str, Any]) -> None:
    for problem in check.problems({**fields, "apiVersion": resource.api_version, "kind": resource.kind}):
        assert problem.message
        assert str(problem)


def service(**spec: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}, "spec": spec}


def test_structure_and_sense_are_reported_together() -> None:
    found = check.problems(service(ports=[{"port": 70000}], kind="ClusterIP", selector={"version": 1}))
    assert [p.field for p in found] == ["spec.kind", "spec.selector[version]", "spec.ports[0].port"]


def test_nothing_is_said_twice() -> None:
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"}, "spec": {"containers": [{"image": "i"}]}}
    assert [(p.field, p.message) for p in check.problems(pod)] == [("spec.containers[0].name", "Required value")]


@pytest.mark.parametrize("ports", ["80", [80], {"port": 80}])
def test_a_wrong_type_hides_what_depends_on_it(ports: Any) -> None:
    (found,) = check.problems(service(ports=ports))
    assert found.reason == "FieldValueTypeInvalid"


def test_a_key_that_looks_like_a_path() -> None:
    obj = service(ports=[{"port": 80}])
    obj["metadata"]["labels"] = {"a]b[0]": 3}
    assert [p.reason for p in check.problems(obj)] == ["FieldValueTypeInvalid"]


def test_custom_kinds_are_for_their_definition_to_judge() -> None:
    obj = {"apiVersion": "example.com/v1", "kind": "Gadget", "metadata": {"name": "x"}, "any": [1]}
    assert check.problems(obj) == []
    (found,) = check.problems({**obj, "metadata": {"labels": 3}})
    assert found.field == "metadata.labels"
    (found,) = check.problems({**obj, "apiVersion": "networking.k8s.io/v1", "kind": "Gateway"})
    assert found.field == "kind"
