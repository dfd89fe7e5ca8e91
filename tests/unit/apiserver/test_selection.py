"""Field selectors."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labkit.api.kinds import BY_KIND
from labkit.apiserver.selection import Condition, parse_fields, selects, single_name
from labkit.errors import ApiError

POD = {
    "kind": "Pod",
    "metadata": {"name": "web", "namespace": "shop", "labels": {"app": "web"}},
    "spec": {"nodeName": "node-1", "restartPolicy": "Always"},
    "status": {"phase": "Running"},
}


def chosen(kind: str, raw: dict[str, Any], fields: str, labels: str = "") -> bool:
    return selects(BY_KIND[kind], labels, fields)(raw)


def test_a_selector_is_a_list_of_conditions() -> None:
    assert parse_fields("a=1,b!=2,c==3,") == (
        Condition("a", "1", True),
        Condition("b", "2", False),
        Condition("c", "3", True),
    )
    assert parse_fields("") == ()
    assert parse_fields(r"a=x\,y\=z\\") == (Condition("a", "x,y=z\\", True),)


@pytest.mark.parametrize("text", ["a", "a=b,c", r"a=\x", "a=b=c"])
def test_what_is_no_selector_is_refused(text: str) -> None:
    with pytest.raises(ApiError) as refused:
        parse_fields(text)
    assert refused.value.details["status"]["code"] == 400


@given(st.text(max_size=20))
def test_any_text_is_a_selector_or_refused(text: str) -> None:
    try:
        parse_fields(text)
    except ApiError as error:
        assert error.details["status"]["code"] == 400


@given(st.text(max_size=20))
def test_an_escaped_value_comes_back(value: str) -> None:
    escaped = value.replace("\\", "\\\\").replace(",", "\\,").replace("=", "\\=")
    assert parse_fields(f"f={escaped}") == (Condition("f", value, True),)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ("spec.nodeName=node-1", True),
        ("spec.nodeName!=node-1", False),
        ("spec.nodeName=", False),
        ("status.phase!=Succeeded,status.phase!=Failed", True),
        ("metadata.name=web,metadata.namespace=shop", True),
        ("spec.hostNetwork=false", True),
        ("status.podIP=", True),
    ],
)
def test_pods_by_their_fields(fields: str, expected: bool) -> None:
    assert chosen("Pod", POD, fields) is expected


def test_labels_and_fields_must_both_fit() -> None:
    assert chosen("Pod", POD, "status.phase=Running", "app=web")
    assert not chosen("Pod", POD, "status.phase=Running", "app=api")
    assert not chosen("Pod", POD, "status.phase=Pending", "app=web")


def test_other_kinds_have_other_fields() -> None:
    node = {"kind": "Node", "metadata": {"name": "n"}, "spec": {"unschedulable": True}}
    assert chosen("Node", node, "spec.unschedulable=true")
    event = {
        "kind": "Event",
        "metadata": {"name": "e"},
        "involvedObject": {"kind": "Pod", "name": "web"},
        "source": {"component": "kubelet"},
    }
    assert chosen("Event", event, "involvedObject.kind=Pod,involvedObject.name=web,source=kubelet")
    assert chosen("Event", event, "regarding.name=web")
    with pytest.raises(ApiError, match="field label not supported"):
        chosen("Pod", POD, "spec.unschedulable=true")


def test_a_selector_may_name_one_object() -> None:
    assert single_name("metadata.name=web,spec.nodeName=x") == "web"
    assert single_name("metadata.name!=web") == ""
