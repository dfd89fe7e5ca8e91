"""Random objects of the right shape: defaulting is idempotent, and every check gives an answer."""

from __future__ import annotations

import copy
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from labkit.api import check, schema
from labkit.api.defaults import default
from labkit.api.kinds import RESOURCES
from labkit.control import plugins
from labkit.control.admission import Admission
from labkit.control.namespaces import create_initial
from labkit.control.store import Store
from labkit.errors import ApiError
from labkit.services.admission import ServiceAdmission
from labkit.workloads.admission import register


def typed(definition: dict[str, Any], depth: int) -> st.SearchStrategy[Any]:
    """Values that a definition allows, with few of its fields: random objects of the right shape."""
    if "$ref" in definition:
        definition = schema.definitions()[definition["$ref"]]
    match definition.get("type"):
        case "string":
            if definition.get("format") == "date-time":
                return st.just("2025-01-31T12:00:00Z")
            if definition.get("format") == "byte":
                return st.just("aGk=")
            words = ["", "a", "web", "Always", "None", "NodePort", "ClientIP", "Recreate", "x:latest", "10.0.0.1", "-"]
            return st.sampled_from(words) | st.text(max_size=5)
        case "integer":
            return st.integers(-2, 70000)
        case "boolean":
            return st.booleans()
        case "array":
            return st.lists(typed(definition["items"], depth - 1), max_size=2) if depth > 0 else st.just([])
        case "object":
            known = definition.get("properties")
            if known is None:
                item = definition.get("additionalProperties")
                values = typed(item, depth - 1) if isinstance(item, dict) else st.none()
                return st.dictionaries(st.sampled_from(["a", "app", "x/y", "a b"]), values, max_size=2)
            if depth <= 0:
                return st.just({})
            return st.deferred(lambda: fields(known, definition.get("required", []), depth))
        case _:
            return st.sampled_from([1, 0, "1", "web", "25%"])


@st.composite
def fields(draw: st.DrawFn, known: dict[str, Any], required: list[str], depth: int) -> dict[str, Any]:
    chosen = draw(st.lists(st.sampled_from(sorted(known)), max_size=5, unique=True))
    names = dict.fromkeys([*required, *chosen, *(n for n in ("spec", "template") if n in known)])
    return {name: draw(st.none() | typed(known[name], depth - 1)) for name in names}


@st.composite
def objects(draw: st.DrawFn) -> dict[str, Any]:
    """Objects of any kind whose types are right."""
    resource = draw(st.sampled_from(RESOURCES))
    definition = schema.definition(resource.api_version, resource.kind)
    assert definition is not None
    obj: dict[str, Any] = draw(typed(definition, 9))
    return {**obj, "apiVersion": resource.api_version, "kind": resource.kind}


SLOW_TO_DRAW = settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow], deadline=None)


@given(objects())
@SLOW_TO_DRAW
def test_twice_is_once_and_the_given_object_stays(obj: dict[str, Any]) -> None:
    before = copy.deepcopy(obj)
    if any(p.reason == "FieldValueTypeInvalid" for p in schema.problems(obj)):
        return  # a null inside a list or map
    once = default(obj)
    assert default(once) == once
    assert obj == before
    assert not [p for p in schema.problems(once) if p.reason != "FieldValueRequired" and "Duplicate" not in p.message]


@given(objects())
@SLOW_TO_DRAW
def test_any_typed_object_gets_an_answer(obj: dict[str, Any]) -> None:
    for problem in check.problems(obj):
        assert problem.message


@st.composite
def levels(draw: st.DrawFn) -> dict[str, str]:
    level = draw(st.sampled_from(["privileged", "baseline", "restricted"]))
    return {"pod-security.kubernetes.io/enforce": level}


@given(objects(), objects(), levels())
@SLOW_TO_DRAW
def test_any_typed_object_is_stored_or_refused(
    obj: dict[str, Any], other: dict[str, Any], level: dict[str, str]
) -> None:
    admission = Admission(Store())
    ServiceAdmission(admission.store).register(admission)
    register(admission, admission.store)
    plugins.register(admission)
    create_initial(admission)
    admission.store.update("Namespace", "", "default", lambda raw: raw["metadata"]["labels"].update(level))
    namespaced = {resource.kind: resource.namespaced for resource in RESOURCES}
    for each in (obj, {**other, "kind": obj["kind"], "apiVersion": obj["apiVersion"]}, other):
        place = {"namespace": "default"} if namespaced[each["kind"]] else {}
        raw = {**each, "metadata": {"name": "a", **place}}
        for write in (admission.create, admission.replace):
            try:
                write(raw)
            except ApiError as error:
                assert 400 <= error.details["status"]["code"] < 500, error.message
