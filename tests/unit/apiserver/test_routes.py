"""Paths and what they are about."""

import pytest

from labkit.api.kinds import Catalogue
from labkit.apiserver.routes import parse
from labkit.errors import ApiError

CATALOGUE = Catalogue()


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("GET", "/api/v1/pods", ("list", "Pod", "", "", "")),
        ("GET", "/api/v1/namespaces/shop/pods", ("list", "Pod", "shop", "", "")),
        ("POST", "/api/v1/namespaces/shop/pods", ("create", "Pod", "shop", "", "")),
        ("DELETE", "/api/v1/namespaces/shop/pods", ("deletecollection", "Pod", "shop", "", "")),
        ("GET", "/api/v1/namespaces/shop/pods/web", ("get", "Pod", "shop", "web", "")),
        ("PUT", "/apis/apps/v1/namespaces/a/deployments/b/status", ("update", "Deployment", "a", "b", "status")),
        ("PATCH", "/apis/apps/v1/namespaces/a/deployments/b/scale", ("patch", "Deployment", "a", "b", "scale")),
        ("GET", "/api/v1/namespaces", ("list", "Namespace", "", "", "")),
        ("GET", "/api/v1/namespaces/shop", ("get", "Namespace", "shop", "shop", "")),
        ("PUT", "/api/v1/namespaces/shop/finalize", ("update", "Namespace", "shop", "shop", "finalize")),
        ("GET", "/api/v1/nodes/node-1", ("get", "Node", "", "node-1", "")),
        ("GET", "/api/v1/watch/namespaces/shop/pods/web", ("watch", "Pod", "shop", "web", "")),
        ("POST", "/api/v1/namespaces/a/pods/b/exec", ("create", "Pod", "a", "b", "exec")),
    ],
)
def test_a_path_is_a_verb_on_a_resource(method: str, path: str, expected: tuple[str, ...]) -> None:
    route = parse(method, path, False, CATALOGUE)
    assert route
    assert (route.verb, route.resource.kind, route.namespace, route.name, route.subresource) == expected


def test_a_watch_is_asked_for_by_parameter_too() -> None:
    route = parse("GET", "/api/v1/pods", True, CATALOGUE)
    assert route and route.verb == "watch"


@pytest.mark.parametrize("path", ["/api", "/api/v1", "/apis", "/apis/apps", "/apis/apps/v1", "/version", "/"])
def test_what_leads_to_no_resource_is_no_route(path: str) -> None:
    assert parse("GET", path, False, CATALOGUE) is None


@pytest.mark.parametrize(
    ("method", "path", "code"),
    [
        ("GET", "/api/v1/poods", 404),
        ("GET", "/apis/apps/v2/deployments", 404),
        ("GET", "/api/v1/namespaces/a/nodes", 404),
        ("GET", "/api/v1/namespaces/a/pods/b/colour", 404),
        ("GET", "/api/v1/namespaces/a/pods/b/log/more", 404),
        ("POST", "/api/v1/pods", 405),
        ("GET", "/api/v1/pods/web", 405),
        ("POST", "/api/v1/namespaces/a/pods/b", 405),
        ("PUT", "/api/v1/namespaces/a/pods", 405),
        ("GET", "/apis/authorization.k8s.io/v1/subjectaccessreviews", 405),
        ("BREW", "/api/v1/nodes", 405),
    ],
)
def test_what_is_not_served_is_refused(method: str, path: str, code: int) -> None:
    with pytest.raises(ApiError) as refused:
        parse(method, path, False, CATALOGUE)
    assert refused.value.details["status"]["code"] == code
