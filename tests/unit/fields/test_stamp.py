"""Who owns what after creates, updates and patches, as a cluster of v1.34 shows it."""

from __future__ import annotations

import pytest
from owned_objects import LATER, NOW, config_map, deployment, owners, service, stored

from labkit.control.fields import custom, stamp
from labkit.control.store import copy


def test_a_created_deployment_is_its_creators_but_for_what_each_has_from_birth():
    made = stamp(None, stored(deployment()), "kubectl-create", NOW)
    (entry,) = made["metadata"]["managedFields"]
    fields = entry.pop("fieldsV1")
    assert entry == {
        "manager": "kubectl-create",
        "operation": "Update",
        "apiVersion": "apps/v1",
        "time": NOW,
        "fieldsType": "FieldsV1",
    }
    container = fields["f:spec"]["f:template"]["f:spec"]["f:containers"]['k:{"name":"web"}']
    assert set(container) == {
        ".", "f:name", "f:image", "f:imagePullPolicy", "f:resources", "f:terminationMessagePath",
        "f:terminationMessagePolicy",
    }  # fmt: skip
    assert fields["f:metadata"] == {"f:labels": {".": {}, "f:app": {}}}
    assert fields["f:spec"]["f:selector"] == {}
    assert fields["f:spec"]["f:strategy"] == {
        "f:rollingUpdate": {".": {}, "f:maxSurge": {}, "f:maxUnavailable": {}},
        "f:type": {},
    }


def test_ports_without_a_protocol_are_tcp():
    made = stamp(None, service({"port": 80}, {"port": 80, "protocol": "UDP"}), "m", NOW)
    ports = made["metadata"]["managedFields"][0]["fieldsV1"]["f:spec"]["f:ports"]
    assert list(ports) == [".", 'k:{"port":80,"protocol":"TCP"}', 'k:{"port":80,"protocol":"UDP"}']


def test_what_nobody_owns_is_left_out():
    raw = config_map()
    raw["metadata"] |= {
        "uid": "u",
        "resourceVersion": "3",
        "generation": 1,
        "creationTimestamp": NOW,
        "generateName": "c",
    }
    assert owners(stamp(None, raw, "m", NOW)) == {"m": [".data", ".metadata.generateName"]}
    bare = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}}
    assert stamp(None, bare, "m", NOW) == bare


def test_an_update_takes_what_it_changes_and_drops_what_it_removes():
    old = stamp(None, config_map(a="1", b="1", c="1"), "one", NOW)
    new = stamp(old, {**old, "data": {"a": "1", "b": "2", "d": "1"}}, "two", LATER)
    assert owners(new) == {"one": [".data", ".data.a"], "two": [".data.b", ".data.d"]}
    assert [e["time"] for e in new["metadata"]["managedFields"]] == [NOW, LATER]
    assert owners(old) == {"one": [".data", ".data.a", ".data.b", ".data.c"]}


def test_an_update_that_changes_nothing_keeps_everything():
    old = stamp(None, config_map(a="1"), "one", NOW)
    assert stamp(old, {**old, "data": {"a": "1"}}, "two", LATER) == old


def test_a_removal_alone_gives_no_entry_and_no_time():
    old = stamp(None, config_map(a="1", b="1"), "one", NOW)
    new = stamp(old, {**old, "data": {"a": "1"}}, "one", LATER)
    assert owners(new) == {"one": [".data", ".data.a"]}
    assert new["metadata"]["managedFields"][0]["time"] == NOW


def test_an_item_that_is_gone_is_nobodys():
    old = stamp(None, stored(service({"port": 80}, {"port": 81})), "one", NOW)
    new = stamp(old, {**old, "spec": {**old["spec"], "ports": old["spec"]["ports"][:1]}}, "two", LATER)
    assert not any("81" in path for path in owners(new)["one"])
    assert any("80" in path for path in owners(new)["one"])


def test_an_atomic_value_is_owned_as_a_whole():
    old = stamp(
        None, stored({**service({"port": 80}), "spec": {"ports": [{"port": 80}], "selector": {"app": "a"}}}), "one", NOW
    )
    new = copy(old)
    new["spec"]["selector"]["more"] = "b"
    assert owners(stamp(old, new, "two", LATER))["two"] == [".spec.selector"]


def test_the_status_is_owned_through_its_subresource_only():
    old = stamp(None, {**stored(deployment()), "status": {"replicas": 1}}, "one", NOW)
    assert not any(path.startswith(".status") for path in owners(old)["one"])
    new = stamp(old, {**old, "status": {"replicas": 2}}, "kube-controller-manager", LATER, subresource="status")
    assert owners(new)["kube-controller-manager/status"] == [".status.replicas"]
    entry = next(e for e in new["metadata"]["managedFields"] if "subresource" in e)
    assert entry["subresource"] == "status"


def test_a_scale_has_an_entry_of_its_own():
    old = stamp(None, stored(deployment()), "kubectl", NOW)
    new = {**old, "spec": {**old["spec"], "replicas": 7}}
    found = owners(stamp(old, new, "kubectl", LATER, subresource="scale"))
    assert found["kubectl/scale"] == [".spec.replicas"]
    assert ".spec.replicas" not in found["kubectl"]


def test_objects_that_nobody_manages_stay_so():
    old = config_map(a="1")
    assert "managedFields" not in stamp(old, config_map(a="2"), "one", NOW)["metadata"]


def _given(entries):
    old = stamp(None, config_map(a="1"), "one", NOW)
    return old, {**old, "metadata": {**old["metadata"], "managedFields": entries}}


def test_a_list_with_an_empty_entry_forgets_all_managers():
    old, new = _given([{}])
    assert "managedFields" not in stamp(old, new, "two", LATER)["metadata"]


@pytest.mark.parametrize(
    "entries",
    [
        [],
        None,
        "x",
        [1],
        [{}, {}],
        [{"manager": "m", "operation": "Update"}],
        [{"manager": "m", "operation": "Delete", "apiVersion": "v1", "fieldsV1": {"f:data": {}}}],
        [{"manager": "m", "operation": "Update", "apiVersion": "v1", "fieldsV1": {"data": {}}}],
        [{"manager": 1, "operation": "Update", "apiVersion": "v1", "fieldsV1": {}}],
    ],
)
def test_what_makes_no_sense_in_there_does_not_count(entries):
    old, new = _given(entries)
    assert stamp(old, new, "two", LATER) == old


def test_a_client_may_write_the_field():
    """As kubectl does when it moves an object from client-side apply to server-side apply."""
    old, new = _given(
        [
            {
                "manager": "kubectl",
                "operation": "Apply",
                "apiVersion": "v1",
                "fieldsType": "FieldsV1",
                "fieldsV1": {"f:data": {"f:a": {}}},
            }
        ]
    )
    assert owners(stamp(old, new, "two", LATER)) == {"kubectl": [".data.a"]}


def test_not_through_a_subresource():
    old, new = _given([{}])
    assert stamp(old, new, "two", LATER, subresource="status") == old


def test_the_eleventh_updater_makes_the_oldest_two_ancient():
    raw = stamp(None, config_map(k0="1"), "z", "2025-01-01T00:00:00Z")
    for i in range(1, 11):
        raw = stamp(raw, {**raw, "data": {**raw["data"], f"k{i}": "1"}}, f"m{i}", f"2025-01-01T00:00:{i:02}Z")
    found = owners(raw)
    assert len(found) == 10
    assert set(found["ancient-changes"]) == {".data", ".data.k0", ".data.k1"}
    assert (
        next(e["time"] for e in raw["metadata"]["managedFields"] if e["manager"] == "ancient-changes")
        == "2025-01-01T00:00:01Z"
    )
    assert found["m10"] == [".data.k10"]


def test_a_custom_kind_goes_by_its_schema_and_one_without_by_its_looks():
    spec = {"whole": [1], "hosts": [{"host": "a", "port": 1}], "tags": ["x"], "free": {"a": {"b": 1}}}
    raw = {"apiVersion": "e.io/v1", "kind": "Gate", "metadata": {"name": "g", "labels": {"a": "b"}}, "spec": spec}
    hosts = {
        "type": "array",
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["host", "scheme"],
        "items": {
            "type": "object",
            "properties": {
                "host": {"type": "string"},
                "scheme": {"type": "string", "default": "http"},
                "port": {"x-kubernetes-int-or-string": True},
            },
        },
    }
    properties = {
        "whole": {"type": "array", "items": {"type": "integer"}},
        "hosts": hosts,
        "tags": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}},
        "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
    }
    schema = {"type": "object", "properties": {"spec": {"type": "object", "properties": properties}}}
    assert owners(stamp(None, raw, "m", NOW, types=custom(schema)))["m"] == [
        ".spec",
        ".metadata.labels",
        ".metadata.labels.a",
        ".spec.free",
        ".spec.hosts",
        ".spec.tags",
        ".spec.whole",
        ".spec.free.a",
        ".spec.free.a.b",
        '.spec.hosts[host="a",scheme="http"]',
        '.spec.hosts[host="a",scheme="http"].host',
        '.spec.hosts[host="a",scheme="http"].port',
        '.spec.tags[="x"]',
    ]
    deduced = owners(stamp(None, raw, "m", NOW, types=custom(None)))["m"]
    assert ".spec.free.a.b" in deduced
    assert ".spec.hosts" in deduced
    assert not any("[" in path for path in deduced)


def test_items_with_the_same_key_are_owned_together():
    raw = deployment()
    env = [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]
    raw["spec"]["template"]["spec"]["containers"][0]["env"] = env
    old = stamp(None, raw, "one", NOW)
    new = copy(old)
    new["spec"]["template"]["spec"]["containers"][0]["env"][1]["value"] = "3"
    prefix = '.spec.template.spec.containers[name="web"].env'
    assert owners(stamp(old, new, "two", LATER))["two"] == [f'{prefix}[name="A"]']


@pytest.mark.parametrize("odd", [None, 3, [], {"x": 1}, [None], [[1]], [{"name": {"a": 1}}], [{}]])
def test_odd_values_raise_nothing(odd):
    """The strict check comes before; but what is stored without one must not break a write."""
    raw = deployment()
    raw["spec"]["template"]["spec"]["containers"] = odd
    old = stamp(None, raw, "one", NOW)
    stamp(old, {**deployment(), "metadata": old["metadata"]}, "two", LATER)
