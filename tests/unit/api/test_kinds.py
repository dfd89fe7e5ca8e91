from __future__ import annotations

import pytest

from labkit.api import kinds
from labkit.errors import NotFound


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("svc", "Service"),
        ("deployment", "Deployment"),
        ("Deployments", "Deployment"),
        ("deployments.apps", "Deployment"),
        ("deploy", "Deployment"),
        ("po", "Pod"),
        ("ep", "Endpoints"),
        ("endpointslices.discovery.k8s.io", "EndpointSlice"),
        ("netpol", "NetworkPolicy"),
        ("ingresses", "Ingress"),
    ],
)
def test_names(name: str, kind: str) -> None:
    assert kinds.resource(name).kind == kind


def test_scope_and_group() -> None:
    assert not kinds.resource("node").namespaced
    assert kinds.resource("svc").namespaced
    assert kinds.resource("svc").group == ""
    assert kinds.resource("ing").group == "networking.k8s.io"


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("servces", 'Did you mean "services"?'),
        ("deployments.batch", 'Did you mean "deployments"?'),
        ("q", "It knows: "),
    ],
)
def test_unknown_name(name: str, hint: str) -> None:
    with pytest.raises(NotFound) as error:
        kinds.resource(name)
    assert hint in error.value.message


def test_old_version_of_a_known_kind() -> None:
    (found,) = kinds.problems({"apiVersion": "extensions/v1beta1", "kind": "Ingress"})
    assert found.field == "apiVersion"
    assert found.message == 'no matches for kind "Ingress" in version "extensions/v1beta1"'
    assert found.remedy == "Ingress is served as networking.k8s.io/v1 now: write apiVersion: networking.k8s.io/v1."


def test_missing_both() -> None:
    assert [p.field for p in kinds.problems({})] == ["apiVersion", "kind"]
    assert kinds.problems({"kind": "Deployment"})[0].remedy == "Add apiVersion: apps/v1."
