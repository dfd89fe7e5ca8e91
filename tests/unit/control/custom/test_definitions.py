"""Definitions: what they may not say, the names they get, what is served, how they go."""

from __future__ import annotations

import pytest

from labkit.control.apply import apply
from labkit.errors import ApiError


def causes(admission, raw, write="create"):
    with pytest.raises(ApiError) as error:
        getattr(admission, write)(raw)
    status = error.value.details["status"]
    assert status["code"] == 422, status
    return [(cause["field"], cause["message"]) for cause in status["details"]["causes"]]


SCHEMA = "spec.versions[0].schema.openAPIV3Schema"
SPEC = f"{SCHEMA}.properties[spec]"


@pytest.mark.parametrize(
    ("parts", "field", "message"),
    [
        ({"metadata": {"name": "x.example.com"}}, "metadata.name",
         'Invalid value: "x.example.com": must be spec.names.plural+"."+spec.group'),
        ({"group": "example"}, "spec.group", 'Invalid value: "example": should be a domain with at least one dot'),
        ({"group": "a.k8s.io"}, "metadata.annotations[api-approved.kubernetes.io]",
         'Required value: protected groups must have approval annotation "api-approved.kubernetes.io", see '
         "https://github.com/kubernetes/enhancements/pull/1111"),
        ({"scope": "Global"}, "spec.scope", 'Unsupported value: "Global": supported values: "Cluster", "Namespaced"'),
        ({"names": {"listKind": "Gadget"}}, "spec.names.listKind",
         'Invalid value: "Gadget": kind and listKind may not be the same'),
        ({"names": {"shortNames": ["G"]}}, "spec.names.shortNames[0]", None),
        ({"preserveUnknownFields": True}, "spec.preserveUnknownFields", None),
        ({"version": {"storage": False}}, "spec.versions",
         'Invalid value: ["v1"]: must have exactly one version marked as storage version'),
        ({"version": {"name": "1"}}, "spec.versions[0].name", None),
        ({"version": {"schema": None}}, f"{SCHEMA}", "Required value"),
        ({"version": {"deprecationWarning": "old"}}, "spec.versions[0].deprecationWarning",
         'Invalid value: "old": can only be set for deprecated versions'),
        ({"version": {"subresources": {"scale": {"specReplicasPath": ".status.n", "statusReplicasPath": ".status.n"}}}},
         "spec.versions[0].subresources.scale.specReplicasPath",
         'Invalid value: ".status.n": should be a json path under .spec'),
        ({"version": {"additionalPrinterColumns": [{"name": "a", "type": "int", "jsonPath": ".a"}]}},
         "spec.versions[0].additionalPrinterColumns[0].type",
         'Invalid value: "int": must be one of boolean,date,integer,number,string'),
        ({"version": {"selectableFields": [{"jsonPath": ".spec.no"}]}},
         "spec.versions[0].selectableFields[0].jsonPath",
         'Invalid value: ".spec.no": is an invalid path: does not refer to a valid field'),
        ({"conversion": {"strategy": "Webhook"}}, "spec.conversion.strategy",
         "Forbidden: webhook conversion is not available in this cluster: serve versions of one shape, with strategy "
         "None"),
        ({"root": {"nullable": True}, "version": {"subresources": {}}}, f"{SCHEMA}.nullable",
         "Forbidden: nullable cannot be true at the root"),
        ({"properties": {"x": {}}}, f"{SPEC}.properties[x].type",
         "Required value: must not be empty for specified object fields"),
        ({"properties": {"x": {"type": "array"}}}, f"{SPEC}.properties[x].items", "Required value: must be specified"),
        ({"properties": {"x": {"type": "array", "items": {}}}}, f"{SPEC}.properties[x].items.type",
         "Required value: must not be empty for specified array items"),
        ({"properties": {"x": {"type": "text"}}}, f"{SPEC}.properties[x].type",
         'Unsupported value: "text": supported values: "array", "boolean", "integer", "number", "object", "string"'),
        ({"properties": {"x": {"type": "string", "pattern": "("}}}, f"{SPEC}.properties[x].pattern", None),
        ({"properties": {"x": {"type": "string", "anyOf": [{"type": "string"}]}}},
         f"{SPEC}.properties[x].anyOf[0].type", "Forbidden: must be empty to be structural"),
        ({"properties": {"x": {"type": "string", "$ref": "#/y"}}}, f"{SPEC}.properties[x].$ref",
         "Forbidden: $ref is not supported"),
        ({"properties": {"x": {"type": "array", "items": {"type": "string"}, "uniqueItems": True}}},
         f"{SPEC}.properties[x].uniqueItems",
         "Forbidden: uniqueItems cannot be set to true since the runtime complexity becomes quadratic"),
        ({"properties": {"x": {"type": "integer", "default": "3"}}}, f"{SPEC}.properties[x].default",
         f'Invalid value: "string": {SPEC}.properties[x].default in body must be of type integer: "string"'),
        ({"properties": {"x": {"type": "object", "default": {"y": 1}}}}, f"{SPEC}.properties[x].default",
         'Invalid value: {"y":1}: must not have unknown fields'),
        ({"properties": {"x": {"type": "array", "items": {"type": "object"}, "x-kubernetes-list-type": "map"}}},
         f"{SPEC}.properties[x].x-kubernetes-list-map-keys",
         "Required value: must not be empty if x-kubernetes-list-type is map"),
        ({"spec_parts": {"x-kubernetes-validations": [{"rule": "self.size +"}]}},
         f"{SPEC}.x-kubernetes-validations[0].rule", None),
        ({"spec_parts": {"x-kubernetes-validations": [{"rule": "1 + 1"}]}}, f"{SPEC}.x-kubernetes-validations[0].rule",
         'Invalid value: {"rule":"1 + 1"}: cel expression must evaluate to a bool'),
        ({"spec_parts": {"x-kubernetes-validations": [{"rule": "semver('1.0.0').major() == 1"}]}},
         f"{SPEC}.x-kubernetes-validations[0].rule", None),
        ({"spec_parts": {"oneOf": [{"properties": {"no": {"minimum": 1}}}]}}, None, None),
    ],
)  # fmt: skip
def test_definitions_that_make_no_sense(admission, crd, parts, field, message):
    raw = crd(parts.pop("properties", None), **parts)
    if field is None:
        assert admission.create(raw)  # the real server looks for this at the root only
        return
    found = causes(admission, raw)
    assert field in [where for where, _ in found]
    if message is not None:
        assert (field, message) in found


def test_a_junction_at_the_root_speaks_of_what_is_there(admission, crd):
    raw = crd(root={"anyOf": [{"properties": {"no": {"minimum": 1}}}]}, version={"subresources": {}})
    why = f"Required value: because it is defined in {SCHEMA}.anyOf[0].properties[no]"
    assert causes(admission, raw) == [(f"{SCHEMA}.properties[no]", why)]


def test_wrong_shapes_within_a_schema_are_named(admission, crd):
    raw = crd({"x": {"type": "array", "items": {"typo": "string"}}})
    with pytest.raises(ApiError, match=r'unknown field "spec.versions\[0\].schema.openAPIV3Schema.*items.typo"'):
        admission.create(raw)


def test_defaults_of_names(define):
    made = define()
    assert made["spec"]["names"] == {
        "kind": "Gadget",
        "listKind": "GadgetList",
        "plural": "gadgets",
        "singular": "gadget",
    }
    assert made["spec"]["conversion"] == {"strategy": "None"}
    assert made["status"]["storedVersions"] == ["v1"]


def test_what_is_served(store, admission, define):
    column = {"name": "Size", "type": "integer", "jsonPath": ".spec.size"}
    define(names={"shortNames": ["gd"], "categories": ["all"]}, version={"additionalPrinterColumns": [column]})
    found = store.catalogue.served("example.com/v1", "gadgets")
    assert found == store.catalogue.of_kind("example.com/v1", "Gadget") == store.catalogue.stored("Gadget.example.com")
    assert (found.short_names, found.categories, found.subresources) == (("gd",), ("all",), ("status",))
    assert (found.singular, found.list_kind, found.custom) == ("gadget", "GadgetList", True)
    assert admission.custom.columns("example.com/v1", "Gadget") == [column]
    assert admission.custom.schema("example.com/v1", "Gadget")["type"] == "object"
    assert admission.custom.schema("example.com/v2", "Gadget") is None


def test_a_name_that_is_taken(store, admission, loop, define):
    define(names={"shortNames": ["gd"]})
    second = define(plural="widgets", kind="Widget", names={"singular": "gadget", "shortNames": ["w", "gd"]})
    conditions = {c["type"]: c for c in second["status"]["conditions"]}
    assert conditions["NamesAccepted"]["reason"] == "ShortNamesConflict"
    assert conditions["NamesAccepted"]["message"] == '"gd" is already in use'
    assert conditions["Established"]["status"] == "False"
    assert "singular" not in second["status"]["acceptedNames"]
    assert store.catalogue.served("example.com/v1", "widgets") is None
    store.delete("CustomResourceDefinition", "", "gadgets.example.com")
    loop.drain()
    again = store.get("CustomResourceDefinition", "", "widgets.example.com")
    assert {c["type"]: c["status"] for c in again["status"]["conditions"]}["Established"] == "True"
    assert again["status"]["acceptedNames"]["shortNames"] == ["w", "gd"]
    assert store.catalogue.served("example.com/v1", "widgets")


def test_objects_go_before_their_definition(store, admission, loop, define, gadget):
    define()
    held = gadget("held")
    held["metadata"]["finalizers"] = ["example.com/mine"]
    for raw in (gadget("free"), held):
        admission.create(raw)
    store.delete("CustomResourceDefinition", "", "gadgets.example.com")
    loop.drain()
    assert [raw["metadata"]["name"] for raw in store.list("Gadget.example.com")] == ["held"]
    going = store.get("CustomResourceDefinition", "", "gadgets.example.com")
    assert going["metadata"]["finalizers"] == ["customresourcecleanup.apiextensions.k8s.io"]
    assert {c["type"]: c["status"] for c in going["status"]["conditions"]}["Terminating"] == "True"
    with pytest.raises(ApiError, match="create not allowed while custom resource definition is terminating"):
        admission.create(gadget("late"))
    store.update("Gadget.example.com", "default", "held", lambda raw: raw["metadata"].pop("finalizers"))
    loop.drain()
    assert store.find("CustomResourceDefinition", "", "gadgets.example.com") is None
    assert store.catalogue.served("example.com/v1", "gadgets") is None
    with pytest.raises(ApiError):
        admission.create(gadget("later"))


def test_an_update_changes_what_is_served(admission, loop, define, crd, gadget, store):
    define()
    admission.create(gadget(size=1))
    raw = crd({"size": {"type": "integer"}, "colour": {"type": "string", "default": "red"}})
    newer = {**raw["spec"]["versions"][0], "name": "v2"}
    raw["spec"]["versions"][0] = {**raw["spec"]["versions"][0], "storage": False, "deprecated": True}
    raw["spec"]["versions"].append(newer)
    admission.replace(raw)
    loop.drain()
    status = store.get("CustomResourceDefinition", "", "gadgets.example.com")["status"]
    assert status["storedVersions"] == ["v1", "v2"]
    assert store.catalogue.stored("Gadget.example.com").api_version == "example.com/v2"
    assert admission.custom.warning("example.com/v1", "Gadget") == "example.com/v1 Gadget is deprecated"
    old = store.get("Gadget.example.com", "default", "a")
    assert admission.custom.from_stored(old, "example.com/v2")["spec"] == {"size": 1, "colour": "red"}
    assert admission.create(gadget("b", size=2))["apiVersion"] == "example.com/v2"
    del raw["spec"]["versions"][0]
    assert "must remain in spec.versions until" in causes(admission, raw, "replace")[0][1]


def test_what_an_update_may_not_change(admission, define, crd):
    define()
    raw = crd(scope="Cluster", names={"kind": "Widget"})
    assert causes(admission, raw, "replace") == [
        ("spec.scope", 'Invalid value: "Cluster": field is immutable'),
        ("spec.names.kind", 'Invalid value: "Widget": field is immutable'),
    ]


def test_cluster_wide_objects(admission, define, gadget):
    define(scope="Cluster")
    raw = gadget()
    assert causes(admission, raw) == [("metadata.namespace", "Forbidden: not allowed on this type")]
    del raw["metadata"]["namespace"]
    assert "namespace" not in admission.create(raw)["metadata"]


def test_status_is_apart_where_it_is_a_subresource(admission, define, gadget):
    define()
    define(plural="widgets", kind="Widget", version={"subresources": {}})
    assert "status" not in admission.create({**gadget(), "status": {}})
    widget = {**gadget(), "kind": "Widget", "status": {}}
    assert admission.create(widget)["status"] == {}


def test_custom_objects_are_applied_as_others_are(admission, define, gadget):
    define({"size": {"type": "integer"}, "colour": {"type": "string", "default": "red"}})
    results = [apply(admission, [gadget(size=size)])[0]["result"] for size in (1, 1, 2)]
    assert results == ["created", "unchanged", "configured"]
    stored = admission.store.get("Gadget.example.com", "default", "a")
    assert stored["spec"] == {"size": 2, "colour": "red"}
    assert stored["metadata"]["generation"] == 2
