from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from labkit.api.objects import Container, Pod
from labkit.errors import CommandError
from labkit.workloads.environment import expand, variables

VALUES = {"A": "1", "B": "$(A)", "EMPTY": ""}


@pytest.mark.parametrize(  # the cases of expansion_test.go
    ("text", "expanded"),
    [
        ("$(A)", "1"),
        ("x$(A)y", "x1y"),
        ("$(B)", "$(A)"),
        ("$$(A)", "$(A)"),
        ("$$$(A)", "$1"),
        ("$$$$(A)", "$$(A)"),
        ("$(NOPE)", "$(NOPE)"),
        ("$(EMPTY)|", "|"),
        ("$()", "$()"),
        ("$A ${A}", "$A ${A}"),
        ("$(A", "$(A"),
        ("foo$", "foo$"),
        ("$$", "$"),
        ("$(A)$(A)", "11"),
        ("\n$(A)", "\n1"),
    ],
)
def test_expand(text: str, expanded: str) -> None:
    assert expand(text, VALUES) == expanded


@given(st.text(alphabet="ab$() ", max_size=12))
def test_without_a_dollar_nothing_changes(text: str) -> None:
    plain = text.replace("$", "")
    assert expand(plain, VALUES) == plain
    assert expand(text.replace("$", "$$"), VALUES) == text


POD = msgspec.convert(
    {
        "metadata": {"name": "web-1", "namespace": "shop", "uid": "u", "labels": {"app": "web"}},
        "spec": {"nodeName": "node-2", "serviceAccountName": "sa"},
        "status": {"hostIP": "172.18.1.2"},
    },
    Pod,
)


def from_field(path: str) -> dict[str, Any]:
    return {"name": "X", "valueFrom": {"fieldRef": {"fieldPath": path}}}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("metadata.name", "web-1"),
        ("metadata.namespace", "shop"),
        ("metadata.uid", "u"),
        ("metadata.labels['app']", "web"),
        ("metadata.annotations['none']", ""),
        ("spec.nodeName", "node-2"),
        ("spec.serviceAccountName", "sa"),
        ("status.podIP", "10.244.2.7"),
        ("status.hostIP", "172.18.1.2"),
    ],
)
def test_fields(path: str, value: str) -> None:
    container = msgspec.convert({"name": "c", "env": [from_field(path)]}, Container)
    assert variables(container, POD, "10.244.2.7") == {"X": value}


def test_later_variables_see_earlier_ones() -> None:
    env = [
        {"name": "LATE", "value": "$(NAME)"},
        {"name": "NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
        {"name": "URL", "value": "http://$(NAME):$$(PORT)"},
    ]
    container = msgspec.convert({"name": "c", "env": env}, Container)
    assert variables(container, POD, "")["URL"] == "http://web-1:$(PORT)"
    assert variables(container, POD, "")["LATE"] == "$(NAME)"


@pytest.mark.parametrize("variable", [from_field("spec.priority"), {"name": "X", "valueFrom": {"secretKeyRef": {}}}])
def test_what_is_not_offered(variable: dict[str, Any]) -> None:
    container = msgspec.convert({"name": "c", "env": [variable]}, Container)
    with pytest.raises(CommandError, match="the variable X takes its value from"):
        variables(container, POD, "")
