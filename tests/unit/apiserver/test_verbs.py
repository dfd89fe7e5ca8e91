"""get, list, create, update and delete, as a client sees them."""

import gzip
from typing import Any

import pytest

MAPS = "/api/v1/namespaces/default/configmaps"
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"
META = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"


def test_what_is_created_can_be_got(server: Any) -> None:
    made = server.config_map("one")
    assert made["metadata"]["uid"] and made["metadata"]["namespace"] == "default"
    assert server.get(f"{MAPS}/one") == made
    assert server.ask("POST", MAPS, {"metadata": {"name": "one"}}).json["reason"] == "AlreadyExists"
    missing = server.ask("GET", f"{MAPS}/two")
    assert (missing.status, missing.message) == (404, 'configmaps "two" not found')


def test_a_name_is_generated(server: Any) -> None:
    made = server.make(MAPS, {"metadata": {"generateName": "job-"}})
    assert made["metadata"]["name"].startswith("job-") and len(made["metadata"]["name"]) == 9


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"metadata": {"name": "a", "namespace": "other"}}, "does not match the namespace sent on the request"),
        ({"apiVersion": "v2", "metadata": {"name": "a"}}, "does not match the expected API version (v1)"),
        ({"kind": "Pod", "metadata": {"name": "a"}}, "cannot be handled as a ConfigMap"),
        ({"metadata": {"name": "a", "resourceVersion": "5"}}, "resourceVersion should not be set"),
        ({"metadata": []}, "metadata"),
        ([], "unrecognized"),
        (b"{", "json parse error"),
        (b'{"a":"\xff"}', "json parse error"),
        (b"[" * 20_000, "max depth"),
        (b'{"data":{"a":' + b"[" * 500 + b"]" * 500 + b"}}", ""),
    ],
)
def test_what_cannot_be_created_is_a_bad_request(server: Any, body: Any, said: str) -> None:
    got = server.ask("POST", MAPS, body)
    assert got.status == 400, got.body
    assert said in got.message


def test_other_media_types(server: Any) -> None:
    yaml = {"Content-Type": "application/yaml"}
    assert server.ask("POST", MAPS, b"metadata:\n  name: why\n", headers=yaml).status == 201
    assert server.ask("POST", MAPS, b"a: [", headers=yaml).status == 400
    assert server.ask("POST", MAPS, b"a: \xff", headers=yaml).status == 400
    assert server.ask("POST", MAPS, b"<a/>", headers={"Content-Type": "text/xml"}).status == 415
    assert server.ask("GET", MAPS, headers={"Accept": "application/xml"}).status == 406


def test_an_update_needs_the_version_it_began_with(server: Any) -> None:
    made = server.config_map("one")
    changed = {**made, "data": {"a": "c"}}
    after = server.ask("PUT", f"{MAPS}/one", changed)
    assert (after.status, after.json["data"]) == (200, {"a": "c"})
    late = server.ask("PUT", f"{MAPS}/one", changed)
    assert (late.status, late.json["reason"]) == (409, "Conflict")
    assert server.ask("PUT", f"{MAPS}/one", {"data": {"x": "y"}}).status == 200, "without a version: the last one wins"
    assert server.ask("PUT", f"{MAPS}/two", {**made, "metadata": {"name": "two"}}).status == 404
    renamed = server.ask("PUT", f"{MAPS}/one", {"metadata": {"name": "two"}})
    assert (renamed.status, "does not match the name on the URL" in renamed.message) == (400, True)
    other = server.ask("PUT", f"{MAPS}/one", {"metadata": {"uid": "x"}})
    assert (other.status, "UID in precondition: x" in other.message) == (409, True)


def test_unknown_fields_are_refused_warned_of_or_dropped(server: Any) -> None:
    body = {"metadata": {"name": "a"}, "colour": "red", "data": {"k": "v"}}
    strict = server.ask("POST", MAPS, body, fieldValidation="Strict")
    assert (strict.status, 'strict decoding error: unknown field "colour"' in strict.message) == (400, True)
    warned = server.ask("POST", MAPS, body)
    assert (warned.status, warned.warnings) == (201, ('unknown field "colour"',))
    assert "colour" not in warned.json and warned.json["data"] == {"k": "v"}
    ignored = server.ask("PUT", f"{MAPS}/a", body, fieldValidation="Ignore")
    assert (ignored.status, ignored.warnings, "colour" in ignored.json) == (200, (), False)
    assert server.ask("POST", MAPS, body, fieldValidation="Maybe").status == 422
    wrong = {"metadata": {"name": "b"}, "data": {"k": 5}}
    assert server.ask("POST", MAPS, wrong, fieldValidation="Ignore").status == 400, "a wrong type is no unknown field"


def test_a_dry_run_changes_nothing(server: Any) -> None:
    kept = server.config_map("kept")
    before = server.store.version
    heard: list[Any] = []
    server.store.watch(["ConfigMap"], heard.append, initial=False)
    assert server.make(MAPS, {"metadata": {"name": "dry"}}, dryRun="All")["metadata"]["uid"]
    assert server.ask("PUT", f"{MAPS}/kept", {**kept, "data": {}}, dryRun="All").status == 200
    assert server.ask("DELETE", f"{MAPS}/kept", dryRun="All").status == 200
    assert server.ask("DELETE", MAPS, {"dryRun": ["All"]}).status == 200
    assert server.ask("POST", MAPS, {"metadata": {"name": "kept"}}, dryRun="All").status == 409
    assert server.ask("POST", MAPS, {"metadata": {"name": "x"}}, dryRun="Some").status == 422
    assert (server.store.version, heard, server.get(f"{MAPS}/kept")) == (before, [], kept)


def test_managed_fields_name_who_wrote(server: Any) -> None:
    made = server.make(MAPS, {"metadata": {"name": "m"}, "data": {"a": "b"}}, fieldManager="me")
    assert [entry["manager"] for entry in made["metadata"]["managedFields"]] == ["me"]
    agent = {"User-Agent": "kubectl/v1.33.1 (linux/amd64)"}
    after = server.ask("PUT", f"{MAPS}/m", {**made, "data": {"a": "c"}}, headers=agent).json
    owned = {entry["manager"]: entry["fieldsV1"]["f:data"] for entry in after["metadata"]["managedFields"]}
    assert "f:a" in owned["kubectl"] and "f:a" not in owned["me"]


def test_a_status_is_written_apart(server: Any) -> None:
    node = {"metadata": {"name": "n"}, "spec": {"podCIDR": "10.0.0.0/24"}}
    server.make("/api/v1/nodes", node)
    told = {"conditions": [{"type": "Ready", "status": "True"}]}
    after = server.ask("PUT", "/api/v1/nodes/n/status", {**node, "spec": {"unschedulable": True}, "status": told}).json
    assert (after["spec"], after["status"]["conditions"][0]["status"]) == (node["spec"], "True")
    after = server.ask(
        "PUT", "/api/v1/nodes/n", {**node, "spec": {"unschedulable": True, **node["spec"]}, "status": {}}
    ).json
    assert after["spec"]["unschedulable"] and after["status"]["conditions"]


def test_lists_select_by_labels_and_fields(server: Any) -> None:
    for name in "abc":
        server.config_map(name, app=name)
    server.config_map("a", "kube-public", app="a")

    def names(path: str = MAPS, **more: Any) -> list[str]:
        return [item["metadata"]["name"] for item in server.get(path, **more)["items"]]

    assert names() == ["a", "b", "c"]
    assert names("/api/v1/configmaps", labelSelector="app=a") == ["a", "a"]
    assert names(labelSelector="app in (a,b),app!=b") == ["a"]
    assert names(fieldSelector="metadata.name=b") == ["b"]
    assert server.ask("GET", MAPS, labelSelector="a in (").status == 400
    assert server.ask("GET", MAPS, fieldSelector="data.a=b").status == 400


def test_a_list_in_pieces_is_of_one_moment(server: Any) -> None:
    for number in range(5):
        server.config_map(f"m{number}")
    first = server.get(MAPS, limit=2)
    assert (first["metadata"]["remainingItemCount"], len(first["items"])) == (3, 2)
    server.ask("DELETE", f"{MAPS}/m3")
    server.config_map("m2a")
    second = server.get(MAPS, limit=2, **{"continue": first["metadata"]["continue"]})
    third = server.get(MAPS, limit=2, **{"continue": second["metadata"]["continue"]})
    names = [item["metadata"]["name"] for part in (first, second, third) for item in part["items"]]
    assert names == ["m0", "m1", "m2", "m3", "m4"]
    assert {part["metadata"]["resourceVersion"] for part in (first, second, third)} == {
        first["metadata"]["resourceVersion"]
    }
    assert "continue" not in third["metadata"]
    assert server.ask("GET", MAPS, **{"continue": "nonsense"}).status == 400
    both = server.ask("GET", MAPS, resourceVersion="5", **{"continue": first["metadata"]["continue"]})
    assert both.status == 400


def test_a_list_as_it_was_then(server: Any) -> None:
    then = server.config_map("a")["metadata"]["resourceVersion"]
    server.config_map("b")
    exact = server.get(MAPS, resourceVersion=then, resourceVersionMatch="Exact")
    assert [item["metadata"]["name"] for item in exact["items"]] == ["a"]
    assert exact["metadata"]["resourceVersion"] == then
    newer = server.get(MAPS, resourceVersion=then, resourceVersionMatch="NotOlderThan")
    assert len(newer["items"]) == 2
    assert server.ask("GET", MAPS, resourceVersion="999999").json["reason"] == "Timeout"
    assert server.ask("GET", MAPS, resourceVersion="x").status == 400
    assert server.ask("GET", MAPS, resourceVersionMatch="Exact").status == 422
    assert server.ask("GET", MAPS, limit="-1").status == 400


def test_what_is_too_old_is_gone(server: Any) -> None:
    then = server.config_map("old")["metadata"]["resourceVersion"]
    first = server.get("/api/v1/namespaces", limit=1)["metadata"]["continue"]
    for number in range(4100):
        server.store.update("ConfigMap", "default", "old", lambda raw, n=number: raw["data"].update(n=str(n)))
    got = server.ask("GET", MAPS, resourceVersion=then, resourceVersionMatch="Exact")
    assert (got.status, got.json["reason"]) == (410, "Expired")
    assert server.ask("GET", MAPS, watch="1", resourceVersion=then).status == 410
    assert server.get("/api/v1/namespaces", **{"continue": first})["items"], "another kind's history has its own end"


def test_a_delete_says_what_it_deleted(server: Any) -> None:
    made = server.config_map("a")
    gone = server.ask("DELETE", f"{MAPS}/a").json
    assert (gone["status"], gone["details"]) == (
        "Success",
        {"name": "a", "kind": "configmaps", "uid": made["metadata"]["uid"]},
    )
    assert server.ask("DELETE", f"{MAPS}/a").status == 404


def test_a_delete_waits_for_finalizers(server: Any) -> None:
    server.make(MAPS, {"metadata": {"name": "held", "finalizers": ["example.com/hold"]}})
    marked = server.ask("DELETE", f"{MAPS}/held").json
    assert marked["kind"] == "ConfigMap" and marked["metadata"]["deletionTimestamp"]
    free = {**marked, "metadata": {**marked["metadata"], "finalizers": []}}
    assert server.ask("PUT", f"{MAPS}/held", free).status == 200
    assert server.ask("GET", f"{MAPS}/held").status == 404


def test_a_delete_has_preconditions(server: Any) -> None:
    made = server.config_map("a")["metadata"]
    wrong = {"preconditions": {"uid": "x"}}
    assert server.ask("DELETE", f"{MAPS}/a", wrong).status == 409
    assert server.ask("DELETE", f"{MAPS}/a", {"preconditions": {"resourceVersion": "1"}}).status == 409
    right = {"preconditions": {"uid": made["uid"], "resourceVersion": made["resourceVersion"]}}
    assert server.ask("DELETE", f"{MAPS}/a", {"kind": "DeleteOptions", "apiVersion": "v1", **right}).status == 200


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"gracePeriodSeconds": -1}, 400),
        ({"gracePeriodSeconds": "soon"}, 400),
        ({"propagationPolicy": "Sideways"}, 422),
        ({"propagationPolicy": "Orphan", "orphanDependents": True}, 422),
        ({"preconditions": []}, 400),
        ({"kind": "Pod"}, 400),
        ([], 400),
    ],
)
def test_options_of_a_delete_must_make_sense(server: Any, options: Any, code: int) -> None:
    server.config_map("a")
    assert server.ask("DELETE", f"{MAPS}/a", options).status == code
    assert server.get(f"{MAPS}/a")


def test_a_collection_is_deleted_by_selector(server: Any) -> None:
    for name in "abc":
        server.config_map(name, app=name)
    gone = server.ask("DELETE", MAPS, labelSelector="app!=b").json
    assert [item["metadata"]["name"] for item in gone["items"]] == ["a", "c"]
    assert [item["metadata"]["name"] for item in server.get(MAPS)["items"]] == ["b"]


def test_tables_and_metadata(server: Any) -> None:
    server.config_map("a")
    table = server.get(MAPS, headers={"Accept": TABLE})
    assert (table["kind"], table["rows"][0]["cells"][:2]) == ("Table", ["a", 1])
    partial = server.get(MAPS, headers={"Accept": META})
    assert partial["kind"] == "PartialObjectMetadataList"
    assert set(partial["items"][0]) == {"kind", "apiVersion", "metadata"}
    assert server.ask("GET", MAPS, headers={"Accept": TABLE}, includeObject="All").status == 400


def test_large_answers_are_compressed_where_asked(server: Any) -> None:
    for number in range(4):
        server.make(MAPS, {"metadata": {"name": f"big{number}"}, "data": {"a": "x" * 40_000}})
    plain = server.ask("GET", MAPS)
    packed = server.ask("GET", MAPS, headers={"Accept-Encoding": "gzip"})
    assert packed.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(packed.body) == plain.body
    assert "Content-Encoding" not in server.ask("GET", f"{MAPS}/big0", headers={"Accept-Encoding": "gzip"}).headers


def test_other_versions_are_served(server: Any) -> None:
    event = {
        "metadata": {"name": "e"}, "involvedObject": {"kind": "Pod", "name": "web", "namespace": "default"},
        "reason": "Started", "message": "it runs", "type": "Normal",
    }  # fmt: skip
    server.make("/api/v1/namespaces/default/events", event)
    got = server.get("/apis/events.k8s.io/v1/namespaces/default/events/e")
    assert (got["apiVersion"], got["note"], got["regarding"]["name"]) == ("events.k8s.io/v1", "it runs", "web")
    listed = server.get("/apis/events.k8s.io/v1/events")
    assert (listed["apiVersion"], listed["items"][0]["note"]) == ("events.k8s.io/v1", "it runs")


def test_documents(server: Any) -> None:
    assert server.get("/version")["major"] == "1"
    assert "/apis/apps/v1" in server.get("/")["paths"]
    assert server.ask("GET", "/readyz").body == b"ok"
    assert server.ask("GET", "/nowhere").status == 404
    assert server.ask("GET", "/apis/nowhere.io/v1/things").json["reason"] == "NotFound"
