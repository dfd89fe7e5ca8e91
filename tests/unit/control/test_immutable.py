"""What an update may not change, and what it may."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from labkit.errors import ApiError

POD = {"containers": [{"name": "a", "image": "i:1"}], "tolerations": [{"key": "a", "operator": "Exists"}]}
TEMPLATE = {"metadata": {"labels": {"app": "a"}}, "spec": POD}
SET = {"selector": {"matchLabels": {"app": "a"}}, "template": TEMPLATE, "serviceName": "a"}
ONCE = {"spec": {**POD, "restartPolicy": "Never"}, "metadata": {"labels": {"app": "a"}}}
JOB = {"template": ONCE, "selector": {"matchLabels": {"app": "a"}}, "manualSelector": True}
CLAIM = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "2Gi"}}}
VOLUME = {"accessModes": ["ReadWriteOnce"], "capacity": {"storage": "1Gi"}, "hostPath": {"path": "/a"}}
REFERENCE = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "a"}


def changed(raw: Any, path: str, value: Any) -> Any:
    """A copy with another value at a path like spec.containers.0.image; None removes."""
    made = copy.deepcopy(raw)
    *steps, last = path.split(".")
    holder = made
    for step in steps:
        holder = holder[int(step)] if isinstance(holder, list) else holder.setdefault(step, {})
    if value is None:
        holder.pop(last)
    else:
        holder[int(last) if isinstance(holder, list) else last] = value
    return made


@pytest.fixture
def stored(admission, make):
    def create(kind, version, **parts):
        cluster = kind in ("PersistentVolume", "ClusterRoleBinding", "PriorityClass", "StorageClass", "IngressClass")
        return admission.create(make(kind, "a", "" if cluster else "default", version, **parts))

    return create


CASES = [
    ("Pod", "v1", {"spec": POD}, "spec.containers.0.image", "i:2", None),
    ("Pod", "v1", {"spec": POD}, "spec.tolerations.0.key", "b",
     "spec.tolerations: Forbidden: existing toleration can not be modified except its tolerationSeconds"),
    ("Pod", "v1", {"spec": {**POD, "activeDeadlineSeconds": 5}}, "spec.activeDeadlineSeconds", 4, None),
    ("Pod", "v1", {"spec": {**POD, "activeDeadlineSeconds": 5}}, "spec.activeDeadlineSeconds", 6,
     "spec.activeDeadlineSeconds: Invalid value: 6: must be less than or equal to previous value"),
    ("Pod", "v1", {"spec": POD}, "spec.containers", [*POD["containers"], {"name": "b", "image": "i:1"}],
     "spec.containers: Forbidden: pod updates may not add or remove containers"),
    ("Pod", "v1", {"spec": POD}, "spec.hostname", "other", "pod updates may not change fields other than"),
    ("StatefulSet", "apps/v1", {"spec": SET}, "spec.replicas", 3, None),
    ("StatefulSet", "apps/v1", {"spec": SET}, "spec.serviceName", "b",
     "spec: Forbidden: updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', "
     "'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are "
     "forbidden"),
    ("Job", "batch/v1", {"spec": JOB}, "spec.parallelism", 3, None),
    ("Job", "batch/v1", {"spec": JOB}, "spec.completions", 3, "spec.completions: Invalid value: 3: field is immutable"),
    ("Job", "batch/v1", {"spec": JOB}, "spec.template.spec.containers.0.image", "i:2", "spec.template: Invalid value:"),
    ("Job", "batch/v1", {"spec": {**JOB, "suspend": True}}, "spec.template.spec.nodeSelector", {"a": "b"}, None),
    ("ConfigMap", "v1", {"data": {"a": "1"}}, "data.a", "2", None),
    ("ConfigMap", "v1", {"data": {"a": "1"}, "immutable": True}, "data.a", "2",
     "data: Forbidden: field is immutable when `immutable` is set"),
    ("ConfigMap", "v1", {"data": {"a": "1"}, "immutable": True}, "immutable", None,
     "immutable: Forbidden: field is immutable when `immutable` is set"),
    ("Secret", "v1", {"data": {"a": "YQ=="}}, "type", "example.com/x",
     'type: Invalid value: "example.com/x": field is immutable'),
    ("PersistentVolumeClaim", "v1", {"spec": CLAIM}, "spec.volumeName", "v", None),
    ("PersistentVolumeClaim", "v1", {"spec": CLAIM}, "spec.accessModes", ["ReadOnlyMany"],
     "spec: Forbidden: spec is immutable after creation except resources.requests"),
    ("PersistentVolume", "v1", {"spec": VOLUME}, "spec.hostPath.path", "/b",
     "spec.persistentvolumesource: Forbidden: spec.persistentvolumesource is immutable after creation"),
    ("ClusterRoleBinding", "rbac.authorization.k8s.io/v1", {"roleRef": REFERENCE}, "roleRef.name", "b",
     "cannot change roleRef"),
    ("PriorityClass", "scheduling.k8s.io/v1", {"value": 1}, "value", 2,
     "value: Forbidden: may not be changed in an update."),
    ("StorageClass", "storage.k8s.io/v1", {"provisioner": "a.b/c"}, "provisioner", "a.b/d",
     "provisioner: Forbidden: updates to provisioner are forbidden."),
    ("IngressClass", "networking.k8s.io/v1", {"spec": {"controller": "a.b/c"}}, "spec.controller", "a.b/d",
     'spec.controller: Invalid value: "a.b/d": field is immutable'),
    ("ControllerRevision", "apps/v1", {"revision": 1, "data": {"a": 1}}, "data.a", 2,
     'data: Invalid value: {"a":2}: field is immutable'),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "version", "parts", "path", "value", "message"), CASES)
def test_updates(admission, stored, kind, version, parts, path, value, message):
    raw = changed(stored(kind, version, **copy.deepcopy(parts)), path, value)
    if message is None:
        assert admission.replace(raw)["metadata"]["resourceVersion"] != raw["metadata"]["resourceVersion"]
        return
    with pytest.raises(ApiError) as error:
        admission.replace(raw)
    assert error.value.details["status"]["code"] == 422
    assert message in error.value.message


def test_a_bound_claim_may_grow_and_not_shrink(admission, store, stored):
    stored("PersistentVolumeClaim", "v1", spec=copy.deepcopy(CLAIM))
    store.update("PersistentVolumeClaim", "default", "a", lambda raw: raw.update(status={"phase": "Bound"}))
    raw = store.get("PersistentVolumeClaim", "default", "a")
    assert admission.replace(changed(raw, "spec.resources.requests.storage", "3Gi"))
    raw = store.get("PersistentVolumeClaim", "default", "a")
    with pytest.raises(ApiError, match="field can not be less than"):
        admission.replace(changed(raw, "spec.resources.requests.storage", "1Gi"))


def test_what_is_being_deleted_gets_no_new_finalizers(admission, store, make):
    admission.create(make("ConfigMap", "a", metadata={"finalizers": ["example.com/x"]}))
    store.delete("ConfigMap", "default", "a")
    raw = store.get("ConfigMap", "default", "a")
    with pytest.raises(ApiError, match=r'found new finalizers \[\]string{"example.com/y"}'):
        admission.replace(changed(raw, "metadata.finalizers", ["example.com/x", "example.com/y"]))


def test_a_gated_pod_may_yet_be_told_where_to_run(admission, stored):
    raw = stored("Pod", "v1", spec={**copy.deepcopy(POD), "schedulingGates": [{"name": "example.com/x"}]})
    raw = admission.replace(changed(raw, "spec.nodeSelector", {"zone": "a"}))
    with pytest.raises(ApiError, match="only deletion is allowed"):
        admission.replace(changed(raw, "spec.schedulingGates", [{"name": "example.com/y"}]))
    raw = admission.replace(changed(raw, "spec.schedulingGates", None))
    with pytest.raises(ApiError, match="may not change fields other than"):
        admission.replace(changed(raw, "spec.nodeSelector", {"zone": "b"}))
