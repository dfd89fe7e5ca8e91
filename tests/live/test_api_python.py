"""The official Python client as programs use it: lists, watches, patches, all that is typed, and what is refused."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import official
import pytest
from labs import API, wait_until
from official import SPACE, client, config_map, deployment

from labkit import lab
from labkit.lab import Lab

# The client leaves sockets of its own open.
pytestmark = [
    API,
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"),
]

MERGE, APPLY = "application/merge-patch+json", "application/apply-patch+yaml"


@pytest.fixture(scope="module")
def running(sandbox: str) -> Iterator[Lab]:
    with lab.start(nodes=2, name="python") as started:
        yield started


@pytest.fixture(scope="module")
def api(running: Lab) -> Iterator[Any]:
    with official.connect(running) as connection:
        yield connection


@pytest.fixture(scope="module")
def core(api: Any) -> Any:
    return client.CoreV1Api(api)


@pytest.fixture(scope="module")
def apps(api: Any) -> Any:
    return client.AppsV1Api(api)


def names(listed: Any) -> list[str]:
    return [item.metadata.name for item in listed.items]


def test_lists_in_pages_and_by_selectors(core: Any) -> None:
    for number in range(5):
        core.create_namespaced_config_map(SPACE, config_map(f"page-{number}", "pages", n=str(number)))
    pages = []
    token = None
    while token != "":
        page = core.list_namespaced_config_map(SPACE, limit=2, _continue=token)
        pages.append(names(page))
        token = page.metadata._continue or ""
    assert [len(page) for page in pages[:-1]] == [2] * (len(pages) - 1)
    found = [*itertools.chain(*pages)]
    assert found == sorted(found) and {f"page-{n}" for n in range(5)} <= set(found)
    some = core.list_namespaced_config_map(
        SPACE, label_selector="test in (pages, other)", field_selector="metadata.name!=page-0"
    )
    assert names(some) == ["page-1", "page-2", "page-3", "page-4"]
    everywhere = core.list_config_map_for_all_namespaces(field_selector="metadata.name=page-4")
    assert [(item.metadata.namespace, item.data) for item in everywhere.items] == [(SPACE, {"n": "4"})]


def test_each_kind_of_patch(core: Any, apps: Any) -> None:
    apps.create_namespaced_deployment(SPACE, deployment("patched", 1))
    extra = {"spec": {"template": {"spec": {"containers": [{"name": "extra", "image": "redis:1"}]}}}}
    patched = apps.patch_namespaced_deployment("patched", SPACE, extra)
    assert {c.name for c in patched.spec.template.spec.containers} == {"web", "extra"}, "a strategic merge"
    patched = apps.patch_namespaced_deployment("patched", SPACE, extra, _content_type=MERGE)
    assert [c.name for c in patched.spec.template.spec.containers] == ["extra"], "a merge of JSON replaces lists"
    steps = [
        {"op": "test", "path": "/spec/replicas", "value": 1},
        {"op": "replace", "path": "/spec/replicas", "value": 0},
    ]
    assert apps.patch_namespaced_deployment("patched", SPACE, steps).spec.replicas == 0
    with pytest.raises(client.ApiException) as failed:
        apps.patch_namespaced_deployment("patched", SPACE, steps)
    assert failed.value.status == 422
    apps.delete_namespaced_deployment("patched", SPACE)


def test_server_side_apply_and_its_conflict(core: Any) -> None:
    def applied(manager: str, value: str, **options: Any) -> Any:
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "owned"}, "data": {"a": value}}
        return core.patch_namespaced_config_map(
            "owned", SPACE, body, field_manager=manager, _content_type=APPLY, **options
        )

    assert applied("one", "1").data == {"a": "1"}
    with pytest.raises(client.ApiException) as failed:
        applied("two", "2")
    told = json.loads(failed.value.body)
    assert (failed.value.status, told["reason"]) == (409, "Conflict")
    assert told["details"]["causes"] == [
        {"reason": "FieldManagerConflict", "message": 'conflict with "one"', "field": ".data.a"}
    ]
    assert applied("two", "2", force=True).data == {"a": "2"}
    managers = core.read_namespaced_config_map("owned", SPACE).metadata.managed_fields
    assert [(m.manager, m.operation, m.fields_v1) for m in managers] == [("two", "Apply", {"f:data": {"f:a": {}}})], (
        "who owns nothing any more is forgotten"
    )


def test_what_is_refused_says_why(core: Any, apps: Any) -> None:
    def refusal(call: Any, *args: Any, **options: Any) -> tuple[int, str, str]:
        with pytest.raises(client.ApiException) as failed:
            call(*args, **options)
        told = json.loads(failed.value.body)
        assert told["kind"] == "Status" and told["code"] == failed.value.status
        return told["code"], told["reason"], told["message"]

    assert refusal(core.read_namespaced_pod, "none", SPACE) == (404, "NotFound", 'pods "none" not found')
    made = core.create_namespaced_config_map(SPACE, config_map("twice", "refused", a="1"))
    again = refusal(core.create_namespaced_config_map, SPACE, config_map("twice", "refused"))
    assert again == (409, "AlreadyExists", 'configmaps "twice" already exists')
    core.patch_namespaced_config_map("twice", SPACE, {"data": {"a": "2"}})
    code, reason, message = refusal(core.replace_namespaced_config_map, "twice", SPACE, made)
    assert (code, reason) == (409, "Conflict") and "the object has been modified" in message
    code, reason, message = refusal(apps.create_namespaced_deployment, SPACE, deployment("Upper", 1))
    assert (code, reason) == (422, "Invalid") and message.startswith(
        'Deployment.apps "Upper" is invalid: metadata.name'
    )
    code, reason, _ = refusal(
        core.delete_namespaced_config_map, "twice", SPACE, body={"preconditions": {"uid": "another"}}
    )
    assert (code, reason) == (409, "Conflict")
    dry = core.create_namespaced_config_map(SPACE, config_map("dry", "refused"), dry_run="All")
    assert dry.metadata.uid and refusal(core.read_namespaced_config_map, "dry", SPACE)[0] == 404


def test_subresources(running: Lab, api: Any, core: Any, apps: Any) -> None:
    apps.create_namespaced_deployment(SPACE, deployment("scaled", 1))
    apps.patch_namespaced_deployment_scale("scaled", SPACE, {"spec": {"replicas": 2}})
    running.wait("deployment/scaled")
    scale = apps.read_namespaced_deployment_scale("scaled", SPACE)
    assert (scale.spec.replicas, scale.status.replicas, scale.status.selector) == (2, 2, "app=scaled")
    pod = names(core.list_namespaced_pod(SPACE, label_selector="app=scaled"))[0]
    eviction = client.V1Eviction(metadata=client.V1ObjectMeta(name=pod, namespace=SPACE))
    core.create_namespaced_pod_eviction(pod, SPACE, eviction)
    wait_until(lambda: pod not in names(core.list_namespaced_pod(SPACE, label_selector="app=scaled")), 40, "its end")
    before = apps.read_namespaced_deployment("scaled", SPACE).metadata.generation
    condition = {"type": "Seen", "status": "True", "reason": "Test", "message": "by a test"}
    written = apps.patch_namespaced_deployment_status(
        "scaled", SPACE, {"spec": {"replicas": 7}, "status": {"conditions": [condition]}}
    )
    assert written.spec.replicas == 2 and written.metadata.generation == before
    assert "Seen" in {c.type for c in written.status.conditions}
    apps.delete_namespaced_deployment("scaled", SPACE, propagation_policy="Foreground")


def test_delete_collection(core: Any) -> None:
    for number in range(4):
        core.create_namespaced_config_map(SPACE, config_map(f"many-{number}", "many" if number else "kept"))
    core.delete_collection_namespaced_config_map(SPACE, label_selector="test=many")
    assert names(core.list_namespaced_config_map(SPACE, label_selector="test in (many, kept)")) == ["many-0"]


def test_manifests_from_a_file(running: Lab, api: Any, core: Any, tmp_path: Path) -> None:
    from kubernetes import utils

    file = tmp_path / "some.yaml"
    file.write_text(
        "apiVersion: v1\nkind: Service\nmetadata: {name: from-file}\nspec: {ports: [{port: 80}]}\n---\n"
        "apiVersion: batch/v1\nkind: Job\nmetadata: {name: from-file}\n"
        "spec: {template: {spec: {restartPolicy: Never,\n"
        "  containers: [{name: c, image: busybox, command: [echo, hi]}]}}}\n"
    )
    utils.create_from_yaml(api, str(file))
    batch = client.BatchV1Api(api)
    wait_until(lambda: batch.read_namespaced_job("from-file", SPACE).status.succeeded == 1, 30, "the job")
    (pod,) = names(core.list_namespaced_pod(SPACE, label_selector="job-name=from-file"))
    assert core.read_namespaced_pod_log(pod, SPACE) == "hi\n"
    with pytest.raises(utils.FailToCreateError, match="AlreadyExists"):
        utils.create_from_yaml(api, str(file))


def test_an_account_of_its_own(running: Lab, api: Any, core: Any) -> None:
    core.create_namespaced_service_account(SPACE, client.V1ServiceAccount(metadata={"name": "watcher"}))
    wanted = client.AuthenticationV1TokenRequest(spec=client.V1TokenRequestSpec(audiences=[], expiration_seconds=600))
    token = core.create_namespaced_service_account_token("watcher", SPACE, wanted).status.token
    configured = client.Configuration()
    configured.host, configured.ssl_ca_cert = api.configuration.host, api.configuration.ssl_ca_cert
    configured.api_key = {"authorization": f"Bearer {token}"}
    rbac = client.RbacAuthorizationV1Api(api)
    rule = client.V1PolicyRule(api_groups=[""], resources=["services"], verbs=["list"])
    rbac.create_namespaced_role(SPACE, client.V1Role(metadata={"name": "watcher"}, rules=[rule]))
    binding = client.V1RoleBinding(
        metadata={"name": "watcher"},
        role_ref={"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "watcher"},
        subjects=[{"kind": "ServiceAccount", "name": "watcher", "namespace": SPACE}],
    )
    rbac.create_namespaced_role_binding(SPACE, binding)
    with client.ApiClient(configured) as limited:
        assert "kubernetes" in names(client.CoreV1Api(limited).list_namespaced_service(SPACE))
        with pytest.raises(client.ApiException) as refused:
            client.CoreV1Api(limited).list_namespaced_pod(SPACE)
        me = client.AuthenticationV1Api(limited).create_self_subject_review({}).status.user_info
    assert refused.value.status == 403
    assert me.username == "system:serviceaccount:default:watcher"
    assert set(me.groups) == {"system:serviceaccounts", "system:serviceaccounts:default", "system:authenticated"}
