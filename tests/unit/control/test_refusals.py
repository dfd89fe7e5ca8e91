"""Statuses: code, reason, words and details as a real API server sends them."""

from __future__ import annotations

import pytest

from labkit.api.kinds import Catalogue
from labkit.api.problem import invalid
from labkit.api.resources import Resource
from labkit.control import refusals, status

GATEWAY = Resource("Gateway", "gateway.networking.k8s.io/v1", "gateways", custom=True)


@pytest.mark.parametrize(
    ("error", "code", "reason", "message"),
    [
        (status.not_found("Pod", "a"), 404, "NotFound", 'pods "a" not found'),
        (status.not_found(GATEWAY, "a"), 404, "NotFound", 'gateways.gateway.networking.k8s.io "a" not found'),
        (status.already_exists("Deployment", "a"), 409, "AlreadyExists", 'deployments.apps "a" already exists'),
        (status.conflict("Pod", "a"), 409, "Conflict",
         'Operation cannot be fulfilled on pods "a": the object has been modified; please apply your changes to the '
         "latest version and try again"),
        (status.forbidden("Pod", "", "no"), 403, "Forbidden", "pods is forbidden: no"),
        (status.bad_request("no"), 400, "BadRequest", "no"),
        (status.undecodable({}, [invalid("spec", 1, "no")]), 400, "BadRequest",
         "strict decoding error: spec: Invalid value: 1: no"),
        (refusals.method_not_allowed("Pod", "patch"), 405, "MethodNotAllowed",
         'patch is not supported on resources of kind "pods"'),
        (refusals.not_served(), 404, "NotFound", "the server could not find the requested resource"),
        (refusals.unsupported_media_type(["application/json", "application/yaml"]), 415, "UnsupportedMediaType",
         "the body of the request was in an unknown format - accepted media types include: application/json, "
         "application/yaml"),
        (refusals.not_acceptable(["application/json"]), 406, "NotAcceptable",
         "only the following media types are accepted: application/json"),
        (refusals.too_large(3145728), 413, "RequestEntityTooLarge",
         "Request entity too large: limit is 3145728"),
        (refusals.unauthorized(), 401, "Unauthorized", "Unauthorized"),
        (refusals.denied("eve", "list", "Pod", "default"), 403, "Forbidden",
         'pods is forbidden: User "eve" cannot list resource "pods" in API group "" in the namespace "default"'),
        (refusals.denied("eve", "get", Catalogue().find("deploy"), "default", "web", "scale"), 403, "Forbidden",
         'deployments.apps "web" is forbidden: User "eve" cannot get resource "deployments/scale" in API group "apps" '
         'in the namespace "default"'),
        (refusals.denied("eve", "list", "Node", why="no"), 403, "Forbidden",
         'nodes is forbidden: User "eve" cannot list resource "nodes" in API group "" at the cluster scope: no'),
        (refusals.denied_path("eve", "get", "/metrics"), 403, "Forbidden",
         'forbidden: User "eve" cannot get path "/metrics"'),
        (refusals.expired("1", "9"), 410, "Expired", "too old resource version: 1 (9)"),
        (refusals.gone("no"), 410, "Gone", "no"),
        (refusals.version_too_large("9", "1"), 504, "Timeout", "Timeout: Too large resource version: 9, current: 1"),
        (refusals.timeout("no"), 504, "Timeout", "Timeout: no"),
        (refusals.unavailable("no"), 503, "ServiceUnavailable", "no"),
        (refusals.internal("no"), 500, "InternalError", "Internal error occurred: no"),
        (refusals.several_budgets(), 500, "InternalError", None),
        (refusals.going(GATEWAY, "create"), 405, "MethodNotAllowed",
         "create not allowed while custom resource definition is terminating"),
    ],
)  # fmt: skip
def test_words(error, code, reason, message):
    found = error.details["status"]
    assert (found["kind"], found["status"], found["code"], found["reason"]) == ("Status", "Failure", code, reason)
    assert message is None or found["message"] == message == error.message


def test_details_name_the_resource_and_for_an_invalid_one_the_kind():
    problems = [invalid("spec.a", 1, "no"), invalid("spec.b", 2, "no")]
    assert status.not_found(GATEWAY, "a").details["status"]["details"] == {
        "name": "a",
        "kind": "gateways",
        "group": "gateway.networking.k8s.io",
    }
    found = status.invalid(GATEWAY, "a", problems).details["status"]
    assert found["message"] == (
        'Gateway.gateway.networking.k8s.io "a" is invalid: [spec.a: Invalid value: 1: no, spec.b: Invalid value: 2: no]'
    )
    assert found["details"]["kind"] == "Gateway"
    assert [cause["field"] for cause in found["details"]["causes"]] == ["spec.a", "spec.b"]


def test_an_eviction_says_which_budget_is_in_the_way():
    found = refusals.disrupted("web", 2, 1).details["status"]
    assert found["code"] == 429
    assert found["message"] == "Cannot evict pod as it would violate the pod's disruption budget."
    cause = {
        "reason": "DisruptionBudget",
        "message": "The disruption budget web needs 2 healthy pods and has 1 currently",
    }
    assert found["details"] == {"causes": [cause]}
    pending = refusals.budget_pending("web").details["status"]["details"]
    assert pending["retryAfterSeconds"] == 10


def test_a_kind_that_is_not_served_any_more_still_has_a_name():
    error = status.not_found("Gadget.example.com", "a")
    assert error.message == 'gadgets.example.com "a" not found'
