from __future__ import annotations

import re
from typing import Any

import msgspec
import pytest

from labkit.api import schema
from labkit.api.kinds import Catalogue
from labkit.api.resources import Resource
from labkit.apiserver.openapi import definitions, gnostic
from labkit.apiserver.openapi.documents import OpenApi
from labkit.apiserver.openapi.operations import paths

Raw = dict[str, Any]
GATEWAY = Resource("Gateway", "networking.istio.io/v1", "gateways", custom=True, subresources=("scale", "status"))
WRITTEN = {"type": "object", "properties": {"spec": {"type": "object", "description": "What it wants."}}}


class Server:
    """The documents of a server with one custom kind, whose schema may change."""

    def __init__(self, written: Raw | None = WRITTEN) -> None:
        self.written = written
        self.catalogue = Catalogue()
        self.catalogue.add([GATEWAY])
        self.openapi = OpenApi(self.catalogue, lambda version, kind: self.written if kind == "Gateway" else None)

    def urls(self) -> dict[str, str]:
        return {path: entry["serverRelativeURL"] for path, entry in self.openapi.index()["paths"].items()}

    def document(self, path: str) -> Raw:
        found = self.openapi.document(path)
        assert found is not None
        decoded: Raw = msgspec.json.decode(found.body)
        return decoded


@pytest.fixture(scope="module")
def server() -> Server:
    return Server()


def all_references(value: Any) -> set[str]:
    if isinstance(value, list):
        return {name for each in value for name in all_references(each)}
    if not isinstance(value, dict):
        return set()
    here = {value["$ref"]} if isinstance(value.get("$ref"), str) else set()
    return here | {name for each in value.values() for name in all_references(each)}


PATHS = [
    "api/v1",
    *(f"apis/{v}" for v in sorted({r.api_version for r in Catalogue().all()} - {"v1"})),
    "apis/networking.istio.io/v1",
]


def test_the_index_has_a_url_for_each_version(server: Server) -> None:
    urls = server.urls()
    assert sorted(urls) == sorted(PATHS)
    for path, url in urls.items():
        assert re.fullmatch(rf"/openapi/v3/{re.escape(path)}\?hash=[0-9A-F]{{64}}", url)


def test_a_hash_tells_whether_a_document_changed() -> None:
    first, second = Server(), Server()
    assert first.urls() == second.urls()
    document = first.openapi.document("apis/networking.istio.io/v1")
    apps = first.openapi.document("apis/apps/v1")
    before = first.urls()
    first.written = {**WRITTEN, "description": "A gateway."}
    after = first.urls()
    assert {path for path in before if before[path] != after[path]} == {"apis/networking.istio.io/v1"}
    changed = first.openapi.document("apis/networking.istio.io/v1")
    assert changed is not None and document is not None
    assert changed.body != document.body
    assert after["apis/networking.istio.io/v1"].endswith(changed.hash)
    assert first.openapi.document("apis/apps/v1") is apps


def test_what_is_gone_is_not_served() -> None:
    server = Server()
    whole = server.openapi.swagger("json")
    assert server.openapi.document("apis/networking.istio.io/v1") is not None
    server.catalogue.remove([GATEWAY])
    assert server.openapi.document("apis/networking.istio.io/v1") is None
    assert "apis/networking.istio.io/v1" not in server.urls()
    assert server.openapi.swagger("json").hash != whole.hash


@pytest.mark.parametrize("path", ["", "api", "api/v2", "apis/apps", "apis/apps/v2", "apis/v1", "api/apps/v1", "../x"])
def test_there_is_no_other_document(server: Server, path: str) -> None:
    assert server.openapi.document(path) is None


@pytest.mark.parametrize("path", PATHS)
def test_a_document_is_whole(server: Server, path: str) -> None:
    document = server.document(path)
    assert document["openapi"] == "3.0.0"
    known = {f"#/components/schemas/{name}" for name in document["components"]["schemas"]}
    assert all_references(document) <= known
    operations = [o for each in document["paths"].values() for o in each.values() if isinstance(o, dict)]
    names = [o["operationId"] for o in operations]
    assert len(names) == len(set(names))
    assert all(o["x-kubernetes-group-version-kind"]["kind"] for o in operations)


@pytest.mark.parametrize("resource", [r for r in Catalogue().all() if "patch" in r.verbs], ids=lambda r: r.qualified)
def test_kubectl_finds_what_it_may_send(server: Server, resource: Resource) -> None:
    """It goes from a kind to the first path whose `patch` is of that kind, and reads parameters and media types."""
    root = f"apis/{resource.api_version}" if resource.group else "api/v1"
    document = server.document(root)
    kind = {"group": resource.group, "version": resource.version, "kind": resource.kind}
    patch = next(
        each["patch"]
        for each in document["paths"].values()
        if each.get("patch", {}).get("x-kubernetes-group-version-kind") == kind
    )
    assert {"fieldValidation", "dryRun", "fieldManager", "force"} <= {p["name"] for p in patch["parameters"]}
    assert "application/strategic-merge-patch+json" in patch["requestBody"]["content"]
    schemas = document["components"]["schemas"].values()
    assert any(kind in each.get("x-kubernetes-group-version-kind", ()) for each in schemas)


def test_the_operations_of_a_resource(server: Server) -> None:
    found = server.document("apis/apps/v1")["paths"]
    within = "/apis/apps/v1/namespaces/{namespace}/deployments"
    deployments = {path: set(each) - {"parameters"} for path, each in found.items() if "/deployments" in path}
    assert deployments == {
        "/apis/apps/v1/deployments": {"get"},
        within: {"get", "post", "delete"},
        f"{within}/{{name}}": {"get", "put", "patch", "delete"},
        f"{within}/{{name}}/scale": {"get", "put", "patch"},
        f"{within}/{{name}}/status": {"get", "put", "patch"},
    }
    scale = found[f"{within}/{{name}}/scale"]["put"]
    assert scale["operationId"] == "replaceAppsV1NamespacedDeploymentScale"
    assert scale["x-kubernetes-group-version-kind"] == {"group": "autoscaling", "kind": "Scale", "version": "v1"}
    reference = {"$ref": "#/components/schemas/io.k8s.api.autoscaling.v1.Scale"}
    assert scale["requestBody"]["content"]["application/json"]["schema"] == reference
    assert [p["name"] for p in found[within]["parameters"]] == ["namespace"]
    assert [p["name"] for p in found[f"{within}/{{name}}"]["parameters"]] == ["namespace", "name"]


def test_a_review_can_only_be_created(server: Server) -> None:
    found = server.document("apis/authorization.k8s.io/v1")["paths"][
        "/apis/authorization.k8s.io/v1/subjectaccessreviews"
    ]
    assert set(found) == {"post"}


def test_streams_are_connections(server: Server) -> None:
    found = server.document("api/v1")["paths"]["/api/v1/namespaces/{namespace}/pods/{name}/exec"]
    assert found["post"]["x-kubernetes-action"] == "connect"
    assert found["post"]["x-kubernetes-group-version-kind"]["kind"] == "PodExecOptions"
    assert found["get"]["operationId"] == "connectGetCoreV1NamespacedPodExec"


def undescribed(published: Raw) -> Raw:
    """A definition as `labkit.api.schema` has it."""
    found = {key: value for key, value in published.items() if key != "description"}
    if "properties" in found:
        fields = {}
        for name, field in found["properties"].items():
            plain = {key: value for key, value in field.items() if key != "description"}
            fields[name] = plain["allOf"][0] if "allOf" in plain else plain
        found["properties"] = fields
    return found


@pytest.mark.parametrize("reference", schema.definitions())
def test_published_shapes_are_those_that_are_checked(reference: str) -> None:
    name = reference.removeprefix(schema.PREFIX)
    published = undescribed(definitions.published(name))
    if name == definitions.INT_OR_STRING:
        assert published.pop("format") == "int-or-string"
    assert published == schema.definitions()[reference]


def test_descriptions_are_the_apis_own(server: Server) -> None:
    service = server.document("api/v1")["components"]["schemas"]["io.k8s.api.core.v1.Service"]
    assert service["description"].startswith("Service is a named abstraction of software service")
    assert service["properties"]["spec"] == {
        "description": "Spec defines the behavior of a service. "
        "https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#spec-and-status",
        "allOf": [{"$ref": "#/components/schemas/io.k8s.api.core.v1.ServiceSpec"}],
    }


def test_a_custom_kind(server: Server) -> None:
    document = server.document("apis/networking.istio.io/v1")
    gateway = document["components"]["schemas"]["io.istio.networking.v1.Gateway"]
    assert gateway["properties"]["spec"] == {"type": "object", "description": "What it wants."}
    assert set(gateway["properties"]) == {"apiVersion", "kind", "metadata", "spec"}
    kind = {"group": "networking.istio.io", "kind": "Gateway", "version": "v1"}
    assert gateway["x-kubernetes-group-version-kind"] == [kind]
    listed = document["components"]["schemas"]["io.istio.networking.v1.GatewayList"]
    assert listed["x-kubernetes-group-version-kind"] == [{**kind, "kind": "GatewayList"}]
    patch = document["paths"]["/apis/networking.istio.io/v1/namespaces/{namespace}/gateways/{name}"]["patch"]
    assert "application/merge-patch+json" in patch["requestBody"]["content"]
    assert "application/strategic-merge-patch+json" not in patch["requestBody"]["content"]


def test_a_custom_kind_of_which_nothing_is_known() -> None:
    gateway = Server(None).document("apis/networking.istio.io/v1")["components"]["schemas"][
        "io.istio.networking.v1.Gateway"
    ]
    assert gateway["x-kubernetes-preserve-unknown-fields"] is True and "properties" not in gateway


def test_a_kind_that_nothing_is_published_of() -> None:
    server = Server()
    document = server.document("apis/metrics.k8s.io/v1beta1")
    metrics = document["components"]["schemas"]["io.k8s.metrics.v1beta1.NodeMetrics"]
    assert metrics["x-kubernetes-group-version-kind"][0]["kind"] == "NodeMetrics"
    assert {path: set(each) - {"parameters"} for path, each in document["paths"].items()} == {
        "/apis/metrics.k8s.io/v1beta1/namespaces/{namespace}/pods": {"get"},
        "/apis/metrics.k8s.io/v1beta1/namespaces/{namespace}/pods/{name}": {"get"},
        "/apis/metrics.k8s.io/v1beta1/nodes": {"get"},
        "/apis/metrics.k8s.io/v1beta1/nodes/{name}": {"get"},
        "/apis/metrics.k8s.io/v1beta1/pods": {"get"},
    }


def test_a_cluster_kind_has_no_namespace() -> None:
    node = Resource("Node", "v1", "nodes", namespaced=False)
    assert list(paths(node)) == ["/api/v1/nodes", "/api/v1/nodes/{name}"]


@pytest.mark.parametrize(
    ("accept", "asked"),
    [
        ("application/com.github.proto-openapi.spec.v2@v1.0+protobuf", True),
        ("application/json, application/com.github.proto-openapi.spec.v2.v1.0+protobuf;q=0.9", True),
        ("application/json", False),
        ("*/*", False),
        ("", False),
        ("application/com.github.proto-openapi.spec.v3@v1.0+protobuf", False),
    ],
)
def test_who_wants_protobuf(accept: str, asked: bool) -> None:
    assert gnostic.asked_for(accept) is asked
