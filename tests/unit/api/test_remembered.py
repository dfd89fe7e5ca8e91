"""What is remembered of specs changes no answer: the second look at one finds what the first found."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labkit.api import remembered, schema, validation
from labkit.api.defaults import default
from labkit.api.validation import pod as pods
from labkit.api.validation import syntax

Raw = dict[str, Any]

PROBE: Raw = {"httpGet": {"port": "http"}}
CONTAINER: Raw = {"name": "web", "image": "nginx", "ports": [{"containerPort": 80}], "readinessProbe": PROBE}


def made(**spec: Any) -> Raw:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "web"},
        "spec": copy.deepcopy({"containers": [CONTAINER], **spec}),
    }


def with_token(name: str, mounted: str, *others: str) -> Raw:
    """A pod with a volume of this name, and others, of which one is mounted."""
    mounts = [{"name": mounted, "mountPath": "/token"}]
    volumes = [{"name": each, "emptyDir": {}} for each in (name, *others)]
    return default(made(containers=[{**CONTAINER, "volumeMounts": mounts}], volumes=volumes))


@pytest.mark.parametrize(
    "field",
    [
        {"priority": "1"},
        {"priority": 2**40},
        {"priority": 2**70},
        {"priority": True},
        {"priority": float("nan")},
        {"hostNetwork": 1},
        {"unknown2": 1},
        {"nodeSelector": {"a": None}},
        {"tolerations": [None]},
        {"containers": None},
    ],
)
def test_a_fault_is_found_each_time_whatever_was_right_before(field: Raw) -> None:
    right = {"priority": 1, "hostNetwork": True, "nodeSelector": {"a": "b"}, "tolerations": [{}]}
    assert schema.problems(made(**right)) == []
    assert schema.problems(made(priority=None, hostNetwork=None)) == []
    first, second = schema.problems(made(**{**right, **field})), schema.problems(made(**{**right, **field}))
    assert first
    assert first == second


@given(
    st.dictionaries(
        st.sampled_from(
            ["priority", "hostNetwork", "nodeName", "nodeSelector", "volumes", "dnsPolicy", "restartPolicy"]
        ),
        st.none()
        | st.booleans()
        | st.integers(-2, 2)
        | st.floats(-1, 1)
        | st.sampled_from(["", "a", "Always", "Default"])
        | st.dictionaries(st.sampled_from("ab"), st.none() | st.text("a.", max_size=2), max_size=2)
        | st.lists(st.dictionaries(st.sampled_from(["name"]), st.text("a.", max_size=2)), max_size=2),
        max_size=3,
    )
)
def test_no_answer_depends_on_what_came_before(fields: Raw) -> None:
    given = made(**fields)
    alone: remembered.Remembered[Any] = remembered.Remembered(0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(schema, "_right", alone)
        patch.setattr(pods, "_right", alone)
        patch.setattr("labkit.api.defaults._specs", alone)
        expected = _answers(given)
    assert _answers(given) == expected
    assert _answers(given) == expected


def _answers(raw: Raw) -> tuple[Any, ...]:
    if found := schema.problems(raw):
        return (found,)
    completed = default(raw)
    return completed, repr(completed), validation.problems(completed)


def test_what_is_remembered_is_not_shared() -> None:
    first, second = default(made()), default(made())
    first["spec"]["containers"][0]["ports"].append({"containerPort": 81})
    assert second == default(made())
    assert len(default(made())["spec"]["containers"][0]["ports"]) == 1


def test_the_name_of_a_token_volume_plays_no_part_but_its_references_do() -> None:
    one, other = "kube-api-access-aaaaa", "kube-api-access-bbbbb"
    for name in (one, other, one):
        assert validation.problems(with_token(name, name)) == []
    assert validation.problems(with_token(one, one, other)) == []
    for pod in (with_token(one, other), with_token(other, one), with_token(one, "kube-api-access-")):
        (problem,) = validation.problems(pod)
        assert problem.field == "spec.containers[0].volumeMounts[0].name"


def test_texts_are_bounded() -> None:
    assert remembered.text(["x" * remembered.LONGEST]) == b""
    assert remembered.value(remembered.text({"a": [1, None, "x"]})) == {"a": [1, None, "x"]}
    few: remembered.Remembered[int] = remembered.Remembered(2)
    for number in range(3):
        few.put("", b"%d" % number, number)
    assert [few.get("", b"%d" % number) for number in range(3)] == [None, 1, 2]
    few.put("", b"", 1)
    assert few.get("", b"") is None


def test_a_spec_that_is_too_long_is_checked_and_completed_all_the_same() -> None:
    env = [{"name": f"N{number}", "value": "x" * 30} for number in range(300)]
    pod = made(containers=[{**CONTAINER, "env": env}])
    for _ in range(2):
        assert schema.problems(pod) == []
        assert default(pod)["spec"]["containers"][0]["terminationMessagePath"] == "/dev/termination-log"
    pod["spec"]["containers"][0]["env"][-1]["value"] = 1
    assert [problem.field for problem in schema.problems(pod)] == ["spec.containers[0].env[299].value"]


@given(st.from_regex(syntax._SIMPLE, fullmatch=True) | st.from_regex("[a-zA-Z0-9._/-]{0,70}", fullmatch=True))
def test_a_name_that_looks_simple_is_right_to_whatever_takes_it_for_that(name: str) -> None:
    for check in syntax._TAKE_SIMPLE:
        assert syntax.right(name, check) == (list(check(name)) == [])
