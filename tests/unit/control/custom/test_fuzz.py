"""Any object of the real definitions gets an answer, and what is completed once stays so."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from labkit.control.custom import complete, lists, rules, values
from labkit.control.custom.version import read

ANY = st.none() | st.booleans() | st.integers(-3, 70000) | st.sampled_from(["", "a", "10.0.0.1", "1s", "*"])


def shaped(schema: dict[str, Any], depth: int) -> st.SearchStrategy[Any]:
    """Values of about the shape that a schema asks for, with something else now and then."""
    if depth <= 0:
        return ANY
    if "enum" in schema:
        return st.sampled_from(schema["enum"]) | ANY
    match schema.get("type"):
        case "object":
            known = schema.get("properties") or {}
            rest = schema.get("additionalProperties")
            if not known and isinstance(rest, dict):
                return st.dictionaries(st.sampled_from(["a", "b/c", ""]), shaped(rest, depth - 1), max_size=2)
            return st.deferred(lambda: some(known, schema.get("required", []), depth))
        case "array":
            return st.lists(shaped(schema["items"], depth - 1), max_size=3)
        case "integer" | "number":
            return st.integers(-1, 70000) | ANY
        case _:
            return ANY


@st.composite
def some(draw: st.DrawFn, known: dict[str, Any], required: list[str], depth: int) -> dict[str, Any]:
    chosen = draw(st.lists(st.sampled_from(sorted(known)), max_size=4, unique=True)) if known else []
    made = {name: draw(shaped(known[name], depth - 1)) for name in {*required, *chosen} if name in known}
    return {**made, **draw(st.just({}) | st.dictionaries(st.sampled_from(["typo", "x-y"]), ANY, max_size=1))}


@pytest.mark.parametrize("project", ["gateway-api", "istio-api", "traefik"])
def test_any_object_gets_an_answer(real, project):
    versions = [version for crd in real(project) for version in read(crd)]

    @given(st.data())
    @settings(max_examples=150, suppress_health_check=list(HealthCheck), deadline=None)
    def check(data: st.DataObject) -> None:
        version = data.draw(st.sampled_from(versions))
        raw, old = (data.draw(shaped(version.schema, 12) | ANY) for _ in range(2))
        raw, old = ({"metadata": {"name": "a"}, **(each if isinstance(each, dict) else {})} for each in (raw, old))
        complete.prune(raw, version.schema)
        complete.default(raw, version.schema)
        once = copy.deepcopy(raw)
        assert complete.prune(raw, version.schema) == []
        complete.default(raw, version.schema)
        assert raw == once
        for problem in version.problems(raw, old):
            assert problem.message
        if not values.problems(raw, version.schema):
            list(lists.problems(raw, version.schema))
            list(rules.Run(version.ruled).problems(raw, None, version.schema))

    check()
