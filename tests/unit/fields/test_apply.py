"""Server-side apply, against the words and the doings of a cluster of v1.34."""

from __future__ import annotations

import json

import pytest
from owned_objects import LATER, NOW, config_map, deployment, owners, service, stored

from labkit.control.fields import custom, server_side_apply, stamp
from labkit.control.store import copy
from labkit.errors import ApiError


def apply(live, applied, manager="one", force=False, now=NOW, **more):
    return server_side_apply(live, applied, manager, force, now, **more)


def refused(*args, **more):
    with pytest.raises(ApiError) as caught:
        apply(*args, **more)
    return caught.value.details["status"]


def test_a_new_object_is_what_was_applied():
    made = apply(None, deployment())
    assert {**made, "metadata": {k: v for k, v in made["metadata"].items() if k != "managedFields"}} == deployment()
    (entry,) = made["metadata"]["managedFields"]
    assert (entry["manager"], entry["operation"], entry["apiVersion"], entry["time"]) == (
        "one",
        "Apply",
        "apps/v1",
        NOW,
    )
    container = {'k:{"name":"web"}': {".": {}, "f:name": {}, "f:image": {}}}
    assert entry["fieldsV1"] == {
        "f:metadata": {"f:labels": {"f:app": {}}},
        "f:spec": {
            "f:replicas": {},
            "f:selector": {},
            "f:template": {"f:metadata": {"f:labels": {"f:app": {}}}, "f:spec": {"f:containers": container}},
        },
    }


def test_the_same_again_changes_nothing_whatever_the_server_added():
    live = stored(apply(None, deployment()))
    assert apply(live, deployment(), now=LATER) is live


def test_what_is_no_longer_applied_goes():
    live = stored(apply(None, deployment(tier="front")))
    made = apply(live, deployment(replicas=None))
    assert "replicas" not in made["spec"]
    assert made["metadata"]["labels"] == {"app": "web"}
    assert made["spec"]["strategy"]["type"] == "RollingUpdate"


def test_one_conflict_has_its_own_words():
    live = stamp(None, stored(deployment()), "kubectl-create", NOW)
    status = refused(live, deployment(replicas=5))
    assert (
        status["message"]
        == 'Apply failed with 1 conflict: conflict with "kubectl-create" using apps/v1: .spec.replicas'
    )
    assert (status["code"], status["reason"]) == (409, "Conflict")
    cause = {
        "reason": "FieldManagerConflict",
        "message": 'conflict with "kubectl-create" using apps/v1',
        "field": ".spec.replicas",
    }
    assert status["details"] == {"causes": [cause]}


def test_several_conflicts_are_listed_by_manager():
    live = stamp(None, stored(deployment(image="a")), "zoe", NOW)
    live = stamp(live, {**live, "spec": {**live["spec"], "replicas": 9}}, "hpa", LATER, subresource="scale")
    live = apply(live, {**deployment(replicas=None, image="a")}, "applier")
    status = refused(live, deployment(replicas=5, image="b"), "me")
    image = '.spec.template.spec.containers[name="web"].image'
    assert status["message"] == (
        'Apply failed with 3 conflicts: conflicts with "applier":\n'
        f"- {image}\n"
        'conflicts with "hpa" with subresource "scale" using apps/v1:\n'
        "- .spec.replicas\n"
        'conflicts with "zoe" using apps/v1:\n'
        f"- {image}"
    )


def test_force_takes_the_fields_from_the_others():
    live = apply(None, config_map(a="1", b="1"), "one")
    made = apply(live, config_map(a="2"), "two", force=True)
    assert made["data"] == {"a": "2", "b": "1"}
    assert owners(made) == {"one": [".data.b"], "two": [".data.a"]}


def test_equal_values_are_shared_and_go_with_the_last_owner():
    live = apply(apply(None, config_map(a="1"), "one"), config_map(a="1"), "two")
    assert owners(live) == {"one": [".data.a"], "two": [".data.a"]}
    live = apply(live, config_map(), "one")
    assert live["data"] == {"a": "1"}
    live = apply(live, config_map(), "two")
    assert live.get("data") in (None, {})


def test_what_an_updater_owns_stays_when_its_applier_forgets_it():
    live = apply(None, config_map(a="1"), "one")
    live = stamp(live, {**live, "data": {"a": "2"}}, "two", LATER)
    assert apply(live, config_map(), "one")["data"] == {"a": "2"}


def test_items_of_a_list_are_owned_apart_and_keep_their_order():
    live = apply(None, service({"port": 80, "name": "a"}, {"port": 81, "name": "b"}), "one")
    live = apply(live, service({"port": 82, "name": "c", "protocol": "TCP"}), "two")
    assert [p["port"] for p in live["spec"]["ports"]] == [80, 81, 82]
    live = apply(live, service({"port": 81, "name": "b"}), "one")
    assert [p["port"] for p in live["spec"]["ports"]] == [81, 82]
    assert [
        p["port"] for p in apply(live, service({"port": 83}, {"port": 81, "name": "b"}), "one")["spec"]["ports"]
    ] == [83, 81, 82]


@pytest.mark.parametrize(
    ("there", "applied", "merged"),
    [
        ("axb", "ba", "xba"),
        ("abc", "", "abc"),
        ("", "ba", "ba"),
        ("abx", "cab", "cabx"),
        ("xaby", "bca", "xbyca"),
        ("axbycz", "cab", "xyczab"),
    ],
)
def test_where_the_items_of_others_stay(there, applied, merged):
    """In the order of structured-merge-diff: those of others before the next that both have."""
    live = service(*({"port": ord(c), "name": c} for c in there))
    wanted = service(*({"port": ord(c), "name": c} for c in applied))
    assert "".join(port["name"] for port in apply(live, wanted)["spec"]["ports"]) == merged


def test_the_protocol_is_tcp_where_it_is_not_said():
    live = stored(apply(None, service({"port": 80}), "one"))
    assert live["spec"]["ports"][0]["protocol"] == "TCP"
    assert apply(live, service({"port": 80}), "one") is live


def test_an_object_from_before_belongs_to_before_first_apply():
    made = apply(stored(config_map(a="1", b="1")), config_map(a="1"))
    assert owners(made) == {"one": [".data.a"], "before-first-apply": [".data", ".data.a", ".data.b"]}
    status = refused(config_map(a="1"), config_map(a="2"))
    assert status["details"]["causes"][0]["message"] == 'conflict with "before-first-apply" using v1'


def test_a_null_removes():
    live = stamp(None, config_map(a="1", b="2"), "one", NOW)
    made = apply(live, {**config_map(), "data": {"a": None}}, "two", force=True)
    assert made["data"] == {"b": "2"}


def test_the_status_has_appliers_of_its_own():
    live = {**stored(apply(None, {**deployment(), "status": {"replicas": 9}})), "status": {"replicas": 1}}
    assert ".status.replicas" not in owners(live)["one"]
    wanted = {**deployment(replicas=99), "status": {"replicas": 2}}
    made = apply(live, wanted, subresource="status")
    assert (made["status"], made["spec"]["replicas"]) == ({"replicas": 2}, 3)
    assert owners(made)["one/status"] == [".status.replicas"]


ANNOTATION = "kubectl.kubernetes.io/last-applied-configuration"


def client_side(raw):
    text = json.dumps(raw)
    annotated = copy(raw)
    annotated["metadata"]["annotations"] = {ANNOTATION: text}
    return stamp(None, stored(annotated), "kubectl-client-side-apply", NOW)


def test_kubectl_moves_from_client_side_apply_without_a_conflict():
    live = client_side(deployment())
    made = apply(live, deployment(image="newer"), "kubectl")
    assert made["spec"]["template"]["spec"]["containers"][0]["image"] == "newer"
    said = json.loads(made["metadata"]["annotations"][ANNOTATION])
    assert said["spec"]["template"]["spec"]["containers"][0]["image"] == "newer"
    refused(live, deployment(image="newer"), "somebody")


def test_but_not_over_what_was_changed_since():
    live = client_side(deployment())
    live = stamp(live, {**live, "spec": {**live["spec"], "replicas": 7}}, "other", LATER)
    status = refused(live, deployment(replicas=5, image="newer"), "kubectl")
    assert [cause["field"] for cause in status["details"]["causes"]] == [".spec.replicas"]


def test_a_configuration_has_no_managed_fields():
    raw = config_map(a="1")
    raw["metadata"]["managedFields"] = []
    assert refused(None, raw)["message"] == "metadata.managedFields must be nil"


def _with_container(**fields):
    raw = deployment()
    raw["spec"]["template"]["spec"]["containers"][0] |= fields
    return raw


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        ({**deployment(), "spec": {"nope": 1}}, ".spec.nope: field not declared in schema"),
        ({**deployment(), "spec": 3}, ".spec: expected map, got &{3}"),
        (_with_container(ports=3), '.spec.template.spec.containers[name="web"].ports: expected list, got &{3}'),
        (
            _with_container(env=[{"name": "A"}, {"name": "A"}]),
            '.spec.template.spec.containers[name="web"].env: duplicate entries for key [name="A"]',
        ),
        (
            _with_container(env=[3]),
            '.spec.template.spec.containers[name="web"].env: element 0: '
            "associative list with keys may not have non-map elements",
        ),
        (
            {**deployment(), "spec": {"a": 1, "b": 2}},
            "errors:\n  .spec.a: field not declared in schema\n  .spec.b: field not declared in schema",
        ),
    ],
)
def test_what_is_not_of_its_kind(raw, why):
    status = refused(None, raw)
    assert status["message"] == f"failed to create typed patch object (default/web; apps/v1, Kind=Deployment): {why}"
    assert (status["code"], status["reason"]) == (400, "BadRequest")


def test_a_custom_list_without_a_default_for_its_key():
    item = {"type": "object", "properties": {"name": {"type": "string"}}}
    listed = {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"], "items": item}
    types = custom({"type": "object", "properties": {"list": listed}})
    raw = {"apiVersion": "e.io/v1", "kind": "Gate", "metadata": {"name": "g"}, "list": [{}]}
    assert refused(None, raw, types=types)["message"].endswith(
        '.list: element 0: associative list with keys has an element that omits key field "name" '
        "(and doesn't have default value)"
    )
