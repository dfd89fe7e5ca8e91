"""Patches, and what lies below objects: scale, binding, eviction, log, finalize."""

from typing import Any

import pytest

MAPS = "/api/v1/namespaces/default/configmaps"
PODS = "/api/v1/namespaces/default/pods"
DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"
JSON, MERGE, STRATEGIC, APPLY = (
    {"Content-Type": f"application/{kind}"}
    for kind in ("json-patch+json", "merge-patch+json", "strategic-merge-patch+json", "apply-patch+yaml")
)
POD = {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i"}]}}


def deployment(server: Any, replicas: int = 2) -> Any:
    labels = {"app": "web"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    spec = {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template}
    return server.make(DEPLOYMENTS, {"metadata": {"name": "web"}, "spec": spec})


def test_three_kinds_of_patch(server: Any) -> None:
    deployment(server)
    path = f"{DEPLOYMENTS}/web"
    got = server.ask("PATCH", path, {"metadata": {"labels": {"x": "y"}}}, headers=MERGE)
    assert (got.status, got.json["metadata"]["labels"]) == (200, {"x": "y"})
    got = server.ask("PATCH", path, [{"op": "replace", "path": "/spec/replicas", "value": 5}], headers=JSON)
    assert got.json["spec"]["replicas"] == 5
    second = {"spec": {"template": {"spec": {"containers": [{"name": "d", "image": "j"}]}}}}
    got = server.ask("PATCH", path, second, headers=STRATEGIC)
    assert {c["name"] for c in got.json["spec"]["template"]["spec"]["containers"]} == {"c", "d"}


def test_patches_that_cannot_be_applied(server: Any) -> None:
    path = f"{DEPLOYMENTS}/web"
    assert server.ask("PATCH", path, {}, headers=MERGE).status == 404
    made = deployment(server)
    for body, headers, code in (
        ({}, {"Content-Type": "application/json"}, 415),
        (b"{", MERGE, 400),
        ({"metadata": {"name": "other"}}, MERGE, 400),
        ({"metadata": {"resourceVersion": "1"}}, MERGE, 409),
        ({"spec": {"replicas": "many"}}, MERGE, 400),
        ({"spec": {"replicas": -1}}, STRATEGIC, 422),
        ([{"op": "test", "path": "/spec/replicas", "value": 9}], JSON, 422),
        ({}, JSON, 400),
        ({"kind": "Pod"}, MERGE, 400),
    ):
        assert server.ask("PATCH", path, body, headers=headers).status == code, body
    assert server.get(path) == made


def test_server_side_apply_creates_owns_and_conflicts(server: Any) -> None:
    path = f"{MAPS}/applied"
    mine = {"apiVersion": "v1", "kind": "ConfigMap", "data": {"a": "1"}}
    assert server.ask("PATCH", path, mine, headers=APPLY).status == 422, "who?"
    assert server.ask("PATCH", path, mine, headers=APPLY, fieldManager="me").status == 201
    assert server.ask("PATCH", path, mine, headers=APPLY, fieldManager="me").status == 200
    theirs = {**mine, "data": {"a": "2", "b": "3"}}
    got = server.ask("PATCH", path, theirs, headers=APPLY, fieldManager="you")
    assert (got.status, got.json["details"]["causes"][0]["field"]) == (409, ".data.a")
    got = server.ask("PATCH", path, theirs, headers=APPLY, fieldManager="you", force="true")
    assert got.json["data"] == {"a": "2", "b": "3"}
    before = server.store.version
    server.ask("PATCH", path, {**theirs, "data": {}}, headers=APPLY, fieldManager="you", dryRun="All")
    assert server.store.version == before
    got = server.ask("PATCH", path, {**mine, "data": {}}, headers=APPLY, fieldManager="you")
    assert "data" not in got.json or not got.json["data"], "what nobody wants any more goes"


def test_scale(server: Any) -> None:
    made = deployment(server)
    path = f"{DEPLOYMENTS}/web/scale"
    scale = server.get(path)
    assert (scale["kind"], scale["spec"], scale["status"]) == (
        "Scale",
        {"replicas": 2},
        {"replicas": 0, "selector": "app=web"},
    )
    after = server.ask("PUT", path, {**scale, "spec": {"replicas": 4}}).json
    assert after["spec"]["replicas"] == 4
    assert server.ask("PUT", path, {**scale, "spec": {"replicas": 1}}).status == 409, "a version of before"
    assert server.ask("PATCH", path, {"spec": {"replicas": 3}}, headers=MERGE).json["spec"]["replicas"] == 3
    got = server.get(f"{DEPLOYMENTS}/web")
    assert got["spec"] == {**made["spec"], "replicas": 3}
    assert {entry.get("subresource") for entry in got["metadata"]["managedFields"]} == {None, "scale"}
    assert server.ask("PUT", path, {"spec": {"replicas": -1}}).status == 422
    assert server.ask("PUT", path, {"spec": {"replicas": "x"}}).status == 400
    assert server.ask("PUT", path, {"spec": {"replicas": 9}}, dryRun="All").json["spec"]["replicas"] == 9
    assert server.get(path)["spec"]["replicas"] == 3


def test_scale_and_status_as_tables(server: Any) -> None:
    deployment(server)
    table = {"accept": "application/json;as=Table;v=v1;g=meta.k8s.io"}
    got = server.ask("GET", f"{DEPLOYMENTS}/web/scale", headers=table).json
    assert [column["name"] for column in got["columnDefinitions"]] == ["Name", "Desired", "Available", "Age"]
    (row,) = got["rows"]
    assert row["cells"][:3] == ["web", 2, 0]
    assert row["object"]["kind"] == "PartialObjectMetadata"
    got = server.ask("GET", f"{DEPLOYMENTS}/web/status", headers=table).json
    assert got["kind"] == "Table" and got["rows"][0]["cells"][0] == "web"
    wrong = server.ask("GET", f"{DEPLOYMENTS}/web/scale", headers={"accept": "text/html"})
    assert wrong.status == 406
    assert server.ask("GET", f"{DEPLOYMENTS}/web/scale", headers=table, includeObject="All").status == 400


def test_a_pod_is_bound_once(server: Any) -> None:
    server.make(PODS, POD)
    target = {"target": {"kind": "Node", "name": "node-1"}}
    assert server.ask("POST", f"{PODS}/p/binding", {"target": {"name": ""}}).status == 400
    assert server.ask("POST", f"{PODS}/p/binding", {"target": {"kind": "Pod", "name": "x"}}).status == 400
    assert server.ask("POST", f"{PODS}/p/binding", target).status == 201
    pod = server.get(f"{PODS}/p")
    assert pod["spec"]["nodeName"] == "node-1"
    again = server.ask("POST", "/api/v1/namespaces/default/bindings", {"metadata": {"name": "p"}, **target})
    assert (again.status, 'pod p is already assigned to node "node-1"' in again.message) == (409, True)


def test_an_eviction_deletes_where_it_may(server: Any) -> None:
    server.make(PODS, POD)
    server.make(PODS, {**POD, "metadata": {"name": "precious"}})
    assert server.ask("POST", f"{PODS}/p/eviction", {"metadata": {"name": "q"}}).status == 400
    dry = {"metadata": {"name": "p"}, "deleteOptions": {"dryRun": ["All"]}}
    assert server.ask("POST", f"{PODS}/p/eviction", dry).status == 201
    assert server.get(f"{PODS}/p")
    assert server.ask("POST", f"{PODS}/p/eviction", {"apiVersion": "policy/v2", "kind": "Eviction"}).status == 400
    old = {"apiVersion": "policy/v1beta1", "kind": "Eviction", "metadata": {"name": "p"}}
    assert server.ask("POST", f"{PODS}/p/eviction", old).status == 201
    assert server.ask("GET", f"{PODS}/p").status == 404
    got = server.ask("POST", f"{PODS}/precious/eviction", {})
    assert (got.status, got.json["details"]["causes"][0]["reason"]) == (429, "DisruptionBudget")


def test_a_log_is_streamed(server: Any) -> None:
    server.make(PODS, POD)
    got = server.reply("GET", f"{PODS}/p/log", container="c", follow="true", tailLines="5", timestamps="1")
    assert got.kind == "text/plain"
    wanted = server.logs[-1]
    assert (wanted.follow, wanted.tail_lines, wanted.timestamps, wanted.previous) == (True, 5, True, False)
    assert server.ask("GET", f"{PODS}/none/log").status == 404


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({"tailLines": "-1"}, 422),
        ({"sinceSeconds": "0"}, 422),
        ({"limitBytes": "0"}, 422),
        ({"tailLines": "x"}, 400),
        ({"sinceTime": "yesterday"}, 400),
        ({"sinceTime": "2026-01-01T00:00:00Z", "sinceSeconds": "5"}, 422),
    ],
)
def test_a_log_that_cannot_be_meant(server: Any, query: dict[str, str], code: int) -> None:
    server.make(PODS, POD)
    assert server.ask("GET", f"{PODS}/p/log", **query).status == code


def test_a_namespace_is_finalized(server: Any) -> None:
    path = "/api/v1/namespaces"
    made = server.make(path, {"metadata": {"name": "shop"}, "spec": {"finalizers": ["kubernetes", "example.com/mine"]}})
    got = server.ask("PUT", f"{path}/shop/finalize", {**made, "spec": {"finalizers": ["kubernetes"]}})
    assert (got.status, got.json["spec"]["finalizers"]) == (200, ["kubernetes"])
    assert server.ask("PUT", f"{path}/shop/finalize", made).status == 409
