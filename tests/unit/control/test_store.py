"""The store: versions, events, refusals, deletion, transactions."""

from __future__ import annotations

import pytest

from labkit.api.objects import Pod, Service
from labkit.control.store import Store, copy, key_of
from labkit.errors import ApiError

SPEC = {"ports": [{"port": 80}]}


def status(error: pytest.ExceptionInfo[ApiError]) -> dict:
    return error.value.details["status"]


def test_create_completes_metadata(store, make):
    made = store.create(make("Service", "web", spec=SPEC))
    metadata = made["metadata"]
    assert metadata["creationTimestamp"] == "2025-01-31T12:00:00Z"
    assert metadata["resourceVersion"] == store.version
    assert len(metadata["uid"]) == 36 and metadata["uid"][14] == "4"
    assert "generation" not in metadata  # Services have none
    assert store.get("Service", "default", "web") is made


def test_input_is_copied(store, make):
    given_object = make("Service", "web", spec=copy(SPEC))
    made = store.create(given_object)
    given_object["spec"]["ports"].append({"port": 81})
    assert made["spec"] == SPEC


def test_refusals_in_kubernetes_words(store, make):
    store.create(make("Service", "web", spec=SPEC))
    with pytest.raises(ApiError) as error:
        store.create(make("Service", "web", spec=SPEC))
    assert status(error)["message"] == 'services "web" already exists'
    assert (status(error)["reason"], status(error)["code"]) == ("AlreadyExists", 409)
    with pytest.raises(ApiError) as error:
        store.get("Deployment", "default", "none")
    assert status(error) == {
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": 'deployments.apps "none" not found', "reason": "NotFound",
        "details": {"name": "none", "group": "apps", "kind": "deployments"}, "code": 404,
    }  # fmt: skip
    with pytest.raises(ApiError) as error:
        store.create(make("Service", "web", namespace="nowhere", spec=SPEC))
    assert status(error)["message"] == 'namespaces "nowhere" not found'


def test_replace_checks_version(store, make):
    first = store.create(make("Service", "web", spec=SPEC))
    second = store.replace({**first, "spec": {"ports": [{"port": 81}]}})
    assert int(second["metadata"]["resourceVersion"]) > int(first["metadata"]["resourceVersion"])
    with pytest.raises(ApiError) as error:
        store.replace({**first, "spec": {"ports": [{"port": 82}]}})
    assert status(error)["reason"] == "Conflict"
    assert "the object has been modified; please apply your changes to the latest version" in error.value.message
    unconditional = make("Service", "web", spec={"ports": [{"port": 83}]})
    assert store.replace(unconditional)["spec"]["ports"][0]["port"] == 83


def test_equal_value_is_no_event(store, make, events):
    first = store.create(make("Service", "web", spec=SPEC))
    version = store.version
    assert store.replace(copy(first)) is first
    assert store.replace(make("Service", "web", spec=SPEC)) is first
    assert store.version == version
    assert events == [("ADDED", "Service/web")]


def test_status_and_spec_are_written_apart(store, make):
    pod = store.create(make("Pod", "a", spec={"containers": []}, status={"phase": "Pending"}))
    assert pod["metadata"]["generation"] == 1
    running = store.replace_status({**pod, "spec": {"other": 1}, "status": {"phase": "Running"}})
    assert running["spec"] == {"containers": []}
    assert (running["status"], running["metadata"]["generation"]) == ({"phase": "Running"}, 1)
    changed = store.replace({**running, "spec": {"containers": [{"name": "c"}]}, "status": {"phase": "Failed"}})
    assert changed["status"] == {"phase": "Running"}
    assert changed["metadata"]["generation"] == 2


def test_labels_do_not_raise_generation(store, make):
    store.create(make("Pod", "a", spec={"containers": []}))
    changed = store.update("Pod", "default", "a", lambda pod: pod["metadata"].update(labels={"a": "b"}))
    assert changed["metadata"]["generation"] == 1


def test_what_a_generation_counts_depends_on_the_kind(store, make):
    def rises(made, change):
        before = store.create(made)
        assert before["metadata"]["generation"] == 1
        return store.update(*key_of(before), change)["metadata"]["generation"] == 2

    group = "discovery.k8s.io/v1"
    slices = [make("EndpointSlice", name, version=group, addressType="IPv4", endpoints=[]) for name in "abc"]
    assert rises(slices[0], lambda raw: raw.update(endpoints=[{"addresses": ["10.0.0.1"]}]))
    assert rises(slices[1], lambda raw: raw["metadata"].update(labels={"a": "b"}))
    assert not rises(slices[2], lambda raw: raw["metadata"].update(annotations={"a": "b"}))
    urgent = make("PriorityClass", "urgent", "", "scheduling.k8s.io/v1", value=7)
    assert not rises(urgent, lambda raw: raw.update(description="soon"))
    plain = make("Recipe", "soup", version="kitchen.example/v1", steps=["boil"])
    assert rises(plain, lambda raw: raw.update(steps=["boil", "stir"]))
    version = "apiextensions.k8s.io/v1"
    assert rises(make("CustomResourceDefinition", "a.b.c", "", version), lambda raw: raw.update(spec={"group": "b.c"}))


def test_client_cannot_change_identity(store, make):
    first = store.create(make("Service", "web", spec=SPEC))
    forged = {**first, "metadata": {**first["metadata"], "uid": "x", "creationTimestamp": "y", "generation": 7}}
    assert store.replace(forged) is first


def test_list_is_sorted_and_views_are_cached(store, make):
    for name in ("b", "a"):
        store.create(make("Service", name, spec=SPEC))
    store.create(make("Service", "c", namespace="kube-system", spec=SPEC))
    assert [s.key for s in store.views(Service)] == ["default/a", "default/b", "kube-system/c"]
    assert [s.name for s in store.views(Service, "kube-system")] == ["c"]
    view = store.view(Service, "default", "a")
    assert view is store.view(Service, "default", "a")
    store.update("Service", "default", "a", lambda s: s["spec"].update(type="NodePort"))
    assert store.view(Service, "default", "a").spec.type == "NodePort"
    assert store.view(Service, "default", "none") is None


def test_generated_names(store, make):
    unnamed = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"generateName": "web-", "namespace": "default"},
        "spec": {},
    }
    names = [store.create(unnamed)["metadata"]["name"] for _ in range(3)]
    assert len(set(names)) == 3
    assert all(name.startswith("web-") and len(name) == 9 for name in names)
    again = Store(seed=1)
    again.create(make("Namespace", "default", namespace=""))
    assert [again.create(unnamed)["metadata"]["name"] for _ in range(3)] == names


def test_initial_events_then_changes(store, make):
    store.create(make("Service", "web", spec=SPEC))
    heard = []
    watch = store.watch({"Service"}, lambda e: heard.append((e.type, e.old is None)))
    store.create(make("Pod", "a", spec={}))
    store.update("Service", "default", "web", lambda s: s["spec"].update(type="NodePort"))
    store.delete("Service", "default", "web")
    assert heard == [("ADDED", True), ("MODIFIED", False), ("DELETED", False)]
    watch.stop()
    store.create(make("Service", "web", spec=SPEC))
    assert len(heard) == 3


def test_writes_of_a_callback_come_after(store, make):
    """Both watchers hear of the first change before either hears of the second."""
    heard, inside = [], []

    def writer(event):
        assert not inside  # never called from within itself
        inside.append(event)
        heard.append(("writer", event.object["metadata"]["name"]))
        if event.object["metadata"]["name"] == "a":
            store.create(make("Service", "b", spec=SPEC))
        inside.clear()

    store.watch({"Service"}, writer)
    store.watch({"Service"}, lambda event: heard.append(("reader", event.object["metadata"]["name"])))
    store.create(make("Service", "a", spec=SPEC))
    assert heard == [("writer", "a"), ("reader", "a"), ("writer", "b"), ("reader", "b")]


def test_pod_on_a_node_is_terminating_until_finalized(store, make, events):
    store.create(make("Pod", "a", spec={"nodeName": "node-1", "terminationGracePeriodSeconds": 5}))
    pod = store.delete("Pod", "default", "a")
    assert pod["metadata"]["deletionTimestamp"] == "2025-01-31T12:00:05Z"
    assert pod["metadata"]["deletionGracePeriodSeconds"] == 5
    assert store.view(Pod, "default", "a").terminating
    assert store.delete("Pod", "default", "a") is pod  # a second deletion changes nothing
    sooner = store.delete("Pod", "default", "a", grace=1)
    assert sooner["metadata"]["deletionTimestamp"] == "2025-01-31T12:00:01Z"
    store.finalize("Pod", "default", "a")
    assert store.find("Pod", "default", "a") is None
    assert [kind for kind, _ in events] == ["ADDED", "MODIFIED", "MODIFIED", "DELETED"]


@pytest.mark.parametrize(
    ("spec", "phase", "grace"),
    [({}, "Pending", None), ({"nodeName": "n"}, "Running", 0), ({"nodeName": "n"}, "Succeeded", None)],
)
def test_other_pods_go_at_once(store, make, spec, phase, grace):
    store.create(make("Pod", "a", spec=spec, status={"phase": phase}))
    store.delete("Pod", "default", "a", grace=grace)
    assert store.find("Pod", "default", "a") is None


def test_finalizer_holds_an_object(store, make):
    store.create(make("Service", "web", spec=SPEC, metadata={"finalizers": ["lab/x"]}))
    store.delete("Service", "default", "web")
    held = store.get("Service", "default", "web")
    assert "deletionTimestamp" in held["metadata"]
    store.update("Service", "default", "web", lambda s: s["metadata"].pop("finalizers"))
    assert store.find("Service", "default", "web") is None


def test_finalizer_holds_a_finalized_pod(store, make):
    store.create(make("Pod", "a", spec={"nodeName": "n"}, metadata={"finalizers": ["lab/x"]}))
    store.delete("Pod", "default", "a")
    store.finalize("Pod", "default", "a")
    assert store.find("Pod", "default", "a") is not None
    store.update("Pod", "default", "a", lambda pod: pod["metadata"].update(finalizers=[]))
    assert store.find("Pod", "default", "a") is None


def test_delete_checks_uid_and_lasting_namespaces(store, make):
    store.create(make("Service", "web", spec=SPEC))
    with pytest.raises(ApiError) as error:
        store.delete("Service", "default", "web", uid="other")
    assert status(error)["reason"] == "Conflict"
    with pytest.raises(ApiError) as error:
        store.delete("Namespace", "", "default")
    assert error.value.message == 'namespaces "default" is forbidden: this namespace may not be deleted'
    assert status(error)["code"] == 403


def test_terminating_namespace_takes_nothing_new(store, make):
    store.create(make("Namespace", "shop", namespace=""))
    assert store.delete("Namespace", "", "shop")["status"] == {"phase": "Terminating"}
    with pytest.raises(ApiError) as error:
        store.create(make("Pod", "a", namespace="shop", spec={}))
    why = "unable to create new content in namespace shop because it is being terminated"
    assert error.value.message == f'pods "a" is forbidden: {why}'
    assert status(error)["details"]["causes"][0]["reason"] == "NamespaceTerminating"


def test_transaction_is_all_or_nothing(store, make, events):
    kept = store.create(make("Service", "kept", spec=SPEC))
    before = store.version, dict(store.chance.drawn)
    with pytest.raises(RuntimeError), store.transaction():
        store.create(make("Service", "new", spec=SPEC, metadata={"ownerReferences": [{"uid": "u"}]}))
        store.update("Service", "default", "kept", lambda s: s["spec"].update(type="NodePort"))
        store.delete("Service", "default", "kept")
        assert store.find("Service", "default", "kept") is None
        raise RuntimeError
    assert store.list("Service") == (kept,)
    assert store.indexed("owner", "u") == ()
    assert (store.version, dict(store.chance.drawn)) == before
    assert store.created(kept)
    with store.transaction():
        store.create(make("Service", "new", spec=SPEC))
        assert events == [("ADDED", "Service/kept")]
    assert events == [("ADDED", "Service/kept"), ("ADDED", "Service/new")]


def test_an_index_of_some_kinds_has_no_others(store, make):
    def named(index):
        return [raw["kind"] for raw in store.indexed(index, "a")]

    def values(raw):
        return [raw["metadata"]["name"]]

    store.add_index("before", values, "Service", "Secret")
    for kind in ("ConfigMap", "Secret", "Service"):
        store.create(make(kind, "a"))
    store.add_index("after", values, "Service", "Secret")
    store.add_index("all", values)
    assert named("before") == named("after") == ["Secret", "Service"]
    assert named("all") == ["ConfigMap", "Secret", "Service"]
    store.delete("Secret", "default", "a")
    store.create(make("ConfigMap", "b"))
    assert named("before") == named("after") == ["Service"]


def test_indexes_follow(store, make):
    store.add_index("type", lambda raw: [raw.get("spec", {}).get("type", "")])
    store.create(make("Service", "b", spec={"type": "NodePort"}))
    store.create(make("Service", "a", spec={"type": "NodePort"}))
    assert [raw["metadata"]["name"] for raw in store.indexed("type", "NodePort")] == ["a", "b"]
    store.update("Service", "default", "a", lambda s: s["spec"].update(type="ClusterIP"))
    store.delete("Service", "default", "b")
    assert store.indexed("type", "NodePort") == ()
    assert [raw["metadata"]["name"] for raw in store.indexed("namespace", "default") if raw["kind"] == "Service"] == [
        "a"
    ]
