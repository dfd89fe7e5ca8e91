"""kubectl apply: all or nothing, created, configured, unchanged."""

from __future__ import annotations

import json

import pytest

from labkit.api.problem import Problem
from labkit.control.admission import Options
from labkit.control.apply import LAST_APPLIED, Way, apply
from labkit.control.fields import server_side_apply
from labkit.control.store import copy
from labkit.errors import ApiError


def deployment(name="web", image="nginx:1", selector=None, **spec):
    labels = selector or {"app": name}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "web", "image": image}]}}
    spec = {"selector": {"matchLabels": labels}, "template": template, **spec}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": spec}


def results(admission, *objects):
    return [entry["result"] for entry in apply(admission, objects)]


def test_created_unchanged_configured(admission, events):
    web = deployment()
    assert apply(admission, [web]) == [
        {"kind": "Deployment", "namespace": "default", "name": "web", "result": "created"}
    ]
    assert results(admission, web) == ["unchanged"]
    assert events == [("ADDED", "Deployment/web")]
    assert results(admission, deployment(image="nginx:2")) == ["configured"]
    stored = admission.store.get("Deployment", "default", "web")
    assert stored["spec"]["template"]["spec"]["containers"][0]["image"] == "nginx:2"
    assert stored["metadata"]["generation"] == 2
    assert stored["spec"]["strategy"]["rollingUpdate"] == {"maxSurge": "25%", "maxUnavailable": "25%"}


def test_given_objects_are_left_alone(admission):
    web = deployment()
    before = copy(web)
    apply(admission, [web])
    assert web == before


def test_annotation_is_as_kubectl_writes_it(admission, make):
    apply(admission, [make("ConfigMap", "c", data={"b": "2", "a": "1"})])
    text = admission.store.get("ConfigMap", "default", "c")["metadata"]["annotations"][LAST_APPLIED]
    assert text == (
        '{"apiVersion":"v1","data":{"a":"1","b":"2"},"kind":"ConfigMap",'
        '"metadata":{"annotations":{},"name":"c","namespace":"default"}}\n'
    )


def test_removed_fields_go_and_others_work_stays(admission, make):
    store = admission.store
    apply(admission, [make("ConfigMap", "c", data={"a": "1", "b": "2"})])
    store.update("ConfigMap", "default", "c", lambda c: c["data"].update(other="3"))
    assert results(admission, make("ConfigMap", "c", data={"a": "1"})) == ["configured"]
    stored = store.get("ConfigMap", "default", "c")
    assert stored["data"] == {"a": "1", "other": "3"}
    assert json.loads(stored["metadata"]["annotations"][LAST_APPLIED])["data"] == {"a": "1"}


def test_object_made_without_apply(admission, make):
    admission.create(make("ConfigMap", "c", data={"a": "1"}))
    assert results(admission, make("ConfigMap", "c", data={"b": "2"})) == ["configured"]
    assert admission.store.get("ConfigMap", "default", "c")["data"] == {"a": "1", "b": "2"}


def test_namespace_after_its_content(admission, make, events):
    content = make("ConfigMap", "c", namespace="shop", data={})
    applied = apply(admission, [content, make("Namespace", "shop", namespace="")])
    assert [(r["kind"], r["result"]) for r in applied] == [("ConfigMap", "created"), ("Namespace", "created")]
    assert [name for _, name in events] == ["Namespace/shop", "ConfigMap/c"]


def test_all_or_nothing(admission, make, events):
    before = admission.store.version
    bad = deployment("bad")
    bad["spec"]["template"]["metadata"]["labels"] = {"app": "other"}
    objects = [make("ConfigMap", "c"), bad, make("ConfigMap", "d", namespace="nowhere")]
    with pytest.raises(ApiError) as error:
        apply(admission, objects)
    assert (admission.store.version, events) == (before, [])
    refused = error.value.details["refused"]
    assert [entry["index"] for entry in refused] == [1, 2]
    assert [entry["status"]["reason"] for entry in refused] == ["Invalid", "NotFound"]
    assert refused[0]["problems"][0]["field"] == "spec.template.metadata.labels"
    assert error.value.details["status"] == refused[0]["status"]
    assert error.value.message.splitlines()[0] == "nothing was applied: 2 of 3 objects were refused"
    assert error.value.message.splitlines()[2] == 'namespaces "nowhere" not found'


def test_immutable_selector(admission):
    apply(admission, [deployment()])
    with pytest.raises(ApiError) as error:
        apply(admission, [deployment(selector={"app": "other"})])
    assert error.value.message == (
        'Deployment.apps "web" is invalid: spec.selector: Invalid value: {"matchLabels":{"app":"other"}}: '
        "field is immutable"
    )
    status = error.value.details["status"]
    assert (status["code"], status["reason"]) == (422, "Invalid")
    assert status["details"]["causes"] == [
        {
            "reason": "FieldValueInvalid",
            "message": 'Invalid value: {"matchLabels":{"app":"other"}}: field is immutable',
            "field": "spec.selector",
        }
    ]
    assert (status["details"]["kind"], status["details"]["group"]) == ("Deployment", "apps")


def test_immutable_pod(admission, make):
    def pod(image="nginx:1", policy="Always"):
        return make("Pod", "a", spec={"containers": [{"name": "c", "image": image}], "restartPolicy": policy})

    apply(admission, [pod()])
    assert results(admission, pod(image="nginx:2")) == ["configured"]
    with pytest.raises(ApiError, match=r'Pod "a" is invalid: spec: Forbidden: pod updates may not change fields other'):
        apply(admission, [pod(image="nginx:2", policy="Never")])


def test_wrong_shape_is_a_bad_request(admission, make):
    web = deployment()
    web["spec"]["replica"] = 3
    with pytest.raises(ApiError) as error:
        apply(admission, [web])
    assert error.value.message == (
        'Deployment in version "v1" cannot be handled as a Deployment: '
        'strict decoding error: unknown field "spec.replica"'
    )
    assert error.value.details["status"]["code"] == 400
    assert error.value.details["refused"][0]["problems"][0]["remedy"] == 'Did you mean "replicas"?'


@pytest.mark.parametrize("metadata", [None, 5, [], {"name": 7}, {"name": None}, {}])
def test_garbage_is_refused_not_crashed_on(admission, metadata):
    with pytest.raises(ApiError):
        apply(admission, [{"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}])


def test_generated_name_is_refused(admission):
    unnamed = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"generateName": "c-"}}
    with pytest.raises(ApiError, match="cannot use generate name with apply"):
        apply(admission, [unnamed])


def test_status_in_a_file_is_ignored(admission, make):
    apply(admission, [{**deployment(), "status": {"replicas": 9}}])
    assert "status" not in admission.store.get("Deployment", "default", "web")


def test_plugins_run_on_defaulted_objects_and_report_together(admission, make):
    seen = []

    def mutate(new, old):
        seen.append((new["metadata"]["namespace"], old is None))
        new.setdefault("data", {})["added"] = "yes"
        return ()

    admission.mutate("ConfigMap", mutate)
    admission.validate("ConfigMap", lambda new, old: [Problem("data.x", "Forbidden: no")] if "x" in new["data"] else ())
    assert results(admission, make("ConfigMap", "c", namespace="")) == ["created"]
    assert admission.store.get("ConfigMap", "default", "c")["data"] == {"added": "yes"}
    assert results(admission, make("ConfigMap", "c", namespace="")) == ["unchanged"]
    assert seen == [("default", True), ("default", False)]
    with pytest.raises(ApiError, match=r'ConfigMap "d" is invalid: data.x: Forbidden: no'):
        apply(admission, [make("ConfigMap", "d", data={"x": "1"})])


def test_who_applied_owns_what_was_applied_as_with_kubectl(admission, make):
    apply(admission, [make("ConfigMap", "c", data={"a": "1", "b": "1"})])
    apply(admission, [make("ConfigMap", "c", data={"a": "2"})])
    (entry,) = admission.store.get("ConfigMap", "default", "c")["metadata"]["managedFields"]
    assert (entry["manager"], entry["operation"]) == ("kubectl-client-side-apply", "Update")
    assert set(entry["fieldsV1"]["f:data"]) == {".", "f:a"}


def test_an_apply_on_the_server_goes_on_from_there(admission, make):
    """As `kubectl apply --server-side` does with what `kubectl apply` made: without a conflict."""
    apply(admission, [make("ConfigMap", "c", data={"a": "1"})])
    live = admission.store.get("ConfigMap", "default", "c")
    made = server_side_apply(live, make("ConfigMap", "c", data={"a": "2"}), "kubectl", False, "2025-01-31T12:00:00Z")
    assert made["data"] == {"a": "2"}


def test_server_side_apply_reports_itself_and_names_who_owns_a_field(admission):
    way = Way(namespace="kube-system", server_side=True)
    given = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"x": "1"}}
    assert apply(admission, [given], way) == [
        {"kind": "ConfigMap", "namespace": "kube-system", "name": "a", "result": "serverside-applied"}
    ]
    stored = admission.store.get("ConfigMap", "kube-system", "a")
    (owner,) = stored["metadata"]["managedFields"]
    assert (owner["manager"], owner["operation"]) == ("kubectl", "Apply")
    assert "annotations" not in stored["metadata"]
    apply(admission, [given], way)
    assert admission.store.get("ConfigMap", "kube-system", "a") is stored
    admission.replace({**stored, "data": {"x": "2"}}, Options(manager="eve"))
    with pytest.raises(ApiError, match=r'conflict with "eve" using v1.*\.data\.x') as refused:
        apply(admission, [given], way)
    assert refused.value.details["status"]["details"]["causes"][0]["reason"] == "FieldManagerConflict"
    apply(admission, [given], Way("kube-system", server_side=True, force=True))
    assert admission.store.get("ConfigMap", "kube-system", "a")["data"] == {"x": "1"}
