"""The definitions of Gateway API, Istio and Traefik as they are published, and objects of theirs."""

from __future__ import annotations

import pytest

from labkit.errors import ApiError

GATEWAY = "gateway.networking.k8s.io/v1"


@pytest.fixture
def installed(admission, loop, real):
    def install(project):
        names = [admission.create(crd)["metadata"]["name"] for crd in real(project)]
        loop.drain()
        return names

    return install


@pytest.mark.parametrize(("project", "count"), [("gateway-api", 6), ("istio-api", 15), ("traefik", 10)])
def test_all_are_established(store, installed, project, count):
    names = installed(project)
    assert len(names) == count
    for name in names:
        crd = store.get("CustomResourceDefinition", "", name)
        conditions = {c["type"]: c["status"] for c in crd["status"]["conditions"]}
        assert conditions == {"NamesAccepted": "True", "Established": "True"}
        assert crd["status"]["acceptedNames"] == crd["spec"]["names"]
        for version in crd["spec"]["versions"]:
            served = store.catalogue.served(f"{crd['spec']['group']}/{version['name']}", crd["spec"]["names"]["plural"])
            assert (served is not None) == version["served"]


def route(**rule):
    rule = {"backendRefs": [{"name": "web", "port": 80}], **rule}
    spec = {"parentRefs": [{"name": "gate"}], "hostnames": ["shop.example.com"], "rules": [rule]}
    return {"apiVersion": GATEWAY, "kind": "HTTPRoute", "metadata": {"name": "shop"}, "spec": spec}


def refusal(admission, raw):
    with pytest.raises(ApiError) as error:
        admission.create(raw)
    return error.value.details["status"]


def test_a_route_gets_its_defaults(admission, installed):
    installed("gateway-api")
    spec = admission.create(route())["spec"]
    assert spec["parentRefs"] == [{"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "gate"}]
    assert spec["rules"] == [
        {
            "backendRefs": [{"group": "", "kind": "Service", "name": "web", "port": 80, "weight": 1}],
            "matches": [{"path": {"type": "PathPrefix", "value": "/"}}],
        }
    ]


@pytest.mark.parametrize(
    ("rule", "field", "message"),
    [
        ({"matches": [{"path": {"type": "Exact", "value": "shop"}}]}, "spec.rules[0].matches[0].path",
         "Invalid value: \"object\": value must be an absolute path and start with '/' when type one of ['Exact', "
         "'PathPrefix']"),
        ({"matches": [{"path": {"type": "Glob"}}]}, "spec.rules[0].matches[0].path.type",
         'Unsupported value: "Glob": supported values: "Exact", "PathPrefix", "RegularExpression"'),
        ({"filters": [{"type": "RequestMirror"}]}, "spec.rules[0].filters[0]",
         'Invalid value: "object": filter.requestMirror must be specified for RequestMirror filter.type'),
        ({"backendRefs": [{"name": "web", "port": 0}]}, "spec.rules[0].backendRefs[0].port",
         "Invalid value: 0: spec.rules[0].backendRefs[0].port in body should be greater than or equal to 1"),
        ({"backendRefs": [{"name": "web"}]}, "spec.rules[0].backendRefs[0]",
         'Invalid value: "object": Must have port for Service reference'),
        ({"backendRefs": [{"name": "web", "port": "http"}]}, "spec.rules[0].backendRefs[0].port",
         'Invalid value: "string": spec.rules[0].backendRefs[0].port in body must be of type integer: "string"'),
        ({"timeouts": {"request": "1 day"}}, "spec.rules[0].timeouts.request",
         "Invalid value: \"1 day\": spec.rules[0].timeouts.request in body should match "
         "'^([0-9]{1,5}(h|m|s|ms)){1,4}$'"),
    ],
)  # fmt: skip
def test_a_route_that_makes_no_sense(admission, installed, rule, field, message):
    installed("gateway-api")
    refused = refusal(admission, route(**rule))
    assert refused["code"] == 422
    assert refused["message"].startswith('HTTPRoute.gateway.networking.k8s.io "shop" is invalid: ')
    assert {"field": field, "message": message} in [
        {"field": cause["field"], "message": cause["message"]} for cause in refused["details"]["causes"]
    ]


def test_unknown_fields_are_named(admission, installed):
    installed("gateway-api")
    raw = route(backends=[])
    raw["spec"]["hostname"] = "shop"
    assert refusal(admission, raw)["message"] == (
        'HTTPRoute in version "v1" cannot be handled as a HTTPRoute: strict decoding error: '
        'unknown field "spec.hostname", unknown field "spec.rules[0].backends"'
    )


def test_istio_takes_its_own_examples(admission, installed):
    installed("istio-api")
    destination = {"host": "reviews", "subset": "v1"}
    http = [{"route": [{"destination": destination, "weight": 100}], "timeout": "0.5s", "retries": {"attempts": 3}}]
    service = {
        "apiVersion": "networking.istio.io/v1",
        "kind": "VirtualService",
        "metadata": {"name": "reviews"},
        "spec": {"hosts": ["reviews"], "http": http},
    }
    stored = admission.create(service)
    assert stored["spec"] == service["spec"]
    http[0]["timeout"] = "soon"
    service["metadata"]["name"] = "other"
    (cause,) = refusal(admission, service)["details"]["causes"]
    assert cause["field"] == "spec.http[0].timeout"


def test_a_url_by_kubernetes_own_functions(admission, installed):
    installed("istio-api")

    def rules(uri):
        spec = {"jwtRules": [{"issuer": "me", "jwksUri": uri}]}
        kind = {"apiVersion": "security.istio.io/v1", "kind": "RequestAuthentication"}
        return {**kind, "metadata": {"name": "jwt"}, "spec": spec}

    assert "must have scheme" in refusal(admission, rules("ftp://example.com"))["message"]
    assert admission.create(rules("https://example.com/keys"))


def test_traefik_takes_its_own_examples(admission, installed):
    installed("traefik")
    spec = {
        "entryPoints": ["web"],
        "routes": [{"kind": "Rule", "match": "Host(`shop`)", "services": [{"name": "web", "port": 80}]}],
    }
    raw = {"apiVersion": "traefik.io/v1alpha1", "kind": "IngressRoute", "metadata": {"name": "shop"}, "spec": spec}
    assert admission.create(raw)["spec"] == spec
    raw["metadata"]["name"] = "named"
    spec["routes"][0]["services"][0]["port"] = "http"
    assert admission.create(raw)["spec"] == spec
    raw["metadata"]["name"] = "wrong"
    spec["routes"][0]["services"][0]["port"] = True
    assert "must be of type integer,string" in refusal(admission, raw)["message"]
