from __future__ import annotations

from typing import Any

import pytest

from labkit.api import validation
from labkit.api.defaults import default
from labkit.api.problem import Problem

TEMPLATE: dict[str, Any] = {
    "metadata": {"labels": {"app": "web"}},
    "spec": {"containers": [{"name": "c", "image": "i"}]},
}
SELECTOR = {"matchLabels": {"app": "web"}}


def problems(kind: str = "Deployment", version: str = "apps/v1", **spec: Any) -> list[Problem]:
    obj = {"apiVersion": version, "kind": kind, "metadata": {"name": "web"}}
    return validation.problems(default({**obj, "spec": {"selector": SELECTOR, "template": TEMPLATE, **spec}}))


def template(**spec: Any) -> dict[str, Any]:
    return {**TEMPLATE, "spec": {**TEMPLATE["spec"], **spec}}


@pytest.mark.parametrize("kind", ["Deployment", "ReplicaSet", "DaemonSet", "StatefulSet"])
def test_good(kind: str) -> None:
    assert problems(kind) == []


@pytest.mark.parametrize(
    "update", [{"maxSurge": 0, "maxUnavailable": 1}, {"maxSurge": "100%", "maxUnavailable": 0}, {"maxSurge": 3}]
)
def test_good_rolling_updates(update: dict[str, Any]) -> None:
    assert problems(strategy={"rollingUpdate": update}) == []


@pytest.mark.parametrize(
    ("spec", "field", "message"),
    [
        ({"replicas": -1}, "spec.replicas", "Invalid value: -1: must be greater than or equal to 0"),
        ({"selector": {}}, "spec.selector", "Invalid value: {}: empty selector is invalid for deployment"),
        ({"selector": {"matchLabels": {"app": "db"}}}, "spec.template.metadata.labels",
         'Invalid value: {"app":"web"}: `selector` does not match template `labels`'),
        ({"selector": {**SELECTOR, "matchExpressions": [{"key": "app", "operator": "In"}]}},
         "spec.selector.matchExpressions[0].values",
         "Required value: must be specified when `operator` is 'In' or 'NotIn'"),
        ({"selector": {"matchExpressions": [{"key": "app", "operator": "Exists", "values": ["web"]}]}},
         "spec.selector.matchExpressions[0].values",
         "Forbidden: may not be specified when `operator` is 'Exists' or 'DoesNotExist'"),
        ({"selector": {"matchExpressions": [{"key": "app", "operator": "Like", "values": ["web"]}]}},
         "spec.selector.matchExpressions[0].operator", 'Invalid value: "Like": not a valid selector operator'),
        ({"template": template(restartPolicy="Never")}, "spec.template.spec.restartPolicy",
         'Unsupported value: "Never": supported values: "Always"'),
        ({"template": template(containers=[])}, "spec.template.spec.containers", "Required value"),
        ({"template": {"metadata": TEMPLATE["metadata"]}}, "spec.template.spec.containers", "Required value"),
        ({"template": template(dnsPolicy="x")}, "spec.template.spec.dnsPolicy", None),
        ({"template": template(activeDeadlineSeconds=3)}, "spec.template.spec.activeDeadlineSeconds",
         "Forbidden: activeDeadlineSeconds in ReplicaSet is not Supported"),
        ({"strategy": {"type": "Rolling"}}, "spec.strategy.type",
         'Unsupported value: "Rolling": supported values: "Recreate", "RollingUpdate"'),
        ({"strategy": {"type": "Recreate", "rollingUpdate": {}}}, "spec.strategy.rollingUpdate",
         "Forbidden: may not be specified when strategy `type` is 'Recreate'"),
        ({"strategy": {"rollingUpdate": {"maxSurge": 0, "maxUnavailable": "0%"}}},
         "spec.strategy.rollingUpdate.maxUnavailable", 'Invalid value: "0%": may not be 0 when `maxSurge` is 0'),
        ({"strategy": {"rollingUpdate": {"maxUnavailable": "101%"}}}, "spec.strategy.rollingUpdate.maxUnavailable",
         'Invalid value: "101%": must not be greater than 100%'),
        ({"strategy": {"rollingUpdate": {"maxSurge": "half"}}}, "spec.strategy.rollingUpdate.maxSurge", None),
        ({"strategy": {"rollingUpdate": {"maxSurge": -1}}}, "spec.strategy.rollingUpdate.maxSurge", None),
        ({"progressDeadlineSeconds": 10, "minReadySeconds": 10}, "spec.progressDeadlineSeconds",
         "Invalid value: 10: must be greater than minReadySeconds"),
    ],
)  # fmt: skip
def test_bad_deployment(spec: dict[str, Any], field: str, message: str | None) -> None:
    (found,) = problems(**spec)
    assert found.field == field
    assert message is None or found.message == message
    assert found.remedy


def test_bad_template_labels() -> None:
    bad = {**TEMPLATE, "metadata": {"labels": {"app": "web", "a b": "x"}}}
    (found,) = problems(template=bad)
    assert found.field == "spec.template.metadata.labels[a b]"


def test_job_must_end() -> None:
    (found,) = problems("Job", "batch/v1", selector=None)
    assert found.message == 'Required value: valid values: "OnFailure", "Never"'
    assert problems("Job", "batch/v1", selector=None, template=template(restartPolicy="Never")) == []


def test_stateful_set() -> None:
    (found,) = problems("StatefulSet", podManagementPolicy="Random")
    assert found.field == "spec.podManagementPolicy"
