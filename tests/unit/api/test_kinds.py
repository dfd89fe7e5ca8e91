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
    assert kinds.Catalogue().find(name).kind == kind


def test_scope_and_group() -> None:
    assert not kinds.Catalogue().find("node").namespaced
    assert kinds.Catalogue().find("svc").namespaced
    assert kinds.Catalogue().find("svc").group == ""
    assert kinds.Catalogue().find("ing").group == "networking.k8s.io"


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
        kinds.Catalogue().find(name)
    assert hint in error.value.message


def test_old_version_of_a_known_kind() -> None:
    (found,) = kinds.problems({"apiVersion": "extensions/v1beta1", "kind": "Ingress"})
    assert found.field == "apiVersion"
    assert found.message == 'no matches for kind "Ingress" in version "extensions/v1beta1"'
    assert found.remedy == "Ingress is served as networking.k8s.io/v1 now: write apiVersion: networking.k8s.io/v1."


def test_missing_both() -> None:
    assert [p.field for p in kinds.problems({})] == ["apiVersion", "kind"]
    assert kinds.problems({"kind": "Deployment"})[0].remedy == "Add apiVersion: apps/v1."


def test_kinds_of_other_groups_come_after_the_built_in_ones() -> None:
    catalogue = kinds.Catalogue()
    ours = kinds.Resource("Gateway", "gateway.networking.k8s.io/v1", "gateways", ("gtw", "svc"), custom=True)
    other = kinds.Resource("Gateway", "networking.istio.io/v1", "gateways", ("gw",), custom=True)
    catalogue.add([other, ours])
    assert catalogue.find("gateway") is catalogue.find("GTW") is ours
    assert catalogue.find("gateways.networking.istio.io") is catalogue.find("gw") is other
    assert catalogue.find("Gateway.v1.networking.istio.io") is other
    assert catalogue.find("svc").kind == "Service"
    catalogue.remove([other])
    with pytest.raises(NotFound, match='Did you mean "gateways"'):
        catalogue.find("gateways.networking.istio.io")
