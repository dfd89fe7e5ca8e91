"""Objects of custom kinds: pruned, defaulted, checked in shape, in keys and by rules."""

from __future__ import annotations

import pytest

from labkit.control.custom import complete, rules, values
from labkit.errors import ApiError


def causes(admission, raw, write="create"):
    with pytest.raises(ApiError) as error:
        getattr(admission, write)(raw)
    status = error.value.details["status"]
    assert status["code"] == 422
    return [(cause["field"], cause["message"]) for cause in status["details"]["causes"]]


@pytest.mark.parametrize(
    ("schema", "value", "message"),
    [
        ({"type": "integer"}, "3", 'Invalid value: "string": spec.x in body must be of type integer: "string"'),
        ({"type": "integer"}, 1.5, 'Invalid value: "number": spec.x in body must be of type integer: "number"'),
        ({"type": "integer"}, True, 'Invalid value: "boolean": spec.x in body must be of type integer: "boolean"'),
        ({"type": "integer", "minimum": 3}, 2, "Invalid value: 2: spec.x in body should be greater than or equal to 3"),
        ({"type": "integer", "minimum": 3, "exclusiveMinimum": True}, 3,
         "Invalid value: 3: spec.x in body should be greater than 3"),
        ({"type": "number", "maximum": 3.5}, 4, "Invalid value: 4: spec.x in body should be less than or equal to 3.5"),
        ({"type": "number", "multipleOf": 0.5}, 0.2, "Invalid value: 0.2: spec.x in body should be a multiple of 0.5"),
        ({"type": "string", "minLength": 2}, "a", 'Invalid value: "a": spec.x in body should be at least 2 chars long'),
        ({"type": "string", "maxLength": 2}, "äöü", "Too long: may not be more than 2 bytes"),
        ({"type": "string", "pattern": "^a+$"}, "b", "Invalid value: \"b\": spec.x in body should match '^a+$'"),
        ({"type": "string", "enum": ["b", "a"]}, "c", 'Unsupported value: "c": supported values: "b", "a"'),
        ({"type": "string", "format": "date-time"}, "now",
         'Invalid value: "now": spec.x in body must be of type date-time: "now"'),
        ({"type": "array", "items": {"type": "string"}, "minItems": 1}, [],
         "Invalid value: 0: spec.x in body should have at least 1 items"),
        ({"type": "array", "items": {"type": "string"}, "maxItems": 1}, ["a", "b"],
         "Too many: 2: must have at most 1 item"),
        ({"type": "object", "additionalProperties": {"type": "string"}, "maxProperties": 1}, {"a": "", "b": ""},
         "Too many: 2: must have at most 1 item"),
        ({"x-kubernetes-int-or-string": True}, 1.5,
         'Invalid value: "number": spec.x in body must be of type integer,string: "number"'),
        ({"type": "string", "nullable": True, "enum": ["a"]}, "b", 'Unsupported value: "b": supported values: "a"'),
    ],
)  # fmt: skip
def test_values_of_the_wrong_kind(admission, define, gadget, schema, value, message):
    define({"x": schema})
    assert causes(admission, gadget(x=value)) == [("spec.x", message)]


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"type": "integer"}, 3.0),
        ({"type": "number"}, 3),
        ({"type": "string", "nullable": True}, None),
        ({"type": "string", "maxLength": 3}, "äöü"),
        ({"type": "string", "format": "no-such-format"}, "x"),
        ({"type": "string", "format": "ipv4"}, "10.0.0.1"),
        ({"type": "string", "format": "duration"}, "1h30m"),
        ({"type": "string", "pattern": "b"}, "abc"),
        ({"x-kubernetes-int-or-string": True, "anyOf": [{"type": "integer"}, {"type": "string"}]}, "25%"),
        ({"x-kubernetes-preserve-unknown-fields": True}, {"any": [1, {"thing": None}]}),
        ({"type": "object", "additionalProperties": True}, {"any": [1]}),
        ({"type": "integer", "enum": [1, 2]}, 1),
        ({"type": "number", "multipleOf": 0.1}, 0.3),
    ],
)
def test_values_of_the_right_kind(admission, define, gadget, schema, value):
    define({"x": schema})
    assert admission.create(gadget(x=value))["spec"] == {"x": value}


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("bsonobjectid", "5" * 24, "5"), ("byte", "aGk=", "a"), ("cidr", "10.0.0.0/8", "10.0.0.0"),
        ("creditcard", "4111 1111 1111 1111", "4"), ("date", "2024-02-29", "2023-02-29"),
        ("datetime", "2024-01-31T12:00:00.5+01:00", "2024-01-31"), ("duration", "22 ns", "22"),
        ("email", "a@example.com", "a"), ("hexcolor", "#fff", "#ff"), ("hostname", "a.example.com", "a_b"),
        ("ipv4", "1.2.3.4", "::1"), ("ipv6", "::1", "1.2.3.4"), ("isbn", "978-0321751041", "978-0321751042"),
        ("isbn10", "0321751043", "0321751044"), ("k8s-long-name", "a.b", "A"), ("k8s-short-name", "a", "a.b"),
        ("mac", "01:02:03:04:05:06", "01:02"), ("rgbcolor", "rgb(1,2,255)", "rgb(1,2,256)"),
        ("ssn", "123-45-6789", "1"), ("uri", "http://a/b", "a b"), ("uuid", "A" * 32, "A" * 31),
        ("uuid4", "aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa", "aaaaaaaa-aaaa-3aaa-8aaa-aaaaaaaaaaaa"),
    ],
)  # fmt: skip
def test_formats(name, good, bad):
    schema = {"type": "string", "format": name}
    assert values.problems(good, schema) == []
    assert [p.reason for p in values.problems(bad, schema)] == ["FieldValueTypeInvalid"]


def test_alternatives():
    schema = {
        "type": "object",
        "properties": {"a": {"type": "string"}, "b": {"type": "string"}},
        "oneOf": [{"required": ["a"]}, {"required": ["b"]}],
    }
    assert values.problems({"a": "1"}, schema, "spec") == []
    (found,) = values.problems({"a": "1", "b": "2"}, schema, "spec")
    assert found.field == "<nil>"
    assert found.message == (
        'Invalid value: "": "spec" must validate one and only one schema (oneOf). Found 2 valid alternatives'
    )
    verdict, missing = values.problems({}, schema, "spec")
    assert verdict.message.endswith("(oneOf). Found none valid")
    assert missing.field == "spec.a"
    assert values.problems({"a": "1"}, {"not": {"required": ["a"]}}, "spec")[0].message == (
        'Invalid value: "": "spec" must not validate the schema (not)'
    )


def test_required_and_missing(admission, define, gadget):
    define(spec_parts={"required": ["size"]})
    assert causes(admission, gadget()) == [("spec.size", "Required value")]


def test_a_hostile_object_gets_a_short_answer():
    schema = {"type": "array", "items": {"type": "string"}}
    assert len(values.problems([1] * 10_000, schema, "x")) == values.MOST_PROBLEMS


def test_defaults_fill_what_is_absent_or_a_forbidden_null(admission, define, gadget):
    deep = {"type": "object", "default": {}, "properties": {"level": {"type": "integer", "default": 3}}}
    empty = {"type": "string", "nullable": True, "default": "x"}
    items = {"type": "array", "items": {"type": "object", "properties": {"n": {"type": "integer", "default": 1}}}}
    define({"deep": deep, "empty": empty, "items": items, "plain": {"type": "string"}})
    stored = admission.create(gadget(empty=None, plain=None, items=[{}, {"n": None}]))
    assert stored["spec"] == {"deep": {"level": 3}, "empty": None, "items": [{"n": 1}, {"n": 1}]}


def test_unknown_fields_are_pruned_where_they_are_not_preserved(admission, define, gadget):
    free = {"type": "object", "x-kubernetes-preserve-unknown-fields": True,
            "properties": {"known": {"type": "object", "properties": {"a": {"type": "string"}}}}}  # fmt: skip
    define({"free": free, "list": {"type": "array", "items": {"type": "object"}}})
    raw = gadget(free={"x": {"y": 1}, "known": {"a": "1", "b": "2"}}, list=[{"z": 1}], more=1)
    made, gone = admission.custom.pruned(raw)
    assert gone == ["spec.free.known.b", "spec.list[0].z", "spec.more"]
    assert made["spec"] == {"free": {"x": {"y": 1}, "known": {"a": "1"}}, "list": [{}]}
    assert raw["spec"]["more"] == 1
    assert admission.custom.complete(made) == made


def test_what_is_embedded_keeps_its_metadata_and_says_what_it_is(admission, define, gadget):
    embedded = {"type": "object", "x-kubernetes-embedded-resource": True, "x-kubernetes-preserve-unknown-fields": True}
    define({"template": embedded})
    template = {"apiVersion": "v1", "kind": "Pod", "metadata": {"labels": {"a": "b"}}, "spec": {}}
    assert admission.create(gadget(template=template))["spec"]["template"] == template
    assert causes(admission, gadget("b", template={"metadata": {"labels": {"a": 1}}})) == [
        ("spec.template.apiVersion", "Required value: must not be empty"),
        ("spec.template.kind", "Required value: must not be empty"),
        ("spec.template.metadata.labels", 'Invalid value: {"a":1}: must be a map of strings'),
    ]


def test_keys_of_lists(admission, define, gadget):
    item = {"type": "object", "required": ["name"],
            "properties": {"name": {"type": "string"}, "port": {"type": "integer", "default": 1}}}  # fmt: skip
    one = {"type": "array", "items": item, "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]}
    two = {**one, "x-kubernetes-list-map-keys": ["name", "port"]}
    some = {"type": "array", "items": {"type": "string"}, "x-kubernetes-list-type": "set"}
    define({"one": one, "two": two, "some": some})
    assert admission.create(gadget(one=[{"name": "a"}, {"name": "b"}], some=["a", "b"]))
    bad = gadget("b", one=[{"name": "a"}] * 3, two=[{"name": "a"}, {"name": "a", "port": 1}], some=["a", "a"])
    assert causes(admission, bad) == [
        ("spec.one[1]", 'Duplicate value: {"name":"a"}'),
        ("spec.two[1]", 'Duplicate value: {"name":"a","port":1}'),
        ("spec.some[1]", 'Duplicate value: "a"'),
    ]


def test_rules(admission, define, gadget):
    rule = {"rule": "self.low <= self.high", "message": "low must not be more than high"}
    define(
        {"low": {"type": "integer"}, "high": {"type": "integer"}, "namespace": {"type": "string"}},
        spec_parts={"x-kubernetes-validations": [rule, {"rule": "self.__namespace__ != 'x'"}]},
    )
    assert admission.create(gadget(low=1, high=2, namespace="a"))
    assert causes(admission, gadget("b", low=2, high=1, namespace="x")) == [
        ("spec", 'Invalid value: "object": low must not be more than high'),
        ("spec", "Invalid value: \"object\": failed rule: self.__namespace__ != 'x'"),
    ]
    assert causes(admission, gadget("c", high=1, namespace="a")) == [
        ("spec", 'Invalid value: "object": no such key: low evaluating rule: low must not be more than high')
    ]


def test_a_rules_own_words_and_place(admission, define, gadget):
    rule = {
        "rule": "self.size < 3",
        "messageExpression": "'at most 2, not ' + string(self.size)",
        "fieldPath": ".size",
        "reason": "FieldValueForbidden",
    }
    define(spec_parts={"x-kubernetes-validations": [rule]})
    assert causes(admission, gadget(size=5)) == [("spec.size", "Forbidden: at most 2, not 5")]


def test_rules_of_change(admission, define, gadget):
    fixed = {"type": "integer", "x-kubernetes-validations": [{"rule": "self == oldSelf", "message": "stays"}]}
    first = [{"rule": "!oldSelf.hasValue() || oldSelf.value() < self", "optionalOldSelf": True, "message": "grows"}]
    define({"fixed": fixed, "growing": {"type": "integer", "x-kubernetes-validations": first}})
    admission.create(gadget(fixed=1, growing=1))
    assert admission.replace(gadget(fixed=1, growing=2))
    assert causes(admission, gadget(fixed=2, growing=2), "replace") == [
        ("spec.fixed", 'Invalid value: "integer": stays'),
        ("spec.growing", 'Invalid value: "integer": grows'),
    ]


def test_rules_see_formats_and_names(admission, define, gadget):
    wait = {"type": "string", "format": "duration",
            "x-kubernetes-validations": [{"rule": "self > duration('1s')"}]}  # fmt: skip
    names = [{"rule": "self.metadata.name.startsWith('a')"}, {"rule": "!has(self.metadata.labels)"}]
    define({"wait": wait}, root={"x-kubernetes-validations": names})
    raw = gadget("a", wait="5s")
    raw["metadata"]["labels"] = {"x": "y"}
    assert admission.create(raw)
    assert [field for field, _ in causes(admission, gadget("b", wait="1ms"))] == ["", "spec.wait"]


def test_no_rule_runs_for_long(admission, define, gadget):
    slow = [{"rule": "self.all(a, self.all(b, self.all(c, a + b + c >= 0)))"}]
    define({"list": {"type": "array", "items": {"type": "integer"}, "x-kubernetes-validations": slow}})
    ((field, message),) = causes(admission, gadget(list=list(range(1000))))
    assert field == "spec.list"
    assert "Iteration budget exceeded" in message


def test_no_object_runs_rules_without_end(admission, define, gadget):
    item = {"type": "integer", "x-kubernetes-validations": [{"rule": "self >= 0"}]}
    define({"list": {"type": "array", "items": item}})
    ((_, message),) = causes(admission, gadget(list=[1] * (rules.MOST_RULES + 1)))
    assert message == f'Invalid value: "integer": {rules.OUT_OF_BUDGET}'


def test_escaped_names():
    assert rules.escaped("a-b.c/d__e") == "a__dash__b__dot__c__slash__d__underscores__e"
    assert rules.escaped("in") == "__in__"


def test_a_part_is_pruned_alone():
    value = {"a": [{"b": 1}], "metadata": {}}
    assert complete.prune_part(value, {"type": "object", "properties": {"a": {"type": "array"}}}) == [
        "a[0].b",
        "metadata",
    ]


def test_replicas_must_be_a_number(admission, define, gadget):
    scale = {"specReplicasPath": ".spec.count", "statusReplicasPath": ".status.count"}
    define(
        {"count": {"x-kubernetes-preserve-unknown-fields": True}},
        version={"subresources": {"scale": scale, "status": {}}},
    )
    assert causes(admission, gadget(count=-1)) == [
        (".spec.count", "Invalid value: -1: should be a non-negative integer")
    ]
    assert causes(admission, gadget(count="3"))[0][0] == ".spec.count"
    assert admission.create(gadget(count=3))
