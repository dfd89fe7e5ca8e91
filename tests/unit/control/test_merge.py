"""The three-way merge, against what kubectl does."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labkit.api.schema import definition
from labkit.control.merge import merge

SERVICE = definition("v1", "Service")
DEPLOYMENT = definition("apps/v1", "Deployment")


def service(**spec):
    return {"spec": spec}


def ports(*items):
    return service(ports=[dict(item) for item in items])


@pytest.mark.parametrize(
    ("last", "now", "current", "merged"),
    [
        # set, keep what the file never had, remove what it no longer has
        ({"a": "1"}, {"a": "2"}, {"a": "1", "x": "9"}, {"a": "2", "x": "9"}),
        ({"a": "1", "b": "1"}, {"a": "1"}, {"a": "1", "b": "1", "x": "9"}, {"a": "1", "x": "9"}),
        ({"b": "1"}, {}, {"a": "1"}, {"a": "1"}),
        ({}, {"a": None}, {"a": "1", "b": "2"}, {"b": "2"}),
    ],
)
def test_maps(last, now, current, merged):
    wrapped = [{"metadata": {"labels": labels}} for labels in (last, now, current)]
    assert merge(*wrapped, SERVICE) == {"metadata": {"labels": merged}}


def test_ports_merge_by_port_and_protocol():
    current = ports(
        {"port": 80, "protocol": "TCP", "nodePort": 30001, "name": "web"},
        {"port": 53, "protocol": "TCP", "name": "dns-tcp"},
        {"port": 53, "protocol": "UDP", "name": "dns"},
        {"port": 9, "protocol": "TCP", "name": "others"},
    )
    last = ports(
        {"port": 80, "name": "web"}, {"port": 53, "name": "dns-tcp"}, {"port": 53, "protocol": "UDP", "name": "dns"}
    )
    now = ports({"port": 53, "protocol": "UDP", "name": "names"}, {"port": 80, "name": "web"})
    assert merge(last, now, current, SERVICE) == ports(
        {"port": 53, "protocol": "UDP", "name": "names"},
        {"port": 80, "protocol": "TCP", "nodePort": 30001, "name": "web"},
        {"port": 9, "protocol": "TCP", "name": "others"},
    )


def test_containers_merge_by_name_and_args_are_replaced():
    def pod(*containers):
        return {"spec": {"template": {"spec": {"containers": list(containers)}}}}

    current = pod(
        {"name": "web", "image": "a:1", "args": ["x"], "imagePullPolicy": "IfNotPresent"},
        {"name": "injected", "image": "proxy"},
    )
    last = pod({"name": "web", "image": "a:1", "args": ["x"]})
    now = pod({"name": "web", "image": "a:2", "args": ["y", "z"]})
    assert merge(last, now, current, DEPLOYMENT) == pod(
        {"name": "web", "image": "a:2", "args": ["y", "z"], "imagePullPolicy": "IfNotPresent"},
        {"name": "injected", "image": "proxy"},
    )


def test_retained_keys_of_a_strategy():
    """Defaults of the old type must go with it: a Deployment may not have rollingUpdate with Recreate."""
    current = {"spec": {"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%"}}, "replicas": 1}}
    merged = merge({"spec": {}}, {"spec": {"strategy": {"type": "Recreate"}}}, current, DEPLOYMENT)
    assert merged == {"spec": {"strategy": {"type": "Recreate"}, "replicas": 1}}


def test_plain_values_merge_as_a_set():
    last, now, current = ({"metadata": {"finalizers": f}} for f in (["a", "b"], ["b", "c"], ["a", "x", "b"]))
    assert merge(last, now, current, SERVICE)["metadata"]["finalizers"] == ["b", "c", "x"]


def test_items_that_no_key_tells_apart_are_replaced():
    """The API takes an environment variable twice; then there is nothing to merge by."""

    def pod(*env):
        return {"spec": {"template": {"spec": {"containers": [{"name": "c", "env": list(env)}]}}}}

    twice = pod({"name": "A", "value": "1"}, {"name": "A", "value": "2"})
    assert merge({}, twice, pod({"name": "B", "value": "3"}), DEPLOYMENT) == twice


LABELS = st.dictionaries(st.sampled_from("abcd"), st.sampled_from("123"))


@given(last=LABELS, now=LABELS, current=LABELS)
def test_merge_of_maps(last, now, current):
    wrapped = [{"metadata": {"labels": labels}} for labels in (last, now, current)]
    merged = merge(*wrapped, SERVICE)["metadata"]["labels"]
    assert now.items() <= merged.items()
    assert not merged.keys() & (last.keys() - now.keys())
    rest = merged.keys() - now.keys()
    assert rest == current.keys() - last.keys() - now.keys()
    again = [{"metadata": {"labels": labels}} for labels in (now, now, merged)]
    assert merge(*again, SERVICE)["metadata"]["labels"] == merged
