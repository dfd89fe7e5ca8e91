"""The structural check: each kind of fault, in Kubernetes' words, with a remedy."""

from __future__ import annotations

import copy
import timeit
from typing import Any

import pytest

from labkit.api import kinds, schema
from labkit.api.problem import Problem

DEPLOYMENT: dict[str, Any] = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "web", "labels": {"app": "web"}, "creationTimestamp": None},
    "spec": {
        "replicas": 2,
        "selector": {"matchLabels": {"app": "web"}},
        "strategy": {"rollingUpdate": {"maxSurge": "25%", "maxUnavailable": 1}},
        "template": {
            "metadata": {"labels": {"app": "web"}},
            "spec": {
                "containers": [
                    {
                        "name": "web",
                        "image": "nginx:1.27",
                        "env": [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}],
                        "ports": [{"containerPort": 80}, {"containerPort": 80}],
                        "resources": {"limits": {"cpu": "500m", "memory": "64Mi"}, "requests": {"cpu": 0.5}},
                    }
                ]
            },
        },
    },
}


def changed(*path: str | int, value: Any) -> dict[str, Any]:
    """The Deployment with another value at a path."""
    obj = copy.deepcopy(DEPLOYMENT)
    target: Any = obj
    for step in path[:-1]:
        target = target[step]
    target[path[-1]] = value
    return obj


def only(obj: dict[str, Any]) -> Problem:
    found = schema.problems(obj)
    assert len(found) == 1, found
    return found[0]


CONTAINER = ("spec", "template", "spec", "containers", 0)
WHERE = "spec.template.spec.containers[0]"


def test_good_object_has_no_problems() -> None:
    assert schema.problems(DEPLOYMENT) == []


def test_unknown_field_names_the_nearest() -> None:
    found = only(changed("spec", "replica", value=2))
    assert found.field == "spec.replica"
    assert found.message == 'unknown field "spec.replica"'
    assert found.remedy == 'Did you mean "replicas"?'


def test_unknown_field_in_another_case() -> None:
    assert only(changed(*CONTAINER, "imagepullpolicy", value="Never")).remedy == 'Did you mean "imagePullPolicy"?'


def test_unknown_field_without_a_near_one_lists_what_is_known() -> None:
    assert "replicas" in only(changed("spec", "xyzzy", value=2)).remedy


def test_status_may_be_given_in_part_but_not_wrongly() -> None:
    assert schema.problems(changed("status", value={"conditions": [{"type": "Available"}]})) == []
    assert only(changed("status", value={"replicas": "2"})).field == "status.replicas"


@pytest.mark.parametrize(
    ("path", "value", "field", "message", "remedy"),
    [
        (("spec", "replicas"), "2", "spec.replicas", 'Invalid value: "2": must be of type integer, not string',
         "Remove the quotes: 2."),
        (("spec", "replicas"), True, "spec.replicas", "Invalid value: true: must be of type integer, not boolean",
         "Write it as integer."),
        (("spec", "replicas"), 2**31, "spec.replicas", "Invalid value: 2147483648: must fit into int32",
         "Write a smaller number."),
        ((*CONTAINER, "env", 0, "value"), 8080, f"{WHERE}.env[0].value",
         "Invalid value: 8080: must be of type string, not integer", 'Put it in quotes: "8080".'),
        ((*CONTAINER, "env", 0, "value"), True, f"{WHERE}.env[0].value",
         "Invalid value: true: must be of type string, not boolean", 'Put it in quotes: "true".'),
        (("metadata", "labels", "app"), 1, "metadata.labels[app]",
         "Invalid value: 1: must be of type string, not integer", 'Put it in quotes: "1".'),
        (("metadata", "labels", "app"), None, "metadata.labels[app]",
         "Invalid value: null: must be of type string, not null", "Write it as string."),
        ((*CONTAINER, "ports"), {"containerPort": 80}, f"{WHERE}.ports",
         "Invalid value: object: must be of type array, not object",
         'Write a list: each item on a line of its own, beginning with "- ".'),
        (("spec", "selector"), "app=web", "spec.selector",
         'Invalid value: "app=web": must be of type object, not string',
         'Write fields below it, each as "name: value" and further indented.'),
        (("spec", "strategy", "rollingUpdate", "maxSurge"), 1.5, "spec.strategy.rollingUpdate.maxSurge",
         "Invalid value: 1.5: must be of type integer or string, not number", "Write it as integer or string."),
        ((*CONTAINER, "resources", "limits", "memory"), "64 MB", f"{WHERE}.resources.limits[memory]",
         'Invalid value: "64 MB": quantities must match the regular expression '
         "'^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
         "Write a number with a suffix or without, such as 100m, 0.5, 64Mi or 1Gi."),
        (("metadata", "creationTimestamp"), "yesterday", "metadata.creationTimestamp",
         'Invalid value: "yesterday": must be an RFC 3339 time', "Write it like 2025-01-31T12:00:00Z."),
    ],
)  # fmt: skip
def test_wrong_type(path: tuple[str | int, ...], value: Any, field: str, message: str, remedy: str) -> None:
    found = only(changed(*path, value=value))
    assert (found.field, found.message, found.remedy) == (field, message, remedy)
    assert found.reason == "FieldValueTypeInvalid"


@pytest.mark.parametrize("quantity", ["1", "0.5", ".5", "5.", "100m", "64Mi", "1e3", "1E-3", "2k", "10n", "-1", 3, 0.5])
def test_quantities(quantity: Any) -> None:
    assert schema.problems(changed(*CONTAINER, "resources", "limits", "cpu", value=quantity)) == []


def test_required_field() -> None:
    obj = changed(*CONTAINER, "ports", value=[{"protocol": "TCP"}])
    found = only(obj)
    assert (found.field, found.message) == (f"{WHERE}.ports[0].containerPort", "Required value")
    assert found.reason == "FieldValueRequired"


def test_null_counts_as_absent() -> None:
    assert only(changed("spec", "selector", value=None)).message == "Required value"
    assert schema.problems(changed("spec", "replicas", value=None)) == []


def test_repeated_name_in_a_map_list() -> None:
    twice = DEPLOYMENT["spec"]["template"]["spec"]["containers"] * 2
    found = only(changed("spec", "template", "spec", "containers", value=twice))
    assert (found.field, found.message) == ("spec.template.spec.containers[1].name", 'Duplicate value: "web"')
    assert found.reason == "FieldValueDuplicate"


def test_repeated_port_of_a_service_counts_the_default_protocol() -> None:
    ports = [{"name": "a", "port": 80}, {"name": "b", "port": 80, "protocol": "UDP"},
             {"name": "c", "port": 80, "protocol": "TCP"}]  # fmt: skip
    found = only({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"}, "spec": {"ports": ports}})
    assert (found.field, found.message) == ("spec.ports[2]", 'Duplicate value: {"port":80,"protocol":"TCP"}')


def test_secret_data_must_be_base64() -> None:
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "data": {"good": "aGk=", "bad": "hi!"}}
    found = only(secret)
    assert found.field == "data[bad]"
    assert found.remedy == "Encode it with base64, or write it plainly under stringData."


def test_unknown_kind_is_one_problem() -> None:
    found = only({"apiVersion": "v1", "kind": "Servce", "spec": {"nonsense": 1}})
    assert found.message == 'no matches for kind "Servce" in version "v1"'
    assert found.remedy == 'Did you mean "Service"?'


def test_problems_per_object_are_bounded() -> None:
    many = {f"field{n}": n for n in range(100_000)}
    assert len(schema.problems(changed("spec", value=many))) <= schema.MAX_PROBLEMS + 5


def test_schema_and_table_of_kinds_agree() -> None:
    served = {(r.api_version, r.kind) for r in kinds.Catalogue().all() if not r.computed}
    assert served - schema._roots().keys() == set()
    assert {r.kind for r in kinds.RESOURCES} == kinds.BY_KIND.keys()


def test_every_reference_leads_somewhere() -> None:
    definitions = schema.definitions()

    def walk(value: Any) -> None:
        if isinstance(value, dict):
            if isinstance(value.get("$ref"), str):
                assert value["$ref"] in definitions
            for child in value.values():
                walk(child)

    walk(definitions)


def test_keywords_for_patches_are_kept() -> None:
    pod_spec = schema.definitions()["#/components/schemas/io.k8s.api.core.v1.PodSpec"]
    containers = pod_spec["properties"]["containers"]
    assert containers["x-kubernetes-patch-merge-key"] == "name"
    assert containers["x-kubernetes-list-map-keys"] == ["name"]


def test_a_deployment_takes_at_most_100_microseconds() -> None:
    schema.problems(DEPLOYMENT)
    best = min(timeit.repeat(lambda: schema.problems(DEPLOYMENT), number=50, repeat=10)) / 50
    assert best < 100e-6
